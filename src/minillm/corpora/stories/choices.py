"""Choices that can be repeated and counted: what the generator draws, and how much it says.

Source: Shannon (1948), "A Mathematical Theory of Communication", for entropy as counted choice.
Book: chapter "Pretraining".
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

Option = TypeVar("Option")


class Choices:
    """Uniform draws from a stream that depends on (seed, index) only, with their information.

    `nats` is the sum of log n over all draws, each from n options: the negative logarithm of the
    probability of this very sequence of choices.

    Example:
        >>> choices = Choices(seed=0, index=7)
        >>> picked = choices.pick("abcd"), choices.pick("ab")
        >>> round(math.exp(choices.nats))
        8
    """

    def __init__(self, seed: int, index: int) -> None:
        self._random = random.Random(f"{seed}/{index}")
        self.nats = 0.0

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options, all equally probable.

        Raises:
            ValueError: If there is nothing to pick from.
        """
        if not options:
            raise ValueError("cannot pick one of 0 options")
        self.nats += math.log(len(options))
        # Only random() itself is promised to give the same numbers in every Python version.
        return options[int(self._random.random() * len(options))]

"""Look up the settings of a file, and refuse by name what is missing, wrong or not known.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from minillm.nn.config import FFN
from minillm.weights.harmless import harmless

LARGEST = 1 << 40  # of a size; far above any real one, far below what an integer of torch holds
ACTIVATIONS: dict[str, FFN] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
NOTHING: tuple[Any, ...] = (None, False, [], {}, "")  # 0 == False is nothing, too


class Settings:
    """Look-ups in a file's settings that say clearly what is missing or wrong.

    Args:
        values: the settings by name.
        where: the name of the file, for messages.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where, self.asked = values, where, set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        """A setting as it stands; asking for it makes it known."""
        self.asked.add(name)
        return self.values.get(name, default)

    def size(self, name: str, default: int | None = None) -> int:
        """A positive whole number; `default` stands in for a missing one or null."""
        value = self.get(name)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise ValueError(f"{self.where}: {name} is {value!r}, not a positive whole number")
        return value

    def real(self, name: str, default: float | None = None) -> float:
        """A positive, finite number."""
        value = self.get(name, default)
        if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
            raise ValueError(f"{self.where}: {name} is {value!r}, not a positive number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or False."""
        value = self.get(name, default)
        if type(value) is not bool:
            raise ValueError(f"{self.where}: {name} is {value!r}, not true or false")
        return value

    def demand(self, name: str, *allowed: Any) -> None:
        """Refuse any value but the allowed ones; the first of them is the default."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise ValueError(f"{self.where}: {name} is {value!r}, only {allowed} is supported")

    def refuse_the_rest(self, family: str) -> None:
        """Refuse what has a value, was not asked for and is not known to change nothing."""
        for name, value in self.values.items():
            if name in self.asked or value in NOTHING or harmless(family, name):
                continue
            raise ValueError(
                f"{self.where}: {name} is {value!r}, which we do not know: it may change the model"
            )

    def activation(self, name: str, default: str) -> FFN:
        """Our name of an activation function."""
        self.demand(name, default, *ACTIVATIONS)
        return ACTIVATIONS[self.get(name, default)]

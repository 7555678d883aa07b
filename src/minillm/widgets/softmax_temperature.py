"""Softmax with temperature: scores to drag, the shares that follow, their slopes, seeded draws.

pᵢ = exp(zᵢ / T) / Σⱼ exp(zⱼ / T). What a reader can find out: only differences of scores count,
temperature spreads or gathers the shares and changes no order, and raising one score takes from
every other share in proportion to it. Draws use the same random numbers in the page and here.
Book: chapter "Predicting the next word".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, within
from minillm.widgets.pack import as_array

LIMIT = 1000.0
COOLEST, HOTTEST = 0.1, 4.0
MAX_DRAWN = 1000
FEWEST, MOST = 2, 10
TABLE = (0.5, 1.0, 2.0)
"""Temperatures of the table that stands in for the explorable."""
Array = NDArray[np.float64]


def tempered(scores: Array, temperature: float) -> Array:
    """Softmax of scores / temperature; at 0 its limit, where the largest scores share everything.

    Args:
        scores: any numbers, (N,).
        temperature: 0 or a positive number.

    >>> tempered(np.array([1000.0, 1000.0, 0.0]), 0.1)
    array([0.5, 0.5, 0. ])
    """
    lead = scores - scores.max()
    powers = np.exp(lead / temperature) if temperature else (lead == 0).astype(np.float64)
    return np.asarray(powers / powers.sum())


def random_numbers(seed: int, count: int) -> Array:
    """Numbers in [0, 1) from the generator mulberry32, as `js/shared.js` makes them.

    >>> random_numbers(1, 2).round(4)
    array([0.6271, 0.0027])
    """
    word, numbers = 2**32 - 1, []
    for turn in range(1, count + 1):
        state = (seed + turn * 0x6D2B79F5) & word
        t = ((state ^ state >> 15) * (state | 1)) & word
        t ^= (t + (t ^ t >> 7) * (t | 61)) & word
        numbers.append((t ^ t >> 14) / 2**32)
    return np.array(numbers)


class SoftmaxTemperature(Explorable):
    """Scores of a few candidates for the next word, and what softmax makes of them.

    Args:
        words: two to ten candidates.
        scores: their logits, one each, between -1000 and 1000.
        context: the beginning of the text that they would continue.
        temperature: divides the scores; from 0.1 to 4, or 0 for the largest score alone.
        selected: number of the word whose score is raised in thought.
        drawn: how many words are drawn at first, from 0 to 1000.
        seed: of the draws, from 0 to 2³² - 1.

    Raises:
        ValueError: If words and scores differ in number, a score is not finite, or a number is out
            of its range.

    >>> desk = SoftmaxTemperature(["mat", "moon"], [2.0, 1.0])
    >>> desk.shares().round(3), desk.shares(0.0)
    (array([0.731, 0.269]), array([1., 0.]))

    Book: chapter "Predicting the next word".
    """

    _esm = bundle("softmax_temperature.js")
    scores: traitlets.List[float] = traitlets.List().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    selected = traitlets.Int().tag(sync=True)
    drawn = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        words: Sequence[str],
        scores: Any,
        *,
        context: str = "",
        temperature: float = 1.0,
        selected: int = 0,
        drawn: int = 0,
        seed: int = 0,
    ) -> None:
        names, numbers = list(words), as_array(scores).reshape(-1).tolist()
        if len(names) != len(numbers):
            raise ValueError(f"got {len(names)} words, but {len(numbers)} scores")
        within("the number of words", len(names), FEWEST, MOST)
        for name, number in zip(names, numbers, strict=True):
            within(f"the score of {name!r}", number, -LIMIT, LIMIT)
        super().__init__(
            {
                "words": names,
                "context": context,
                "seed": int(within("seed", seed, 0, 2**32 - 1)),
                "low": math.floor(min(numbers)) - 3,
                "high": math.ceil(max(numbers)) + 3,
                "most": MAX_DRAWN,
            },
            scores=numbers,
            temperature=within("temperature", temperature, COOLEST if temperature else 0, HOTTEST),
            selected=int(within("selected", selected, 0, len(names) - 1)),
            drawn=int(within("drawn", drawn, 0, MAX_DRAWN)),
        )

    def shares(self, temperature: float | None = None) -> Array:
        """The probability of each word.

        Args:
            temperature: another one than that of the explorable.
        """
        heat = self.temperature if temperature is None else temperature
        return tempered(np.array(self.scores), heat)

    def entropy(self) -> float:
        """Entropy of the shares in nats; its exponential is the effective number of words."""
        shares = self.shares()
        return float(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum())

    def slopes(self) -> Array:
        """How fast each share grows with the selected score: ∂pⱼ/∂zᵢ = pᵢ (δᵢⱼ - pⱼ) / T.

        At temperature 0 they are 0, for a small change moves nothing, except where the largest
        scores are equal: there the limit jumps and has no slope (NaN).
        """
        shares = self.shares()
        if not self.temperature:
            tied = self.scores.count(max(self.scores)) > 1
            return np.full_like(shares, math.nan if tied else 0.0)
        own = np.arange(len(shares)) == self.selected
        return np.asarray(shares[self.selected] * (own - shares) / self.temperature)

    def counts(self) -> list[int]:
        """How often each word came in the draws, with the random numbers of the page."""
        shares = self.shares()
        places = np.searchsorted(
            shares.cumsum(), random_numbers(self.data["seed"], self.drawn), "right"
        )
        last = int(np.flatnonzero(shares)[-1])  # the sum of the shares may be rounded below 1
        return np.bincount(np.minimum(places, last), minlength=len(shares)).tolist()

    def fallback(self) -> Fallback:
        """The shares at three temperatures."""
        words, shares = self.data["words"], self.shares()
        best = int(shares.argmax())
        after = f" after “{self.data['context']}”" if self.data["context"] else ""
        sentence = (
            f"Softmax with temperature: the scores of {len(words)} candidates for the next "
            f"word{after} become probabilities. At temperature {self.temperature:g} "
            f"“{words[best]}” leads with {100 * shares[best]:.0f} %, as open as a fair choice "
            f"among {math.exp(self.entropy()):.1f} words. A low temperature gathers the "
            "probability on the first word, a high one spreads it; the order stays the same."
        )
        columns = [self.shares(heat) for heat in TABLE]
        rows = [
            (word, f"{score:.2f}", *(f"{100 * column[i]:.1f} %" for column in columns))
            for i, (word, score) in enumerate(zip(words, self.scores, strict=True))
        ]
        return Fallback(sentence, ("word", "score", *(f"T = {heat:g}" for heat in TABLE)), rows)

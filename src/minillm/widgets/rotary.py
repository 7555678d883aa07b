"""Rotary positions with four pairs of coordinates: a query and a key that turn like clock hands.

Su et al. (2021), arXiv:2104.09864, for E = 8. What a reader can find out: the score depends on
the distance alone, each pair has its own speed, and the two layouts of the pairs are the same
thing if, and only if, the coordinates are reordered with them. Book: chapter "Order".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import as_array

E = 8
LAST = 40
LAYOUTS = ("half-split", "interleaved", "interleaved, reordered")
QUERY = (1.6, 0.9, 0.5, 0.7, 0.6, 1.0, 1.3, -0.4)
KEY = (1.0, 1.2, 0.9, 0.5, 1.1, 0.4, 0.9, 0.8)
Array = NDArray[np.float64]


class RotaryPairs(Explorable):
    """A query and a key of four pairs, each turned by its position times its frequency.

    score = Σᵢ |qᵢ| |kᵢ| cos(φᵢ + (m − n) ωᵢ),  ωᵢ = θ^(−2i/E), with φᵢ the angle from the key's
    pair to the query's before turning.

    Args:
        query: eight numbers in half-split order.
        key: eight numbers in half-split order.
        m: position of the query, 0 to 40.
        n: position of the key, 0 to 40.
        theta: base of the frequencies, 1 to 10,000.
        layout: which coordinates are paired: "half-split" (i, i + 4), "interleaved" (2i, 2i + 1),
            or "interleaved, reordered", where the numbers are reordered first.
        locked: whether the two positions move together.

    Raises:
        ValueError: If a vector has not eight numbers, or a control lies outside its range.

    >>> RotaryPairs(m=9, n=4).score() == RotaryPairs(m=25, n=20).score()
    True

    Book: chapter "Order".
    """

    _esm = bundle("rotary.js")
    m = traitlets.Int().tag(sync=True)
    n = traitlets.Int().tag(sync=True)
    theta = traitlets.Float().tag(sync=True)
    layout = traitlets.Unicode().tag(sync=True)
    locked = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        query: Any = QUERY,
        key: Any = KEY,
        *,
        m: int = 6,
        n: int = 2,
        theta: float = 100.0,
        layout: str = "half-split",
        locked: bool = False,
    ) -> None:
        vectors = [as_array(vector).reshape(-1) for vector in (query, key)]
        for name, vector in zip(("query", "key"), vectors, strict=True):
            if len(vector) != E:
                raise ValueError(f"the {name} has {len(vector)} numbers, the dials show {E}")
        super().__init__(
            {"query": vectors[0].tolist(), "key": vectors[1].tolist(), "last": LAST},
            m=int(within("m", m, 0, LAST)),
            n=int(within("n", n, 0, LAST)),
            theta=within("theta", theta, 1.0, 10_000.0),
            layout=member("layout", layout, LAYOUTS),
            locked=locked,
        )

    def frequencies(self) -> Array:
        """Radians per position of each pair."""
        return np.array([self.theta ** (-2 * i / E) for i in range(E // 2)])

    def paired(self, name: str) -> NDArray[np.complex128]:
        """The vector "query" or "key" as complex numbers, one for each pair of the layout."""
        vector = np.array(self.data[name])
        if self.layout == "interleaved":
            return vector[0::2] + 1j * vector[1::2]
        return vector[: E // 2] + 1j * vector[E // 2 :]

    def names(self) -> list[str]:
        """Which coordinates of the stored vectors form each pair."""
        neighbours = self.layout != "half-split"
        pairs = [(2 * i, 2 * i + 1) if neighbours else (i, i + E // 2) for i in range(E // 2)]
        return [f"{i} and {j}" for i, j in pairs]

    def contributions(self) -> Array:
        """What each pair adds to the score."""
        turn = np.exp(1j * (self.m - self.n) * self.frequencies())
        return (self.paired("query") * turn * self.paired("key").conj()).real

    def score(self) -> float:
        """The dot product of the turned query and the turned key."""
        return float(self.contributions().sum())

    def fallback(self) -> Fallback:
        """The pairs, how fast they turn and what they contribute at the first positions."""
        sentence = (
            f"Rotary positions: the query stands at {self.m}, the key at {self.n}; each pair of "
            "coordinates is turned by its position times its frequency. The score, "
            f"{self.score():.2f}, depends only on the distance {self.m - self.n}: moving both "
            "positions by the same number turns both hands of every dial alike."
        )
        frequencies, parts = self.frequencies(), self.contributions()
        rows = [
            (name, f"{2 * math.pi / w:.1f} positions", f"{part:.2f}")
            for name, w, part in zip(self.names(), frequencies, parts, strict=True)
        ]
        return Fallback(sentence, ("coordinates", "one full turn", "part of the score"), rows)

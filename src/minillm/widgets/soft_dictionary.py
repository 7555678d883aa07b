"""A dictionary that answers with a mixture: attention in the plane, with arrows and colours.

Vaswani et al. (2017), arXiv:1706.03762, eq. 1, for one query, five keys and E = 2. The values
are colours (red, green, blue), so the mixture can be seen. Book: chapter "Attention from
first principles".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, within
from minillm.widgets.pack import as_array

NAMES = ("blue", "orange", "green", "purple", "sky")
COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))
KEYS = ((1.5, 0.3), (0.4, 1.3), (-1.2, 0.7), (-0.7, -1.2), (0.5, -0.4))
LIMIT = 2.0


class SoftDictionary(Explorable):
    """Five keys, a query and the mixture of values that softmax makes of them.

    weights = softmax(scale · K q), answer = weights · V

    Args:
        keys: five points (x, y) of the plane, each coordinate between -2 and 2.
        query: the point (x, y) where the query's arrow ends.
        scale: the number that multiplies the scores, between 0 and 8.

    Raises:
        ValueError: If there are not five keys of two coordinates, or one lies outside.

    >>> desk = SoftDictionary(query=(0.0, 0.0))
    >>> desk.weights().round(2)
    array([0.2, 0.2, 0.2, 0.2, 0.2])

    Book: chapter "Attention from first principles".
    """

    _esm = bundle("soft_dictionary.js")
    arrows: traitlets.List[list[float]] = traitlets.List().tag(sync=True)
    query: traitlets.List[float] = traitlets.List().tag(sync=True)
    scale = traitlets.Float().tag(sync=True)

    def __init__(self, keys: Any = KEYS, query: Any = (1.0, 0.9), scale: float = 1.0) -> None:
        points = np.vstack([as_array(keys).reshape(-1, 2), as_array(query).reshape(1, 2)])
        if len(points) != len(NAMES) + 1:
            raise ValueError(f"got {len(points) - 1} keys, but there are {len(NAMES)} values")
        if np.abs(points).max() > LIMIT:
            raise ValueError(
                f"a coordinate is {np.abs(points).max():.3g}, the plane ends at {LIMIT}"
            )
        super().__init__(
            {"names": list(NAMES), "colours": [list(c) for c in COLOURS], "limit": LIMIT},
            arrows=points[:-1].tolist(),
            query=points[-1].tolist(),
            scale=within("scale", scale, 0.0, 8.0),
        )

    def scores(self) -> NDArray[np.float64]:
        """Score of each key: scale · k_i · q."""
        return self.scale * np.array(self.arrows) @ np.array(self.query)

    def weights(self) -> NDArray[np.float64]:
        """The softmax of the scores."""
        scores = self.scores()
        powers = np.exp(scores - scores.max())
        return powers / powers.sum()

    def answer(self) -> NDArray[np.float64]:
        """The mixed colour: red, green, blue from 0 to 255."""
        return self.weights() @ np.array(COLOURS, dtype=np.float64)

    def fallback(self) -> Fallback:
        """Scores and weights of the first position of the arrows."""
        scores, weights = self.scores(), self.weights()
        red, green, blue = self.answer().round().astype(int)
        sentence = (
            "A soft dictionary: the query is compared with five keys, softmax turns the scores "
            "into weights, and the answer is the weighted mean of five colours, here "
            f"rgb({red}, {green}, {blue}). A longer query sharpens the weights; a query of length "
            "0 gives every key the same."
        )
        rows = [
            (name, f"{score:.2f}", f"{100 * weight:.1f} %")
            for name, score, weight in zip(NAMES, scores, weights, strict=True)
        ]
        return Fallback(sentence, ("key", "score", "weight"), rows)

"""A difference of low rank: what the nearest matrix of rank r keeps of it, and what r costs.

The page holds the singular value decomposition of each difference and multiplies it out again.
What a reader can find out: the first ranks keep much, each further one less, and from half of the
full rank on two thin matrices have more numbers than the whole one. Book: chapter "Fine-tuning".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import Array, as_array, pack_uints

MAX_MATRICES, MAX_SIDE = 4, 512
SHOWN = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class RankExplorer(Explorable):
    """The nearest matrix of rank r to ΔW, Σ_{i ≤ r} σ_i u_i v_iᵀ, beside ΔW and what is left.

    Args:
        differences: matrices by name, such as what fine-tuning changed in a layer.
        measured: for some ranks, how good the model is with all its differences at that rank.
        measure: what was measured, as it stands behind the number.
        rank: the one that is shown first.

    Shape:
        differences: (m, n) each, at most four with sides from 2 to 512.

    Raises:
        ValueError: If there is no matrix, one is no such matrix, not finite or zero, the rank is
            larger than the sides of the first, or what was measured is not finite.

    >>> view = RankExplorer({"W": [[3.0, 0.0], [0.0, 1.0]]})
    >>> view.kept("W", 1), view.numbers("W", 1)
    (0.9, 4)

    Book: chapter "Fine-tuning".
    """

    _esm = bundle("rank.js")
    matrix = traitlets.Unicode().tag(sync=True)
    rank = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        differences: Mapping[str, Any],
        measured: Mapping[int, float] | None = None,
        *,
        measure: str = "right",
        rank: int = 1,
    ) -> None:
        within("the number of matrices", len(differences), 1, MAX_MATRICES)
        parts = {name: _parts(name, as_array(matrix)) for name, matrix in differences.items()}
        self._shapes = {name: (len(u), v.shape[1]) for name, (u, _, v) in parts.items()}
        self._values = {name: s for name, (_, s, _) in parts.items()}
        first = next(iter(parts))
        super().__init__(
            {
                "matrices": [_record(name, *part) for name, part in parts.items()],
                "measured": _measured(measured or {}),
                "measure": measure,
            },
            matrix=first,
            rank=int(within("rank", rank, 0, len(self._values[first]))),
        )

    def kept(self, matrix: str, rank: int) -> float:
        """The share of the squared length that the nearest matrix of this rank keeps."""
        values = self._values[member("matrix", matrix, list(self._values))]
        within("rank", rank, 0, len(values))
        return float((values[:rank] ** 2).sum() / (values**2).sum())

    def numbers(self, matrix: str, rank: int) -> int:
        """How many numbers A and B have together, r (m + n)."""
        return rank * sum(self._shapes[member("matrix", matrix, list(self._shapes))])

    def fallback(self) -> Fallback:
        """For the first matrix, what some ranks keep and cost."""
        name = next(iter(self._shapes))
        m, n = self._shapes[name]
        told = dict(self.data["measured"])
        rows = [
            (
                str(rank),
                f"{self.numbers(name, rank):,}",
                f"{self.kept(name, rank):.0%}",
                f"{told[rank]:.3f}" if rank in told else "",
            )
            for rank in SHOWN
            if rank <= min(m, n)
        ]
        sentence = (
            f"A difference of low rank: what the nearest matrix of rank r keeps of the change of "
            f"{name}, {m} × {n} = {m * n:,} numbers, and how many numbers A and B have. The first "
            "rank keeps the most, each further one less."
        )
        header = ("rank r", "numbers in A and B", "squared length kept", self.data["measure"])
        return Fallback(sentence, header, rows)


def _parts(name: str, matrix: Array) -> tuple[Array, Array, Array]:
    """Left vectors u (m, R), the singular values (R,), largest first, and v (R, n)."""
    if matrix.ndim != 2 or not all(2 <= side <= MAX_SIDE for side in matrix.shape):
        raise ValueError(
            f"{name!r} has the shape {matrix.shape}, not (m, n) with sides from 2 to {MAX_SIDE}"
        )
    if not np.isfinite(matrix).all() or not matrix.any():
        raise ValueError(f"{name!r} has entries that are not finite, or nothing but zeros")
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return u, s, v


def _record(name: str, u: Array, s: Array, v: Array) -> dict[str, Any]:
    """A decomposition for the page; vectors in 8 bits, 127 for 0."""
    top = float(max(abs(u).max(), abs(v).max()))
    packed = (pack_uints(np.rint(x / top * 127) + 127, 8) for x in (u.T, v))
    sides = zip(("u", "v"), packed, strict=True)
    values = [float(f"{x:.5g}") for x in s]
    return {
        "name": name,
        "shape": [len(u), v.shape[1]],
        "values": values,
        "top": top,
        **dict(sides),
    }


def _measured(measured: Mapping[int, float]) -> list[list[float]]:
    for rank, value in measured.items():
        if rank < 0 or not np.isfinite(value):
            raise ValueError(f"rank {rank} with {value} measured: needs a rank >= 0, a number")
    return [[int(rank), round(float(measured[rank]), 4)] for rank in sorted(measured)]

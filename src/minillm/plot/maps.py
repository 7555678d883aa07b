"""Heat maps: attention weights, many heads, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minillm.plot.style import as_array, axes_or_new, page_ramp, show_token

LARGEST_WITH_NUMBERS = 8
"""Maps of up to this many rows and columns show the numbers themselves."""


def attention(
    weights: Any,
    tokens: Sequence[str],
    keys: Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Who looks at whom: queries down, keys across, weight as strength of colour.

    Args:
        weights: attention weights (T, S), a tensor or an array.
        tokens: T words for the rows, and for the columns unless `keys` is given.
        keys: S words for the columns (cross-attention).
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If weights and words disagree in number.

    Book: chapter "Attention from first principles".
    """
    keys = tokens if keys is None else keys
    values = _matrix(weights, (len(tokens), len(keys)), "weights")
    side = min(6.0, 1.6 + 0.42 * max(values.shape))
    ax = axes_or_new(ax, width=side + 1.0, height=side)
    image = _heat(values, ax, top=max(float(np.nanmax(values)), 1e-9), numbers="{:.2f}")
    _label(ax, tokens, keys)
    ax.set(xlabel="key (looked at)", ylabel="query (looks)")
    ax.figure.colorbar(image, ax=ax, label="weight", shrink=0.8)
    return ax


def attention_grid(
    weights: Any, tokens: Sequence[str], *, n_columns: int = 4, titles: Sequence[str] | None = None
) -> Figure:
    """One small map per head, all with the same scale from 0 to 1.

    Args:
        weights: (N, T, T): the heads of a layer, or any choice of heads.
        tokens: T words; shown along the first column and the last row.
        n_columns: maps side by side.
        titles: one per map; "head 0", "head 1", … unless given.

    Raises:
        ValueError: If the shapes disagree.

    Book: chapter "Many heads, masks and maps".
    """
    values = _matrix(weights, (None, len(tokens), len(tokens)), "weights")
    n = len(values)
    names = [f"head {i}" for i in range(n)] if titles is None else list(titles)
    if len(names) != n:
        raise ValueError(f"{len(names)} titles for {n} maps")
    n_columns = min(n_columns, n)
    n_rows = math.ceil(n / n_columns)
    side = 6.4 / n_columns
    figure, grid = plt.subplots(
        n_rows, n_columns, figsize=(7.0, 0.8 + n_rows * (side + 0.3)), squeeze=False
    )
    for i, ax in enumerate(grid.flat):
        if i >= n:
            ax.remove()
            continue
        image = _heat(values[i], ax, top=1.0)
        ax.set_title(names[i], fontsize=9.5)
        _label(ax, tokens if i % n_columns == 0 else [], tokens if i + n_columns >= n else [])
    figure.colorbar(image, ax=grid.ravel().tolist()[:n], label="weight", shrink=0.6)
    return figure


def confusion(matrix: Any, labels: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """What was what (down) against what it was taken for (across), as counts.

    The colour is the share of the row, so that a rare class is as visible as a common one.

    Args:
        matrix: counts (C, C); row: the true class, column: the predicted one.
        labels: C names.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If the matrix is not C by C.

    Book: chapter "Classification, sentiment, moderation".
    """
    counts = _matrix(matrix, (len(labels), len(labels)), "matrix")
    side = min(6.0, 2.2 + 0.6 * len(labels))
    ax = axes_or_new(ax, width=side + 0.6, height=side)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    _heat(share, ax, top=1.0)
    for (row, column), count in np.ndenumerate(counts):
        ax.text(column, row, f"{count:,.0f}", ha="center", va="center")
    _label(ax, labels, labels)
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def _matrix(values: Any, shape: tuple[int | None, ...], name: str) -> np.ndarray:
    """The values as a float array, whose shape must be this one (None: any length)."""
    array = as_array(values)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if want is None else want for want in shape)
        raise ValueError(f"{name} has shape {array.shape}, the labels ask for {wanted}")
    return array


def _heat(values: np.ndarray, ax: Axes, *, top: float, numbers: str | None = None) -> Any:
    # "none" keeps one pixel a cell, which browsers draw with sharp edges.
    image = ax.imshow(values, cmap=page_ramp(), vmin=0.0, vmax=top, interpolation="none")
    ax.spines[:].set_visible(True)
    if numbers is not None and max(values.shape) <= LARGEST_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ax.text(column, row, numbers.format(value), ha="center", va="center", fontsize=9.5)
    return image


def _label(ax: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Words along both axes; a $ in a word is a $, not mathematics."""
    names = [show_token(word) for word in columns]
    turned = max(map(len, names), default=0) > 3
    ax.set_yticks(range(len(rows)), [show_token(word) for word in rows], parse_math=False)
    ax.set_xticks(
        range(len(names)),
        names,
        parse_math=False,
        rotation=50 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    ax.tick_params(length=0, labelsize=9.5)

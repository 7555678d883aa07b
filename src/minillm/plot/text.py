"""Bars and words: comparisons, next-token distributions, where the surprise sits in a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from minillm.plot.style import BLUE, INK, ORANGE, as_array, axes_or_new, page_ramp, show_token

LINE = 60
"""Characters in a line of text."""


def bars(
    labels: Sequence[str],
    values: Any,
    *,
    errors: Any = None,
    number: str = "{:.3g}",
    ax: Axes | None = None,
) -> Axes:
    """Horizontal bars, the first at the top, with their values beside them.

    Args:
        labels: N names.
        values: N numbers.
        errors: half lengths of error bars, N numbers or one; None for none.
        number: how a value is written, as for `str.format`.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If labels and values differ in number.

    Book: chapter "Classification, sentiment, moderation".
    """
    heights = as_array(values)
    if heights.shape != (len(labels),):
        raise ValueError(f"{len(labels)} labels for values of shape {heights.shape}")
    ax = axes_or_new(ax, height=0.9 + 0.32 * len(labels))
    errors = None if errors is None else as_array(errors)
    drawn = ax.barh(range(len(labels)), heights, xerr=errors, color=BLUE, ecolor=INK, height=0.7)
    ax.bar_label(drawn, [number.format(value) for value in heights], padding=4, fontsize=9.5)
    ax.set_yticks(range(len(labels)), labels, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    return ax


def distribution(
    tokens: Sequence[str], probabilities: Any, *, n: int = 10, ax: Axes | None = None
) -> Axes:
    """The n most probable tokens as bars, the most probable at the top.

    Args:
        tokens: V words.
        probabilities: V numbers, a tensor or an array.
        n: how many to show.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If tokens and probabilities differ in number.

    Book: chapter "Predicting the next word".
    """
    p = as_array(probabilities)
    if p.shape != (len(tokens),):
        raise ValueError(f"{len(tokens)} tokens for probabilities of shape {p.shape}")
    best = np.argsort(-p, kind="stable")[:n]
    names = [show_token(tokens[i]) for i in best]
    ax = bars(names, p[best], number="{:.1%}", ax=ax)
    ax.set_xlabel("probability")
    return ax


def surprisal(tokens: Sequence[str], bits: Any, *, ax: Axes | None = None) -> Axes:
    """A text whose tokens are the stronger coloured the less the model expected them.

    Args:
        tokens: N pieces of the text, in order.
        bits: -log2 of the probability of each, N numbers.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If tokens and bits differ in number, or there are none.

    Book: chapter "Predicting the next word".
    """
    values = as_array(bits)
    if values.shape != (len(tokens),) or not len(tokens):
        raise ValueError(f"{len(tokens)} tokens for bits of shape {values.shape}")
    words = [show_token(token) for token in tokens]
    places = _wrap([len(word) for word in words])
    n_lines = 1 + places[-1][1]
    ax = axes_or_new(ax, height=0.7 + 0.34 * n_lines)
    ramp, scale = page_ramp(ORANGE, 0.65), Normalize(0.0, max(float(values.max()), 1e-9))
    for word, value, (column, line) in zip(words, values, places, strict=True):
        width = len(word)
        cell = Rectangle((column, line), width, 0.86, facecolor=ramp(scale(value)), linewidth=0)
        ax.add_patch(cell)
        ax.text(
            column + width / 2, line + 0.43, word, ha="center", va="center",
            family="monospace", fontsize=10, parse_math=False,
        )  # fmt: skip
    longest = max(column + len(word) for word, (column, _) in zip(words, places, strict=True))
    ax.set(xlim=(0, max(LINE, longest)), ylim=(n_lines, 0))
    ax.axis("off")
    ax.figure.colorbar(
        ScalarMappable(scale, ramp), ax=ax, label="bits", orientation="vertical", fraction=0.04
    )
    return ax


def _wrap(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Column and line of each token when lines are at most `LINE` characters long."""
    places, column, line = [], 0, 0
    for length in lengths:
        if column and column + length > LINE:
            column, line = 0, line + 1
        places.append((column, line))
        column += length
    return places

"""The book's look: one page width, colours that most eyes can tell apart, two themes.

Figures are SVG. Paper, ink and grid have fixed colours that nothing else uses, so that a page can
replace them when it turns dark; every other colour has a contrast of at least 3 : 1 with both
pages. Heat maps are a colour that grows from transparent to solid, so that zero is the page itself
and numbers in ink can be read on every cell, on a light page and on a dark one.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb

PAPER, INK, GRID = "#fefefe", "#1f2328", "#c9cdd2"
"""The three colours that a page may replace."""

COLORS = ("#1779b8", "#d55e00", "#008f68", "#b85f91", "#a97200", "#7f7f7f")
"""For lines and bars: Okabe and Ito's palette, moved to middle lightness for both themes."""

BLUE, ORANGE = COLORS[:2]
SIZE = (7.0, 3.6)
"""Inches; 7 in = 672 px in a browser, which fits the text column."""

RC: Any = {
    "figure.figsize": SIZE,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 10.5,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "minillm",
}


def use_book_style() -> None:
    """Make every figure from here on look like the book's, and notebooks show SVG.

    Sets matplotlib's defaults. In a notebook it also asks for SVG without a date, so that the same
    figure is the same file whenever it is drawn.

    Book: chapter "Predicting the next word".
    """
    mpl.rcParams.update(RC)
    ipython = sys.modules.get("IPython")
    if ipython is not None and hasattr(ipython.get_ipython(), "kernel"):
        inline = importlib.import_module("matplotlib_inline.backend_inline")
        inline.set_matplotlib_formats("svg", metadata={"Date": None})


def page_ramp(color: str = BLUE, strength: float = 0.75) -> LinearSegmentedColormap:
    """A colour map from transparent (0, the page itself) to a colour's full strength.

    At its default blue, ink has a contrast of at least 4.5 : 1 with every step on both pages.

    Args:
        color: the colour.
        strength: opacity of the largest value.

    Example:
        >>> [float(page_ramp()(value)[3]) for value in (0.0, 1.0)]
        [0.0, 0.75]

    Book: chapter "Attention from first principles".
    """
    rgb = to_rgb(color)
    return LinearSegmentedColormap.from_list(f"page{color}", [(*rgb, 0.0), (*rgb, strength)])


def axes_or_new(ax: Axes | None, *, width: float = SIZE[0], height: float = SIZE[1]) -> Axes:
    """The axes given, or those of a new figure of this size in inches.

    Book: chapter "Attention from first principles".
    """
    return plt.subplots(figsize=(width, height))[1] if ax is None else ax


def as_array(values: Any) -> np.ndarray:
    """A float array from a list, an array or a tensor on any device, also with a gradient.

    Example:
        >>> import torch
        >>> as_array(torch.tensor([0.5, 1.0], dtype=torch.bfloat16))
        array([0.5, 1. ])

    Book: chapter "Attention from first principles".
    """
    detach = getattr(values, "detach", None)
    return np.asarray(values if detach is None else detach().cpu().double(), dtype=float)


def show_token(token: str) -> str:
    """A token as it can be seen: spaces and line ends get a sign.

    Example:
        >>> show_token(" cat"), show_token(chr(10))
        ('␣cat', '⏎')

    Book: chapter "From text to tokens".
    """
    return token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")

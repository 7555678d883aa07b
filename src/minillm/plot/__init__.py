"""The book's figures. Needs matplotlib, which `import minillm` alone does not load.

Every function takes what is to be drawn and optionally the axes, and returns the axes, so that a
chapter can add to them; none shows anything by itself.
"""

from .curves import history, reliability, runs
from .live import LivePlot
from .maps import attention, attention_grid, confusion
from .style import COLORS, GRID, INK, PAPER, page_ramp, use_book_style
from .text import bars, distribution, surprisal

__all__ = [
    "COLORS",
    "GRID",
    "INK",
    "PAPER",
    "LivePlot",
    "attention",
    "attention_grid",
    "bars",
    "confusion",
    "distribution",
    "history",
    "page_ramp",
    "reliability",
    "runs",
    "surprisal",
    "use_book_style",
]

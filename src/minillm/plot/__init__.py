"""The book's figures. Needs matplotlib, which `import minillm` alone does not load.

Every function takes what is to be drawn and optionally the axes, and returns the axes, so that a
chapter can add to them; none shows anything by itself.
"""

from minillm.plot.curves import history, reliability, runs
from minillm.plot.live import LivePlot
from minillm.plot.maps import attention, attention_grid, confusion
from minillm.plot.style import COLORS, GRID, INK, PAPER, page_ramp, use_book_style
from minillm.plot.text import bars, distribution, surprisal

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

"""A curve that grows while a model trains.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from minillm.notebook import in_notebook
from minillm.plot.curves import history
from minillm.training.history import Record
from minillm.training.trainer import Trainer


class LivePlot:
    """A callback that draws the history of the run again and again, in one place.

    In a notebook one picture is replaced, so a built page keeps only the last one; elsewhere the
    figure is drawn and shown by nobody, to be saved by whoever wants it.

    Args:
        columns: fields of `Record`, as in `history`.
        baselines: values to beat.
        every: seconds between two drawings; the last update is always drawn.

    Attributes:
        figure: matplotlib's figure, None before the first drawing.

    Raises:
        ValueError: If a column is unknown.

    Book: chapter "Pretraining".
    """

    def __init__(
        self,
        *,
        columns: Sequence[str] = ("loss", "val_loss"),
        baselines: Mapping[str, float] | None = None,
        every: float = 2.0,
    ) -> None:
        self.columns, self.baselines, self.every = tuple(columns), baselines, every
        self.figure: Any = None
        self._place: Any = None  # the notebook's handle of the picture
        self._drawn = -math.inf

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Draw if the picture is older than `every` seconds, or the run is over."""
        last = record.step == trainer.config.steps
        due = last or time.monotonic() - self._drawn >= self.every
        # A column that is measured now and then may have no value yet.
        if due and any(trainer.history.steps(name) for name in self.columns):
            self._draw(trainer)
            self._drawn = time.monotonic()

    def _draw(self, trainer: Trainer) -> None:
        if self.figure is None:
            self.figure = plt.figure()
            plt.close(self.figure)  # or the notebook would show it once more below the cell
        self.figure.clear()
        axes = self.figure.add_subplot()
        history(trainer.history, columns=self.columns, baselines=self.baselines, ax=axes)
        if not in_notebook():
            return
        if self._place is None:
            display = importlib.import_module("IPython.display").display
            self._place = display(self.figure, display_id=True)
        else:
            self._place.update(self.figure)

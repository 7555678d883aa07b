"""How far, how fast and how good a run is, on one line.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import importlib
import math
import time
from typing import Any

from tqdm import tqdm

from minillm.notebook import in_notebook
from minillm.training.history import Record
from minillm.training.trainer import Trainer


class Progress:
    """One line that says how far, how fast and how good.

    In a notebook one text output is updated in place, so a built page keeps a single line; in a
    terminal it is a bar of tqdm.

    Args:
        every: seconds between two updates of the line.

    Book: chapter "Pretraining".
    """

    def __init__(self, *, every: float = 0.5) -> None:
        self.every = every
        self._line: Any = None  # a tqdm bar or a notebook's display handle
        self._shown = -math.inf
        self._val_loss: float | None = None

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Show the record if the line is older than `every` seconds, or the run is over."""
        self._val_loss = self._val_loss if record.val_loss is None else record.val_loss
        last = record.step == trainer.config.steps
        if last or time.monotonic() - self._shown >= self.every:
            self._shown = time.monotonic()
            show = self._show_in_notebook if in_notebook() else self._show_in_terminal
            show(record, trainer.config.steps)

    def close(self) -> None:
        """End the bar of a run that was stopped, so that what is printed next begins a line."""
        if isinstance(self._line, tqdm):
            self._line.close()

    def _text(self, record: Record) -> str:
        rate = record.tokens / max(record.seconds, 1e-9)
        text = f"{rate:,.0f} tokens/s, loss {record.loss:.3f}"
        return text if self._val_loss is None else f"{text}, validation {self._val_loss:.3f}"

    def _show_in_terminal(self, record: Record, steps: int) -> None:
        if self._line is None:
            self._line = tqdm(total=steps, initial=record.step - 1, unit="step")
        self._line.set_postfix_str(self._text(record), refresh=False)
        self._line.update(record.step - self._line.n)
        if record.step == steps:
            self._line.close()

    def _show_in_notebook(self, record: Record, steps: int) -> None:
        meter = tqdm.format_meter(
            record.step,
            steps,
            record.seconds,
            ncols=90,
            unit="step",
            postfix=self._text(record),
            bar_format="{n_fmt}/{total_fmt} steps |{bar}| {elapsed}<{remaining}{postfix}",
        )
        if self._line is None:
            display = importlib.import_module("IPython.display").display
            self._line = display({"text/plain": meter}, raw=True, display_id=True)
        else:
            self._line.update({"text/plain": meter}, raw=True)

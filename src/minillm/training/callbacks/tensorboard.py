"""Write a run's numbers for TensorBoard, which is an extra of its own.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from minillm.training.history import Record
from minillm.training.trainer import Trainer


class TensorBoard:
    """Write losses, learning rate, gradient norm and speed to an event file.

    `tensorboard --logdir FOLDER` shows them. A resumed run goes on in the same folder; steps that
    had been written and are done again replace the old ones.

    Args:
        folder: where the event files go.

    Raises:
        ImportError: If TensorBoard is not installed.

    Book: chapter "Pretraining".
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            self._writer_class = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard is missing: pip install tensorboard") from error
        self.folder = Path(folder)
        self._writer: Any = None
        self._before: Record | None = None

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Write one record; the file is closed after the last update."""
        if self._writer is None:
            self._writer = self._writer_class(str(self.folder), purge_step=record.step)
        values = {
            "loss": record.loss,
            "val_loss": record.val_loss,
            "lr": record.lr,
            "grad_norm": record.grad_norm,
            "tokens_per_second": self._speed(record),
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, record.step)
        self._before = record
        if record.step == trainer.config.steps:
            self.close()

    def close(self) -> None:
        """Write what is waiting; needed only if a run ends before its last update."""
        if self._writer is not None:
            self._writer.close()

    def _speed(self, record: Record) -> float | None:
        """Tokens per second since the record before; nothing for the first one seen."""
        before = self._before
        if before is None or record.seconds <= before.seconds:
            return None
        return (record.tokens - before.tokens) / (record.seconds - before.seconds)

"""Checkpoints at regular steps, of which the latest are kept.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from pathlib import Path

from minillm.training.checkpoint.file import checkpoint_path, list_checkpoints, remove_checkpoint
from minillm.training.history import Record
from minillm.training.trainer import Trainer


class Checkpoint:
    """Save the run now and then, and keep the latest files.

    Args:
        folder: where files named by step go; `Trainer.resume(folder)` takes the newest.
        every: updates between checkpoints; one is also written after the last update.
        keep: how many of the latest to keep.

    Raises:
        ValueError: If `every` or `keep` is below 1.

    Book: chapter "Pretraining".
    """

    def __init__(self, folder: str | Path, *, every: int, keep: int = 2) -> None:
        if every < 1 or keep < 1:
            raise ValueError(f"every={every} and keep={keep} must be >= 1")
        self.folder, self.every, self.keep = Path(folder), every, keep

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Save if it is time; older files go only after the new one is complete."""
        if not due(record.step, self.every, trainer.config.steps):
            return
        newest = checkpoint_path(self.folder, record.step)
        trainer.save(newest)
        so_far = [path for path in list_checkpoints(self.folder) if path <= newest]
        for old in so_far[: -self.keep]:
            remove_checkpoint(old)


def due(step: int, every: int, last: int) -> bool:
    """Whether a step is a multiple of `every`, or the last one.

    Example:
        >>> [step for step in range(1, 11) if due(step, every=4, last=10)]
        [4, 8, 10]

    Book: chapter "Pretraining".
    """
    return step % every == 0 or step == last

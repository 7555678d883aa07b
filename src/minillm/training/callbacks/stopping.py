"""Stop when the validation loss no longer falls.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from minillm.training.history import History, Record
from minillm.training.stop import StopTraining
from minillm.training.trainer import Trainer


class EarlyStopping:
    """End a run whose validation loss has not fallen for some evaluations.

    The decision is made from the trainer's history, so a run that was resumed stops where it
    would have stopped, and one that was ended stays so unless it is given more patience.

    Args:
        patience: evaluations in a row without a new best that are allowed; one more ends the run.
        min_delta: a loss must be lower than the best by more than this to count, in nats.

    Raises:
        ValueError: If `patience` or `min_delta` is negative.

    Source: Prechelt (1998), "Early stopping — but when?", doi:10.1007/3-540-49430-8_3.
    Book: chapter "Pretraining".
    """

    def __init__(self, *, patience: int, min_delta: float = 0.0) -> None:
        if patience < 0 or min_delta < 0:
            raise ValueError(f"patience={patience} and min_delta={min_delta} must be >= 0")
        self.patience, self.min_delta = patience, min_delta

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Count the evaluations since the best one.

        Raises:
            StopTraining: If they are more than `patience`.
        """
        best, waited = self._waited(trainer.history)
        if record.val_loss is not None and waited > self.patience:
            raise StopTraining(
                f"step {record.step}: the validation loss has not fallen below {best:.4f} for "
                f"{waited} evaluations"
            )

    def is_over(self, history: History) -> bool:
        """Whether a run with this history was ended; asked before a resumed one goes on."""
        return self._waited(history)[1] > self.patience

    def _waited(self, history: History) -> tuple[float, int]:
        """The best validation loss, and the evaluations since."""
        best, waited = float("inf"), 0
        for loss in history.column("val_loss"):
            better = loss < best - self.min_delta
            best, waited = (loss, 0) if better else (best, waited + 1)
        return best, waited

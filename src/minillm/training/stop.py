"""How a callback ends a run early."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minillm.training.history import History, Record


class StopTraining(Exception):  # noqa: N818 - a wish, not an error
    """Raised by a callback to end a run early; `Trainer.fit` returns as if it were over.

    The other callbacks still get the record. Of several processes all stop, whichever it is in.

    Book: chapter "Pretraining".
    """


def is_over(callback: object, history: History) -> bool:
    """Whether a callback had ended the run of this history; most never end one."""
    ended: Callable[[History], bool] | None = getattr(callback, "is_over", None)
    return ended is not None and ended(history)


def wish_to_stop(callbacks: Iterable[Callable[[Any, Record], None]], by: Any, at: Record) -> bool:
    """Call all callbacks, also those behind one that wishes to stop: what they do is still due.

    Args:
        callbacks: in this order.
        by: the trainer, for them.
        at: the latest record, for them.

    Example:
        >>> def stop(trainer, record):
        ...     raise StopTraining
        >>> record = Record(step=1, tokens=8, loss=2.0, lr=0.1, grad_norm=1.0, seconds=0.5)
        >>> wish_to_stop([stop, lambda trainer, record: print(record.step)], None, record)
        1
        True

    Book: chapter "Pretraining".
    """
    wish = False
    for callback in callbacks:
        try:
            callback(by, at)
        except StopTraining:
            wish = True
    return wish

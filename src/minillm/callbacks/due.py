"""When something that happens now and then is due.

Book: chapter "Pretraining".
"""

from __future__ import annotations


def due(step: int, every: int, last: int) -> bool:
    """Whether a step is a multiple of `every`, or the last one.

    Example:
        >>> [step for step in range(1, 11) if due(step, every=4, last=10)]
        [4, 8, 10]

    Book: chapter "Pretraining".
    """
    return step % every == 0 or step == last

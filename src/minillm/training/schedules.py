"""How fast a run goes: the learning rate as a pure function of the step.

The rate rises first and falls at the end; nothing about it has to be saved. Papers: Loshchilov and
Hutter (2017), arXiv:1608.03983 (cosine); Hu et al. (2024), arXiv:2404.06395 (warm-up, stable,
decay). Chapter "Pretraining".
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minillm.training.config import TrainConfig


def warmup_cosine(step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1) -> float:
    """Learning rate as a part of its peak: a linear rise, then half a cosine down.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise; the peak is reached at its end.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [round(warmup_cosine(s, steps=6, warmup_steps=2, min_ratio=0.0), 2) for s in range(7)]
        [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]

    Source: Loshchilov and Hutter (2017), arXiv:1608.03983.
    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = _progress(step, warmup_steps, steps)
    return min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * done))


def warmup_linear(step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1) -> float:
    """Learning rate as a part of its peak: a linear rise, then a linear fall.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [warmup_linear(s, steps=6, warmup_steps=2, min_ratio=0.0) for s in range(7)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]

    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (1 - min_ratio) * _progress(step, warmup_steps, steps)


def warmup_stable_decay(
    step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1
) -> float:
    """Learning rate as a part of its peak: a rise, a plateau, a fall in the last fifth.

    A run on the plateau may be prolonged: its past does not depend on where the end will be.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [warmup_stable_decay(s, steps=10, warmup_steps=2, min_ratio=0.0) for s in (0, 5, 8, 9)]
        [0.5, 1.0, 1.0, 0.5]

    Source: Hu et al. (2024), arXiv:2404.06395, section 4.
    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (1 - min_ratio) * _progress(step, max(warmup_steps, steps - steps // 5), steps)


def _progress(step: int, start: int, end: int) -> float:
    """How much of the way from start to end is done, held between 0 and 1."""
    return min(max((step - start) / max(1, end - start), 0.0), 1.0)


SCHEDULES: dict[str, Callable[..., float]] = {
    "cosine": warmup_cosine,
    "linear": warmup_linear,
    "stable": warmup_stable_decay,
}


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """The part of the peak learning rate that `config` gives to an update.

    Example:
        >>> learning_rate_factor(0, TrainConfig(steps=100, warmup_steps=10))
        0.1

    Book: chapter "Pretraining".
    """
    return SCHEDULES[config.schedule](
        step,
        steps=config.steps,
        warmup_steps=config.warmup_steps,
        min_ratio=config.min_lr_ratio,
    )

"""An average of the weights over the last updates, which is often better than the last weights.

Towards the end of a run the weights wander around a good point, as every batch pulls them its own
way; their average lies nearer to it. A falling learning rate has the same effect, so an average
gains most where the rate is constant. Left out: averages of buffers, which the models here lack.

Source: Polyak and Juditsky (1992), doi:10.1137/0330046. Chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of a model's parameters.

    a ← β a + (1 − β) w after every update, with β = min(decay, (1 + n) / (10 + n)) at update n:
    as long as there is little to remember, the beginning is forgotten sooner.

    Args:
        model: whose parameters are averaged; it starts as their copy.
        decay: β, below 1; about 1 / (1 − β) updates are remembered.

    Attributes:
        weights: the averages by the names of the parameters.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> average = WeightAverage(model, 0.5)
        >>> _ = nn.init.ones_(model.weight)
        >>> average.update(100)
        >>> average.weights["weight"].item(), model.weight.item()
        (0.5, 1.0)

    Source: Polyak and Juditsky (1992), doi:10.1137/0330046.
    Book: chapter "Pretraining".
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the present parameters in, after update number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, p in self.model.named_parameters():
            self.weights[name].lerp_(p, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averages for parameters; then it is as it was."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, p in self.model.named_parameters():
            present = p.clone()
            p.copy_(self.weights[name])
            self.weights[name].copy_(present)

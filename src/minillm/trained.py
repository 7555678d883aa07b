"""What training changes: the large things that a checkpoint has to hold.

Chapter "Pretraining".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .ema import WeightAverage


@dataclass(frozen=True)
class Trained:
    """Everything large that an update changes.

    Args:
        model: its parameters may be slices (FSDP2).
        optimizer: with its memory of gradients.
        average: averaged weights, if the run keeps them.

    Book: chapter "Pretraining".
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None

    @property
    def averages(self) -> dict[str, Tensor]:
        """The averaged weights by name; none if the run does not keep them."""
        return {} if self.average is None else self.average.weights

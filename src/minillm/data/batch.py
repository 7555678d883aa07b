"""What a model reads and what it should say."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

IGNORE = -100
"""A target with this value is not counted by any loss."""


@dataclass(frozen=True)
class Batch:
    """What a model reads and what it should say.

    Shape:
        inputs: (B, T); targets: (B, T) ids of the next tokens or (B,) classes; mask: (B, T), True
        for real tokens and False for padding, or None where there is no padding.

    Example:
        >>> batch = Batch(torch.zeros(5, 3), torch.zeros(5, 3))
        >>> [len(part.inputs) for part in batch.split(2)]
        [2, 2, 1]

    Book: chapter "Pretraining".
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def split(self, size: int) -> list[Batch]:
        """Parts of at most `size` rows, for gradient accumulation.

        Raises:
            ValueError: If `size` is below 1.
        """
        if size < 1:
            raise ValueError(f"a part needs at least 1 row, asked for {size}")
        starts = range(0, len(self), size)
        return [self._rows(slice(start, start + size)) for start in starts]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), mask)

    def _rows(self, rows: slice) -> Batch:
        mask = None if self.mask is None else self.mask[rows]
        return Batch(self.inputs[rows], self.targets[rows], mask)


class BatchSource(Protocol):
    """Data for training: the batch of a step depends on nothing but the step."""

    def batch(self, step: int, size: int, /) -> Batch:
        """Return `size` sequences, the same ones whenever asked for this step."""


def read_once(data: BatchSource, *, size: int, most: int) -> Iterator[Batch]:
    """Batches 0, 1, … of at most `size` rows, and no row twice.

    Data that know their length begin again after the last row; here the last batch is cut instead.

    Args:
        data: the rows.
        size: rows of a batch.
        most: the largest number of batches.
    """
    rows = most * size
    if isinstance(data, Sized):
        rows = min(rows, len(data))
    for number, start in enumerate(range(0, rows, size)):
        yield data.batch(number, size).split(min(size, rows - start))[0]

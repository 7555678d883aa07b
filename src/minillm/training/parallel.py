"""What a training run must know of its fellow processes; here: that there are none.

`torchrun` starts one process, a rank, for each device. Every rank takes its rows of the same batch
and divides its sum of losses by the number of all targets, so the gradients of the ranks add up to
that of one process. `Parallel` is the interface and the case of one process; `distributed` has the
others and costs the import of `torch.distributed.fsdp`, which is why it is a file of its own.
Chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from minillm.data.batch import IGNORE, Batch

Mode = Literal["ddp", "fsdp"]


class Parallel:
    """One process, which has everything and waits for nobody.

    Args:
        rank: the number of this process, from 0; only rank 0 writes files and reports.
        world_size: how many processes there are.

    Attributes:
        sharded: whether a process holds only a slice of every parameter.

    Book: chapter "Pretraining".
    """

    sharded = False

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size

    def wrap(self, model: nn.Module) -> nn.Module:
        """What to call instead of the model; before the optimiser is made."""
        return model

    def no_sync(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        """Within the block the ranks add up no gradients, unless it is the last part of a batch."""
        return nullcontext()

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, on every rank."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """What each rank has, in the order of ranks, on every rank."""
        return [value]

    def anyone(self, wish: bool, device: torch.device) -> bool:  # noqa: ARG002
        """Whether at least one rank has a wish, on every rank; `device` is the model's."""
        return wish

    def wait(self) -> None:
        """Go on only when all ranks have come here."""

    def share(self, batch: Batch, *, idle: bool = False) -> Batch:
        """This rank's rows of a batch: every world_size-th, and equally many on each rank.

        Where a row is lacking another one stands in, without targets. It adds nothing to loss and
        gradient, but all ranks do the same number of passes and none waits for ever.

        Args:
            batch: the whole batch, the same on every rank.
            idle: whether a rank may be without a row of its own.

        Raises:
            ValueError: If there are fewer rows than ranks, and none may be idle.

        Example:
            >>> batch = Batch(torch.tensor([[1], [2], [3]]), torch.tensor([[4], [5], [6]]))
            >>> mine = Parallel(rank=1, world_size=2).share(batch)
            >>> mine.inputs.tolist(), mine.targets.tolist()
            ([[2], [2]], [[5], [-100]])
        """
        if len(batch) < self.world_size and not idle:
            raise ValueError(
                f"a batch of {len(batch)} has no row for each of world_size={self.world_size} ranks"
            )
        if self.world_size == 1:
            return batch
        rows = torch.arange(self.rank, len(batch), self.world_size)
        own = len(rows)
        lacking = -(-len(batch) // self.world_size) - own  # 0 or 1
        stand_in = rows[:1] if own else rows.new_zeros(1)
        rows = torch.cat((rows, stand_in[:lacking]))
        targets = batch.targets[rows]
        targets[own:] = IGNORE
        mask = None if batch.mask is None else batch.mask[rows]
        return Batch(batch.inputs[rows], targets, mask)


def full_tensor(x: Tensor) -> Tensor:
    """All of a tensor of which this process may hold a slice only; every rank has to ask.

    Book: chapter "Pretraining".
    """
    gather: Callable[[], Tensor] | None = getattr(x, "full_tensor", None)
    return x if gather is None else gather()


def shard_like(x: Tensor, other: Tensor) -> Tensor:
    """This process's slice of a whole tensor, cut as another one of the same shape is.

    What is not of that shape (a count of steps) or already cut is returned as it is.

    Book: chapter "Pretraining".
    """
    if not is_sliced(other) or is_sliced(x) or x.shape != other.shape:
        return x
    from torch.distributed.tensor import DTensor, distribute_tensor  # noqa: PLC0415 - costs 0.7 s

    assert isinstance(other, DTensor)
    # Every rank cuts its own copy: nothing is sent.
    x = x.to(other.device)
    return distribute_tensor(x, other.device_mesh, other.placements, src_data_rank=None)


def is_sliced(x: Tensor) -> bool:
    """Whether a tensor is spread over processes (torch's DTensor).

    Book: chapter "Pretraining".
    """
    return hasattr(x, "full_tensor")

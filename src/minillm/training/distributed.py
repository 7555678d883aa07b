"""More than one device: DDP and FSDP2 behind the interface of `Parallel`.

With DDP every rank holds the whole model, and gradients are averaged while they are computed. With
FSDP2 every rank holds a slice of each parameter, of its gradient and of the optimiser's memory; a
block's slices are brought together when the block is needed and dropped afterwards. Both average
over ranks, where a sum is wanted: the trainer multiplies its loss by the number of ranks.

    with distributed.session("fsdp") as parallel:  # in a program started by torchrun
        Trainer(model, config, data, parallel=parallel).fit()

Left out: tensor and pipeline parallelism. Sources: Li et al. (2020), arXiv:2006.15704 (DDP); Zhao
et al. (2023), arXiv:2304.11277 (FSDP). Chapter "Pretraining".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, cast, get_args

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from minillm.training.parallel import Mode, Parallel


class Replicated(Parallel):
    """DDP: every rank holds the whole model and does every update.

    From `wrap` on rank r draws its random numbers from the seed plus r, so that ranks do not drop
    the same units; with dropout a curve therefore depends on the number of ranks.

    Source: Li et al. (2020), arXiv:2006.15704.
    Book: chapter "Pretraining".
    """

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give all ranks the parameters of rank 0, and the model in torch's DDP.

        Raises:
            ValueError: If the model is where processes cannot talk, as on Apple's MPS.
        """
        self._begin(model)
        return DistributedDataParallel(model)

    def no_sync(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Within the block the ranks add up no gradients, unless it is the last part of a batch."""
        if last:
            return nullcontext()
        paused: AbstractContextManager[None] = cast(DistributedDataParallel, wrapped).no_sync()
        return paused

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, on every rank."""
        value = value.clone()
        dist.all_reduce(value)
        return value

    def gather(self, value: Any) -> list[Any]:
        """What each rank has, in the order of ranks, on every rank."""
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def anyone(self, wish: bool, device: torch.device) -> bool:
        """Whether at least one rank has a wish, on every rank; `device` is the model's."""
        return self.sum(torch.tensor(float(wish), device=device)).item() > 0

    def wait(self) -> None:
        """Go on only when all ranks have come here."""
        dist.barrier()

    def _begin(self, model: nn.Module) -> None:
        device = next(model.parameters()).device
        if device.type not in {"cpu", "cuda"}:
            raise ValueError(
                f"the model is on {device}, but {self.world_size} processes need cpu or cuda"
            )
        for tensor in (*model.parameters(), *model.buffers()):
            dist.broadcast(tensor.detach(), src=0)
        if self.rank:
            torch.manual_seed(torch.initial_seed() + self.rank)


class Sharded(Replicated):
    """FSDP2: every rank holds a slice of each parameter and updates that slice.

    The members of a `ModuleList` (the blocks) are brought together one at a time; what is outside,
    as embedding and head, stays together with the model. The model is changed in place.

    Source: Zhao et al. (2023), arXiv:2304.11277.
    Book: chapter "Pretraining".
    """

    sharded = True

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give all ranks the parameters of rank 0, then leave to each its slices.

        Raises:
            ValueError: If the model is where processes cannot talk, as on Apple's MPS.
        """
        self._begin(model)
        mesh = init_device_mesh(next(model.parameters()).device.type, (self.world_size,))
        # From the inside out: torch wants a block sliced before the block that holds it.
        for blocks in reversed([m for m in model.modules() if isinstance(m, nn.ModuleList)]):
            for block in blocks:
                fully_shard(block, mesh=mesh)
        # The outermost slices come apart too: after an evaluation no backward pass does it.
        fully_shard(model, mesh=mesh, reshard_after_forward=True)
        if hasattr(model, "next_logits"):  # a second way in, by which `generate` reads a prompt
            register_fsdp_forward_method(model, "next_logits")
        return model

    def no_sync(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Have gradients added up at the end of the last part of a batch only."""
        cast(FSDPModule, wrapped).set_requires_gradient_sync(last)
        return nullcontext()


STRATEGIES: dict[Mode, type[Parallel]] = {"ddp": Replicated, "fsdp": Sharded}


@contextmanager
def session(mode: Mode = "ddp", *, timeout: float = 600.0) -> Iterator[Parallel]:
    """Join the processes that `torchrun` has started, and leave them at the end of the block.

    Without torchrun this is one process, so that one program serves both. GPUs talk by NCCL, CPUs
    by Gloo; each process gets the GPU of its local rank as the current one.

    Args:
        mode: "ddp" or "fsdp".
        timeout: seconds after which waiting for a rank that has died is an error.

    Raises:
        ValueError: If there is no such mode.

    Example:
        >>> with session() as parallel:
        ...     parallel.rank, parallel.world_size
        (0, 1)

    Book: chapter "Pretraining".
    """
    if mode not in STRATEGIES:
        raise ValueError(f"mode={mode!r} is not one of {get_args(Mode)}")
    if "WORLD_SIZE" not in os.environ:
        yield Parallel()
        return
    gpu = torch.cuda.is_available()
    # With a GPU too, Gloo carries what is on the CPU: objects, barriers, a run with device="cpu",
    # which may have more processes than there are GPUs.
    own = os.environ.get("LOCAL_RANK")
    if gpu and own is None:
        raise ValueError("WORLD_SIZE is set but LOCAL_RANK is not: start the program by torchrun")
    if gpu and own is not None and int(own) < torch.cuda.device_count():
        torch.cuda.set_device(int(own))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=timedelta(seconds=timeout)
    )
    try:
        yield STRATEGIES[mode](dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()

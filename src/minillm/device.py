"""Where to compute, and how much.

The two questions every chapter asks once, in its first cell: which device is the fastest here, and
how large may this experiment be on it? Nothing is set globally: the answers are plain values that
the chapter passes on.
"""

from __future__ import annotations

from typing import TypeVar

import torch

Choice = TypeVar("Choice")


def best_device() -> torch.device:
    """The fastest device torch can use here: CUDA, else Apple's MPS, else the CPU.

    Returns:
        A `torch.device`, to be passed to `model.to(...)` and `tensor.to(...)`.

    Example:
        >>> best_device().type in {"cuda", "mps", "cpu"}
        True

    Book: chapter "Pretraining".
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def pick(*, cpu: Choice, gpu: Choice) -> Choice:
    """The one size dial of a chapter: `cpu` where there is only a CPU, else `gpu`.

    Args:
        cpu: a size that takes seconds on two CPU cores.
        gpu: a size that takes seconds on a graphics card.

    Example:
        >>> pick(cpu=200, gpu=2_000) in {200, 2_000}
        True

    Book: chapter "Pretraining".
    """
    return cpu if best_device().type == "cpu" else gpu

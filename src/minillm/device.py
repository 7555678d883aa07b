"""Where to compute, and how much.

The two questions every chapter asks once, in its first cell: which device is the fastest here, and
how large may this experiment be on it? Nothing is set globally: the answers are plain values that
the chapter passes on.
"""

from __future__ import annotations

import os
import time
from functools import cache

import torch
from torch import Tensor


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


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Whether a product in bfloat16 is at least about as fast as one in float32 on this device.

    A processor without instructions for bfloat16 converts every number on its way, and a product
    can take fifty times as long as in float32. Flags of the hardware are asked first; where they
    do not say yes, one small product is timed, once a process. The environment variable
    `MINILLM_FAST_BFLOAT16`, 0 or 1, answers instead.

    Args:
        device: where the products would be computed.

    Example:
        >>> has_fast_bfloat16("cpu") in {True, False}
        True

    Book: chapter "Pretraining".
    """
    told = os.environ.get("MINILLM_FAST_BFLOAT16")
    if told is not None:
        if told not in {"0", "1"}:
            raise ValueError(f"MINILLM_FAST_BFLOAT16 must be 0 or 1, got {told!r}")
        return told == "1"
    return _measured_bfloat16(torch.device(device).type)


def fast_dtype(device: torch.device | str) -> torch.dtype:
    """The type for products that need few digits: bfloat16 where it is fast, else float32.

    Book: chapter "Pretraining".
    """
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32


@cache
def _measured_bfloat16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    ):
        return True
    return _seconds(kind, torch.bfloat16) < 1.5 * _seconds(kind, torch.float32)


def _seconds(kind: str, dtype: torch.dtype) -> float:
    """The shortest of three products of 256 × 256, the first of which warms up."""
    square: Tensor = torch.ones(256, 256, device=kind, dtype=dtype)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        (square @ square)[0, 0].item()  # waits until the device has finished
        times.append(time.perf_counter() - start)
    return min(times)


def find_device(name: str) -> torch.device:
    """The device of this name, "auto" for the fastest, after a try.

    Raises:
        ValueError: If there is no such device here.

    Example:
        >>> find_device("cpu")
        device(type='cpu')

    Book: chapter "Pretraining".
    """
    if name == "auto":
        return best_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}") from None

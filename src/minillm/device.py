"""Where to compute, and with what.

Which device is the fastest here, which number type is fast on it, and how many threads of a CPU
help? The answers are plain values that a chapter passes on; the number of threads alone is set for
the whole process, because torch has no other way.
"""

from __future__ import annotations

import os
import time
from functools import cache

import torch
from torch import Tensor


def best_device() -> torch.device:
    """The fastest device torch can use here: CUDA, else Apple's MPS, else the CPU.

    The environment variable `MINILLM_DEVICE` answers instead, such as "cpu" or "cuda:1"; "auto" is
    as if it were not there.

    Returns:
        A `torch.device`, to be passed to `model.to(...)` and `tensor.to(...)`.

    Raises:
        ValueError: If `MINILLM_DEVICE` names a device that is not here.

    Example:
        >>> best_device().type in {"cuda", "mps", "cpu"}
        True

    Book: chapter "Pretraining".
    """
    if (told := os.environ.get("MINILLM_DEVICE", "auto")) != "auto":
        return _tried(told, f"MINILLM_DEVICE={told!r}")
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


def choose_threads() -> int:
    """Compute on the CPU with one thread or with all that torch would take, whichever is faster.

    Two threads on two idle cores can halve the time of a product; on two busy or virtual cores they
    wait for each other, and the same product takes several times as long as with one. No flag
    tells which is the case, so a small step forward and back is timed with each. Where the
    environment variable `OMP_NUM_THREADS` is set, its owner has decided, and nothing is changed.

    Returns:
        The number of threads that torch uses from now on.

    Example:
        >>> 1 <= choose_threads() <= (os.cpu_count() or 1)
        True

    Book: chapter "Pretraining".
    """
    most = torch.get_num_threads()
    if most > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min((1, most), key=_seconds_with_threads))
    return torch.get_num_threads()


def _seconds_with_threads(count: int) -> float:
    """The median time of a small training step; the first ones wake the threads."""
    torch.set_num_threads(count)
    x, weight = torch.ones(512, 128), torch.ones(128, 512, requires_grad=True)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        torch.nn.functional.gelu(x @ weight).sum().backward()
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[2]


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
    return best_device() if name == "auto" else _tried(name, f"device {name!r}")


def _tried(name: str, told: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{told} cannot be used here: {reason}") from None

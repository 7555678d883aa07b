"""Which machine a benchmark ran on, in one line that its result keeps."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from minillm import has_fast_bfloat16

CPUINFO = Path("/proc/cpuinfo")


def machine() -> str:
    """The processor, the threads that torch uses, and whether bfloat16 is fast on it."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    bfloat16 = "fast" if has_fast_bfloat16("cpu") else "slow"
    return f"{name}, {torch.get_num_threads()} threads, bfloat16 {bfloat16}"


if __name__ == "__main__":
    print(machine())

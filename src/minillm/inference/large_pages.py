"""Weights side by side in memory that is mapped in large pieces.

A processor finds the place of each page of memory in a table, and reads ahead only within a page.
Pages of 4 KiB make a model that is read from end to end for every token stop at each of them; those
of 2 MiB make five hundred times fewer stops. `benchmarks/generation.py` shows what that saves.
Chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate

import torch
from torch import Tensor

LARGE = 2 << 20
"""Bytes of a large page on x86-64 and most ARM machines."""
LINE = 64
"""Bytes of a cache line: every tensor begins at one."""


def in_large_pages(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copy tensors, one behind the other, into memory for which large pages are asked.

    Only Linux is asked, and it may refuse: then the memory is ordinary, the values the same.

    Args:
        tensors: on the CPU, of any types.

    Shape:
        returns as many tensors of the same shapes and types, contiguous.

    Example:
        >>> copies = in_large_pages([torch.arange(3), torch.ones(2, 2)])
        >>> [copy.tolist() for copy in copies]
        [[0, 1, 2], [[1.0, 1.0], [1.0, 1.0]]]

    Source: Linux, `madvise(2)`, MADV_HUGEPAGE.
    Book: chapter "A GPT, and the real thing".
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return [tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors]
    sizes = [-(-tensor.nbytes // LINE) * LINE for tensor in tensors]
    memory = mmap.mmap(-1, sum(sizes) + LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % LARGE  # the first place where a large page begins
    places = accumulate(sizes, initial=start)
    return [
        whole[place : place + tensor.nbytes].view(tensor.dtype).view(tensor.shape).copy_(tensor)
        for place, tensor in zip(places, tensors, strict=False)
    ]

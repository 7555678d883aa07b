"""How a GGUF file stores weights in few bits, and how to get floats back.

A quantised tensor is cut into blocks of 32 weights along its rows; a block stores one or two 16-bit
numbers and a small integer for each weight, here of 4 or 8 bits. Left out on purpose: K-quants,
whose blocks of 256 nest a second level of scales.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 32
LOW_HALVES = 0x0F0F_0F0F_0F0F_0F0F


def dequantise_q8_0(blocks: Tensor) -> Tensor:
    """Blocks of one scale d and 32 signed bytes q: weight = d · q.

    Shape:
        blocks: (n, 34) bytes → (n, 32) float32

    Example:
        >>> scale = torch.tensor([0.5], dtype=torch.float16).view(torch.uint8)
        >>> dequantise_q8_0(torch.cat((scale, torch.arange(32, dtype=torch.uint8)))[None])[0, :3]
        tensor([0.0000, 0.5000, 1.0000])

    Book: chapter "A GPT, and the real thing".
    """
    return blocks[:, 2:].view(torch.int8).float().mul_(_half(blocks, 0))


def dequantise_q4_0(blocks: Tensor) -> Tensor:
    """Blocks of one scale d and 32 nibbles q: weight = d · (q − 8).

    Byte i holds weight i in its low four bits and weight i + 16 in its high four.

    Shape:
        blocks: (n, 18) bytes → (n, 32) float32

    Book: chapter "A GPT, and the real thing".
    """
    return _nibbles(blocks[:, 2:]).sub_(8.0).mul_(_half(blocks, 0))


def dequantise_q4_1(blocks: Tensor) -> Tensor:
    """Blocks of a scale d, a minimum m and 32 nibbles q: weight = d · q + m.

    Shape:
        blocks: (n, 20) bytes → (n, 32) float32

    Book: chapter "A GPT, and the real thing".
    """
    return _nibbles(blocks[:, 4:]).mul_(_half(blocks, 0)).add_(_half(blocks, 2))


def _half(blocks: Tensor, offset: int) -> Tensor:
    """The 16-bit float at a byte offset of each block, as float32 (n, 1)."""
    return blocks[:, offset : offset + 2].contiguous().view(torch.float16).float()


def _nibbles(packed: Tensor) -> Tensor:
    """(n, 16) bytes → (n, 32) floats: all low halves, then all high halves."""
    eight = packed.contiguous().view(torch.int64)  # eight bytes in one operation
    return torch.cat((eight & LOW_HALVES, eight >> 4 & LOW_HALVES), 1).view(torch.uint8).float()


def _plain(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda raw: raw.view(dtype).float()


@dataclass(frozen=True)
class Encoding:
    """How numbers are stored: `block` weights in `size` bytes, and how to get float32 back."""

    name: str
    block: int
    size: int
    decode: Callable[[Tensor], Tensor]


ENCODINGS = {
    0: Encoding("F32", 1, 4, _plain(torch.float32)),
    1: Encoding("F16", 1, 2, _plain(torch.float16)),
    2: Encoding("Q4_0", BLOCK, 18, dequantise_q4_0),
    3: Encoding("Q4_1", BLOCK, 20, dequantise_q4_1),
    8: Encoding("Q8_0", BLOCK, 34, dequantise_q8_0),
    30: Encoding("BF16", 1, 2, _plain(torch.bfloat16)),
}

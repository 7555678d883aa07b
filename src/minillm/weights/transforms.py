"""What is done to the numbers of one tensor between their checkpoint and our model.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Transform = Callable[[Tensor], tuple[Tensor, ...]]


def same(tensor: Tensor) -> tuple[Tensor, ...]:
    """Take a tensor as it is.

    Book: chapter "A GPT, and the real thing".
    """
    return (tensor,)


def transpose(tensor: Tensor) -> tuple[Tensor, ...]:
    """Turn (in, out), as GPT-2 stores its matrices, into (out, in), as `nn.Linear` does.

    Book: chapter "A GPT, and the real thing".
    """
    return (tensor.mT.contiguous(),)


def drop_rows(count: int) -> Transform:
    """Leave out the first rows, such as BART's two positions that no token ever has.

    Example:
        >>> drop_rows(2)(torch.arange(4))[0].tolist()
        [2, 3]

    Book: chapter "Encoder, decoder, both".
    """
    return lambda tensor: (tensor[count:].clone(),)


def split(parts: int) -> Transform:
    """Cut queries, keys and values, fused along the last axis, apart (and transpose matrices).

    Example:
        >>> [part.tolist() for part in split(3)(torch.arange(6))]
        [[0, 1], [2, 3], [4, 5]]
        >>> [tuple(part.shape) for part in split(3)(torch.zeros(4, 12))]
        [(4, 4), (4, 4), (4, 4)]

    Book: chapter "A GPT, and the real thing".
    """

    def cut(tensor: Tensor) -> tuple[Tensor, ...]:
        chunks = tensor.chunk(parts, dim=-1)
        return tuple(
            (c.mT if c.dim() > 1 else c).clone(memory_format=torch.contiguous_format)
            for c in chunks
        )

    return cut


def unpermute(n_heads: int) -> Transform:
    """Put the rows of q or k from interleaved rotary order (0, 1), (2, 3) … into half-split order.

    GGUF files of Llama models pair neighbouring rows of a head; our `rotate` pairs row i with row
    i + E/2. The wrong order still writes plausible text, with a much higher loss.

    Raises:
        ValueError: If the rows do not divide into heads of even width.

    Example:
        >>> unpermute(1)(torch.tensor([[0], [2], [1], [3]]))[0].flatten().tolist()
        [0, 1, 2, 3]

    Source: Su et al. (2021), arXiv:2104.09864; the permutation is llama.cpp's.
    Book: chapter "A GPT, and the real thing".
    """

    def reorder(tensor: Tensor) -> tuple[Tensor, ...]:
        rows, columns = tensor.shape
        if rows % (2 * n_heads):
            raise ValueError(f"{rows} rows do not divide into {n_heads} heads of even width")
        pairs = tensor.view(n_heads, rows // (2 * n_heads), 2, columns)
        return (pairs.transpose(1, 2).reshape(rows, columns),)

    return reorder

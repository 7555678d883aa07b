"""Batches that depend on nothing but a seed and a step.

`batch(step, size)` is a pure function: it gives the same texts whenever it is asked, so a run that
was stopped goes on exactly, and several machines take their shares of one batch without talking.
Left out: loader processes and prefetching, for tokens in memory are cut in microseconds.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from minillm.data.batch import Batch


class TokenWindows:
    """Windows of one long text; the targets are the inputs shifted by one.

    `batch` draws windows at random, for training; `sequential` gives an object with the same method
    that takes them in order without overlap, for evaluation.

    Args:
        tokens: the text as ids (N,).
        length: T, the number of inputs in a window.
        seed: another seed gives other windows.

    Raises:
        ValueError: If the text is shorter than one window and its last target.

    Example:
        >>> data = TokenWindows([5, 6, 7, 8, 9], 3)
        >>> batch = data.sequential().batch(0, 1)
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[5, 6, 7]], [[6, 7, 8]])

    Book: chapter "Pretraining".
    """

    def __init__(self, tokens: Sequence[int] | Tensor, length: int, *, seed: int = 0) -> None:
        self.tokens = torch.as_tensor(tokens, dtype=torch.long)
        self.length, self.seed = length, seed
        if length < 1 or self.tokens.ndim != 1:
            raise ValueError(f"windows of {length} tokens from shape {tuple(self.tokens.shape)}")
        if len(self.tokens) <= length:
            raise ValueError(
                f"the corpus has {len(self.tokens)} tokens, a window of length {length} "
                f"needs {length + 1}"
            )

    def __len__(self) -> int:
        """How many windows fit side by side."""
        return (len(self.tokens) - 1) // self.length

    def batch(self, step: int, size: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """The windows of one step: `size` in all, of which this rank gets every world_size-th.

        Raises:
            ValueError: If rank and world_size leave this rank without a row.
        """
        rows = share_of(size, rank, world_size)
        last = len(self.tokens) - self.length
        starts = torch.randint(last, (size,), generator=generator(self.seed, step))
        return self._cut(starts[rows])

    def sequential(self) -> SequentialWindows:
        """The same text in order: windows 0, 1, … side by side."""
        return SequentialWindows(self.tokens, self.length)

    def _cut(self, starts: Tensor) -> Batch:
        window = self.tokens[starts[:, None] + torch.arange(self.length + 1)]  # (B, T + 1)
        return Batch(window[:, :-1], window[:, 1:])


class SequentialWindows(TokenWindows):
    """Windows side by side, beginning again after the last: batch 0 is the beginning of the text.

    Book: chapter "Pretraining".
    """

    def batch(self, step: int, size: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """Windows step · size, step · size + 1, …, counted modulo their number."""
        number = torch.arange(step * size, (step + 1) * size) % len(self)
        return self._cut(number[share_of(size, rank, world_size)] * self.length)

    def __iter__(self) -> Iterator[Batch]:
        """Every window once, in batches of 32."""
        for starts in (torch.arange(len(self)) * self.length).split(32):
            yield self._cut(starts)


def generator(seed: int, step: int) -> torch.Generator:
    """Random numbers that depend on seed and step alone, and look unrelated for any two steps.

    The two are mixed by the SplitMix64 finaliser: a sum would give run 1 the batches of run 0.

    Source: Steele, Lea and Flood (2014), doi:10.1145/2660193.2660195.
    Book: chapter "Pretraining".
    """
    z = (seed * 0xD1342543DE82EF95 + step * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return torch.Generator().manual_seed((z ^ z >> 31) % 2**63)


def share_of(size: int, rank: int, world_size: int) -> slice:
    """The rows of a rank, or an error if it would have none."""
    if not 0 <= rank < world_size or size < world_size:
        raise ValueError(f"rank {rank} of {world_size} gets no row of a batch of {size}")
    return slice(rank, None, world_size)

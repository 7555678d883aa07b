"""Batches that depend on nothing but a seed and a step.

`batch(step, size)` is a pure function: it gives the same texts whenever it is asked, so a run that
was stopped goes on exactly, and several machines take their shares of one batch without talking.
Left out: loader processes and prefetching, for tokens in memory are cut in microseconds.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORE = -100
"""A target with this value is not counted by any loss."""


@dataclass(frozen=True)
class Batch:
    """What a model reads and what it should say.

    Shape:
        inputs: (B, T); targets: (B, T) ids of the next tokens or (B,) classes; mask: (B, T), True
        for real tokens and False for padding, or None where there is no padding.

    Example:
        >>> batch = Batch(torch.zeros(5, 3), torch.zeros(5, 3))
        >>> [len(part.inputs) for part in batch.split(2)]
        [2, 2, 1]

    Book: chapter "Pretraining".
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def split(self, size: int) -> list[Batch]:
        """Parts of at most `size` rows, for gradient accumulation.

        Raises:
            ValueError: If `size` is below 1.
        """
        if size < 1:
            raise ValueError(f"a part needs at least 1 row, asked for {size}")
        starts = range(0, len(self), size)
        return [self._rows(slice(start, start + size)) for start in starts]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Batch(self.inputs.to(device), self.targets.to(device), mask)

    def _rows(self, rows: slice) -> Batch:
        mask = None if self.mask is None else self.mask[rows]
        return Batch(self.inputs[rows], self.targets[rows], mask)


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
        rows = _share(size, rank, world_size)
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
        return self._cut(number[_share(size, rank, world_size)] * self.length)

    def __iter__(self) -> Iterator[Batch]:
        """Every window once, in batches of 32."""
        for starts in (torch.arange(len(self)) * self.length).split(32):
            yield self._cut(starts)


class LabelledTexts:
    """Short texts with a class each, padded to the longest text of their batch.

    Training batches go through all texts in a new random order each time round; a batch may reach
    into the next round, so all batches are equally large.

    Args:
        texts: ids of each text.
        labels: the class of each text.
        max_length: longer texts are cut to it.
        pad: id that fills the rows; the mask says where.
        seed: another seed gives other orders.

    Raises:
        ValueError: If there is no text, an empty text, or not one label for each.

    Example:
        >>> batch = LabelledTexts([[3, 4], [5]], [1, 0], max_length=8).all()
        >>> batch.inputs.tolist(), batch.mask.tolist(), batch.targets.tolist()
        ([[3, 4], [5, 0]], [[True, True], [True, False]], [1, 0])

    Book: chapter "Classification, sentiment, moderation".
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        labels: Sequence[int],
        *,
        max_length: int,
        pad: int = 0,
        seed: int = 0,
    ) -> None:
        if len(texts) != len(labels):
            raise ValueError(f"{len(texts)} texts, but {len(labels)} labels")
        empty = next((i for i, text in enumerate(texts) if not text), None)
        if not texts or empty is not None or max_length < 1:
            raise ValueError(
                f"need texts and room for them: {len(texts)} texts, max_length={max_length}, "
                f"first empty text: {empty}"
            )
        self.seed = seed
        kept = [torch.tensor(text[:max_length], dtype=torch.long) for text in texts]
        self.lengths = torch.tensor([len(text) for text in kept])
        self.tokens = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=pad)
        self.labels = torch.tensor(labels, dtype=torch.long)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, step: int, size: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """The texts of one step: `size` in all, of which this rank gets every world_size-th."""
        number = torch.arange(step * size, (step + 1) * size)[_share(size, rank, world_size)]
        rounds, which = (number // len(self)).unique(return_inverse=True)
        orders = torch.stack([self._order(r) for r in rounds.tolist()])  # (rounds, N)
        return self._take(orders[which, number % len(self)])

    def all(self) -> Batch:
        """Every text once, in the given order: `for part in texts.all().split(64)`."""
        return self._take(torch.arange(len(self)))

    def _order(self, round_: int) -> Tensor:
        return torch.randperm(len(self), generator=generator(self.seed, round_))

    def _take(self, rows: Tensor) -> Batch:
        longest = int(self.lengths[rows].max())
        mask = torch.arange(longest) < self.lengths[rows, None]  # (B, T)
        return Batch(self.tokens[rows, :longest], self.labels[rows], mask)


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


def _share(size: int, rank: int, world_size: int) -> slice:
    """The rows of a rank, or an error if it would have none."""
    if not 0 <= rank < world_size or size < world_size:
        raise ValueError(f"rank {rank} of {world_size} gets no row of a batch of {size}")
    return slice(rank, None, world_size)

"""Short texts with a class each, in batches of equal length.

Book: chapter "Classification, sentiment, moderation".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.data.batch import Batch
from minillm.data.windows import generator, share_of


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
        number = torch.arange(step * size, (step + 1) * size)[share_of(size, rank, world_size)]
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

"""Sources with their targets, in batches of similar length: what a translator is trained on.

Book: chapter "Encoder, decoder, both".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minillm.data.batch import IGNORE, Batch
from minillm.data.windows import generator, share_of

POOL = 64
"""So many batches are sorted by length together."""
Text = Sequence[int] | Tensor
Texts = Sequence[Sequence[int]] | Sequence[Tensor]
"""Texts as ids, one after the other."""


class TokenPairs:
    """Pairs of texts, each padded to the longest of its batch.

    `batch` goes through all pairs in a new random order each time round; what is left over after
    the last whole batch of a round is left out of it. Within 64 batches pairs are sorted by length,
    so that little is padding, and the batches are shuffled.

    Args:
        sources: ids of each source.
        targets: ids of each target, with the token that ends it.
        pad: id that fills the sources; the mask says where. Targets are filled with `IGNORE`.
        seed: another seed gives other orders.

    Raises:
        ValueError: If there is no pair, an empty text, or not one target for each source.

    Example:
        >>> batch = TokenPairs([[3, 4], [5]], [[6, 1], [7, 8, 1]]).sequential().batch(0, 2)
        >>> batch.inputs.tolist(), batch.mask.tolist(), batch.targets.tolist()
        ([[3, 4], [5, 0]], [[True, True], [True, False]], [[6, 1, -100], [7, 8, 1]])

    Book: chapter "Encoder, decoder, both".
    """

    def __init__(
        self,
        sources: Texts,
        targets: Texts,
        *,
        pad: int = 0,
        seed: int = 0,
    ) -> None:
        if len(sources) != len(targets):
            raise ValueError(f"{len(sources)} sources, but {len(targets)} targets")
        pairs: list[tuple[Text, Text]] = list(zip(sources, targets, strict=True))
        empty = next((i for i, (a, b) in enumerate(pairs) if not len(a) or not len(b)), None)
        if not pairs or empty is not None:
            raise ValueError(f"need pairs of texts: {len(pairs)} pairs, first empty one: {empty}")
        self.pad, self.seed = pad, seed
        self.sources = [torch.as_tensor(text, dtype=torch.long) for text in sources]
        self.targets = [torch.as_tensor(text, dtype=torch.long) for text in targets]
        self.lengths = torch.tensor([len(target) * 1000 + len(source) for source, target in pairs])

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, step: int, size: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """The pairs of one step: `size` in all, of which this rank gets every world_size-th.

        Raises:
            ValueError: If there are fewer than `size` pairs.
        """
        per_round = len(self) // size
        if per_round < 1:
            raise ValueError(f"a batch of {size} pairs, but there are {len(self)}")
        order = self._order(step // per_round, per_round, size)
        return self._take(order[step % per_round][share_of(size, rank, world_size)])

    def sequential(self) -> SequentialPairs:
        """The same pairs in the given order, for evaluation."""
        return SequentialPairs(self.sources, self.targets, pad=self.pad)

    def _order(self, round_: int, per_round: int, size: int) -> Tensor:
        """The rows of every batch of a round (per_round, size)."""
        source = generator(self.seed, round_)
        rows = torch.randperm(len(self), generator=source)[: per_round * size]
        pools = rows.split(POOL * size)
        batches = torch.cat([pool[self.lengths[pool].argsort(stable=True)] for pool in pools])
        return batches.view(per_round, size)[torch.randperm(per_round, generator=source)]

    def _take(self, rows: Tensor) -> Batch:
        sources = [self.sources[i] for i in rows.tolist()]
        targets = [self.targets[i] for i in rows.tolist()]
        inputs = pad_sequence(sources, batch_first=True, padding_value=self.pad)  # (B, S)
        lengths = torch.tensor([len(text) for text in sources])
        mask = torch.arange(inputs.shape[1]) < lengths[:, None]
        return Batch(inputs, pad_sequence(targets, batch_first=True, padding_value=IGNORE), mask)


class SequentialPairs(TokenPairs):
    """Pairs side by side, beginning again after the last: batch 0 holds the first ones.

    Book: chapter "Encoder, decoder, both".
    """

    def batch(self, step: int, size: int, *, rank: int = 0, world_size: int = 1) -> Batch:
        """Pairs step · size, step · size + 1, …, counted modulo their number."""
        number = torch.arange(step * size, (step + 1) * size) % len(self)
        return self._take(number[share_of(size, rank, world_size)])

    def all(self, size: int = 64) -> Iterator[Batch]:
        """Every pair once, in batches of at most `size`."""
        for rows in torch.arange(len(self)).split(size):
            yield self._take(rows)

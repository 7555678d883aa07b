"""N-gram counts as sorted arrays of integers.

The n-grams of one length are numbered. An n-gram's key is (number of its first n-1 tokens) · V +
(its last token), so the n-grams that continue one context stand side by side, and looking one up is
a binary search. Everything works on whole texts at once.

Book: chapter "Predicting the next word".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

UNSEEN, CUT = -1, -2  # in place of a number: never counted; longer than what went before


@dataclass(frozen=True)
class Level:
    """The N n-grams of one length, as what follows each of the P contexts."""

    vocab_size: int
    keys: Tensor  # (N,) sorted: context · V + token
    count: Tensor  # (N,)
    offsets: Tensor  # (P + 1,) where each context's n-grams begin
    total: Tensor  # (P,) sum of the counts
    kinds: Tensor  # (P,) how many counts are above 0

    @classmethod
    def build(cls, vocab_size: int, keys: Tensor, count: Tensor, contexts: int) -> Level:
        """Sum up the counts of each context; where there is none, of one that was never seen."""
        context, contexts = keys // vocab_size, max(contexts, 1)
        offsets = torch.searchsorted(context, torch.arange(contexts + 1))
        total = torch.bincount(context, count, minlength=contexts).double()
        kinds = torch.bincount(context, (count > 0).double(), minlength=contexts).double()
        return cls(vocab_size, keys, count, offsets, total, kinds)


def count_ngrams(
    tokens: Tensor,
    place: Tensor,
    *,
    order: int,
    vocab_size: int,
    first: int,
    by_left_neighbour: bool,
) -> list[Level]:
    """Number and count the n-grams of length 1 to `order`.

    Args:
        tokens: all texts, one after the other (T,).
        place: the place of each token in its text, 0 for the first (T,).
        order: n.
        vocab_size: V.
        first: place of the first token that is predicted; those before it are only context.
        by_left_neighbour: count n-grams shorter than n by the different tokens before them
            (Kneser–Ney), and not by how often they occur.

    Book: chapter "Predicting the next word".
    """
    number = [torch.zeros_like(tokens)]  # [length][t]: number of the n-gram that ends at t
    keys = [torch.zeros(1, dtype=torch.long)]
    for length in range(1, order + 1):
        fits = place >= length - 1
        key = number[-1].roll(1) * vocab_size + tokens
        distinct, inverse = key[fits].unique(return_inverse=True)
        keys.append(distinct)
        number.append(torch.full_like(tokens, CUT).masked_scatter(fits, inverse))
    levels = []
    for length in range(1, order + 1):
        if by_left_neighbour and length < order:
            occurrences = _left_neighbours(number[length], number[length + 1], place, length, first)
        else:
            occurrences = number[length][place >= max(first, length - 1)]
        count = torch.bincount(occurrences, minlength=len(keys[length])).double()
        levels.append(Level.build(vocab_size, keys[length], count, len(keys[length - 1])))
    return levels


def _left_neighbours(
    number: Tensor, longer: Tensor, place: Tensor, length: int, first: int
) -> Tensor:
    """Each n-gram's number once for each different token before it.

    At the beginning of a text nothing stands before an n-gram; there each occurrence counts.
    """
    inside = place >= length
    distinct = torch.full_like(number, CUT)[: max(int(longer.max()), UNSEEN) + 1]
    distinct[longer[inside]] = number[inside]  # all occurrences write the same number
    begins = number[(place == length - 1) & (place >= first)]
    return torch.cat([distinct, begins])


def find(level: Level, context: Tensor, tokens: Tensor) -> Tensor:
    """Number of each n-gram `context` + `token`, or UNSEEN, or CUT where the context is."""
    key = context * level.vocab_size + tokens
    keys = level.keys
    if len(keys) == 0:
        return context.clamp(max=UNSEEN)
    place = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
    return place.where((context >= 0) & (keys[place] == key), context.clamp(max=UNSEEN))


def followers(level: Level, context: Tensor) -> Tensor:
    """The counts (R, V) of all tokens after each of R contexts."""
    known = context.clamp(min=0)
    begin = level.offsets[known]
    number = (level.offsets[known + 1] - begin).where(context >= 0, 0)
    row = torch.repeat_interleave(torch.arange(len(context)), number)
    skipped = (number.cumsum(0) - number)[row]  # n-grams of the rows above
    entry = begin[row] + torch.arange(len(row)) - skipped
    counts = torch.zeros(len(context), level.vocab_size, dtype=torch.float64)
    counts[row, level.keys[entry] % level.vocab_size] = level.count[entry]
    return counts

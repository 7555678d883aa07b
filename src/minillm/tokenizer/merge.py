"""Apply learnt merges to one word, in time proportional to n log n.

Book: chapter "From text to tokens".
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[int, int]


def apply_merges(ids: Sequence[int], ranks: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """Merge neighbours until none can be: lowest rank first, of equal ranks the leftmost.

    A heap holds the candidate pairs and a linked list the neighbours, so that a run of thousands
    of letters without a space is no slower per letter than a word.

    Args:
        ids: the tokens of one word, at first its bytes.
        ranks: pair → (rank, id of the merged token).

    Example:
        >>> apply_merges([0, 1, 0, 1, 2], {(0, 1): (0, 3), (3, 2): (1, 4)})
        [3, 4]

    Source: Sennrich et al. (2016), arXiv:1508.07909, section 3.2.
    Book: chapter "From text to tokens".
    """
    out, n = list(ids), len(ids)
    after, before = list(range(1, n + 1)), list(range(-1, n - 1))
    heap = [(ranks[pair][0], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in ranks]
    heapq.heapify(heap)
    while heap:
        _, i, pair = heapq.heappop(heap)
        j = after[i]
        if j == n or (out[i], out[j]) != pair:
            continue  # one of the two has been merged with another neighbour
        out[i], out[j], after[i] = ranks[pair][1], -1, after[j]
        if after[i] < n:
            before[after[i]] = i
        for left in (before[i], i):
            right = after[left] if left >= 0 else n
            if right < n and (new := (out[left], out[right])) in ranks:
                heapq.heappush(heap, (ranks[new][0], left, new))
    return [token for token in out if token >= 0]


def rank_merges(
    merges: Sequence[tuple[bytes, bytes]], ids: Mapping[bytes, int]
) -> dict[Pair, tuple[int, int]]:
    """Pair of ids → (rank, id of the merged token), as `apply_merges` wants it.

    Raises:
        ValueError: If a merge takes or makes a token that is not there.

    Book: chapter "From text to tokens".
    """
    ranks: dict[Pair, tuple[int, int]] = {}
    for rank, (left, right) in enumerate(merges):
        try:
            ranks[ids[left], ids[right]] = rank, ids[left + right]
        except KeyError as error:
            raise ValueError(
                f"merge {rank} ({left!r} + {right!r}) needs token {error.args[0]!r}, "
                f"which is not among the {len(ids)} tokens"
            ) from None
    return ranks

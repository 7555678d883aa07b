"""Learn BPE merges with an index from each pair to the words that hold it.

A merge changes only the words that contain its pair. The index finds them, so the cost of a
merge is the length of those words and not of the corpus; a heap gives the commonest pair.

Ties: of the pairs with the highest count the one with the smaller ids wins, compared left id first.
Ids are GPT-2's: bytes in the order of `BYTE_ORDER`, then merges by age.

Source: Sennrich et al. (2016), arXiv:1508.07909, algorithm 1.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

from minillm.tokenizer.alphabet import BYTE_ORDER
from minillm.tokenizer.merge import Pair


def learn_merges(
    words: Mapping[str, int], vocab_size: int
) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """The tokens and merges of a corpus that is given as words with their counts.

    Args:
        words: how often each word occurs.
        vocab_size: stop at so many tokens, or when no word has two tokens left.

    Returns:
        The tokens by id, the 256 bytes first, and the merges in the order learnt. Two merges may
        lead to the same token, so there can be more merges than merged tokens.

    Book: chapter "From text to tokens".
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    ids = {token: i for i, token in enumerate(tokens)}
    index = _PairIndex(words, {byte: i for i, byte in enumerate(BYTE_ORDER)})
    merges: list[tuple[bytes, bytes]] = []
    while len(tokens) < vocab_size and (pair := index.pop()) is not None:
        left, right = tokens[pair[0]], tokens[pair[1]]
        if left + right not in ids:
            ids[left + right] = len(tokens)
            tokens.append(left + right)
        merges.append((left, right))
        index.merge(pair, ids[left + right])
    return tokens, merges


class _PairIndex:
    """Words as lists of ids, with the count of each pair and where it occurs."""

    def __init__(self, words: Mapping[str, int], byte_ids: Mapping[int, int]) -> None:
        self.words = [[byte_ids[byte] for byte in word.encode()] for word in words]
        self.frequency = list(words.values())
        self.count: dict[Pair, int] = defaultdict(int)
        self.where: dict[Pair, set[int]] = defaultdict(set)
        for w, word in enumerate(self.words):
            for pair in pairwise(word):
                self.count[pair] += self.frequency[w]
                self.where[pair].add(w)
        self.heap = [(-count, pair) for pair, count in self.count.items()]
        heapq.heapify(self.heap)

    def pop(self) -> Pair | None:
        """The commonest pair. Counts only fall while a pair waits in the heap: check on the way."""
        while self.heap:
            waiting, pair = heapq.heappop(self.heap)
            count = self.count[pair]
            if count == -waiting:
                return pair
            if count > 0:
                heapq.heappush(self.heap, (-count, pair))
        return None

    def merge(self, pair: Pair, new: int) -> None:
        """Replace the pair everywhere and bring counts and index up to date."""
        grown: set[Pair] = set()
        for w in self.where.pop(pair):
            times = self.frequency[w]
            for old in pairwise(self.words[w]):
                self.count[old] -= times
            self.words[w] = _replace(self.words[w], pair, new)
            for now in pairwise(self.words[w]):
                self.count[now] += times
                if new in now:
                    self.where[now].add(w)
                    grown.add(now)
        for now in grown:
            heapq.heappush(self.heap, (-self.count[now], now))


def _replace(word: list[int], pair: Pair, new: int) -> list[int]:
    """The word with each occurrence of the pair replaced, from left to right."""
    out, i = [], 0
    while i < len(word):
        hit = word[i] == pair[0] and i + 1 < len(word) and word[i + 1] == pair[1]
        out.append(new if hit else word[i])
        i += 1 + hit
    return out

"""Find passages for a question: BM25, the fusion of rankings, and the two usual figures.

Everything here counts words or places; vectors are `sentence_vectors`.

Book: chapter "Question answering and retrieval".
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits, for BM25.

    A script without spaces has no such words: a Chinese sentence comes back in one piece.

    Example:
        >>> words("What's BM25?")
        ['what', 's', 'bm25']

    Book: chapter "Question answering and retrieval".
    """
    return re.findall(r"\w+", text.lower())


class BM25:
    r"""Score documents by the words they share with a query.

    score(q, d) = Σ_{t in q} idf(t) · n / (n + k1 · (1 − b + b · |d| / mean |d|)), where n is how
    often t stands in d, and idf(t) = log(1 + (N − f + 0.5) / (f + 0.5)) for N documents of which f
    have t. A word that stands twice in the query counts twice. (Lucene's form, the default of
    bm25s: the older factor k1 + 1 is left out, which changes no order.)

    Args:
        documents: N lists of words.
        k1: how long more occurrences go on to count; 0 = only whether a word occurs.
        b: how much long documents are held back, from 0 (not) to 1 (in proportion).

    Raises:
        ValueError: If there are no documents, one is a single text, or k1 or b is out of range.

    Example:
        >>> bm25 = BM25([["a", "red", "cat"], ["a", "dog"]])
        >>> [round(score, 3) for score in bm25.scores(["red", "dog"])]
        [0.254, 0.305]

    Source: Robertson and Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond.
    Book: chapter "Question answering and retrieval".
    """

    def __init__(
        self, documents: Sequence[Sequence[str]], *, k1: float = 1.5, b: float = 0.75
    ) -> None:
        if not documents or any(isinstance(document, str) for document in documents):
            raise ValueError(f"documents must be lists of words, got {len(documents)} of them")
        if not 0 <= k1 < math.inf or not 0 <= b <= 1:
            raise ValueError(f"k1={k1} must be finite and >= 0, b={b} between 0 and 1")
        self.size = len(documents)
        mean = sum(map(len, documents)) / self.size
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for i, document in enumerate(documents):
            slow = k1 * (1 - b + b * len(document) / mean) if mean else 0.0
            for word, n in Counter(document).items():
                self._postings[word].append((i, n / (n + slow)))

    def idf(self, word: str) -> float:
        """How much a word says: large if few documents have it, largest if none has."""
        have = len(self._postings.get(word, ()))
        return math.log(1 + (self.size - have + 0.5) / (have + 0.5))

    def scores(self, query: Sequence[str]) -> list[float]:
        """The score of every document for a query, a list of words; 0 if they share none.

        Raises:
            ValueError: If the query is a single text.
        """
        totals = [0.0] * self.size
        for word, times in _counted(query).items():
            for i, part in self._postings.get(word, ()):
                totals[i] += times * self.idf(word) * part
        return totals

    def coverage(self, query: Sequence[str], document: int) -> float:
        """The share of a query's idf that stands in one document: Σ_{t in q and d} / Σ_{t in q}.

        It is 1 if every word of the query is there, and low if a rare one is missing.

        Raises:
            ValueError: If the query is a single text, or there is no such document.
        """
        if not 0 <= document < self.size:
            raise ValueError(f"document {document} is not one of {self.size}")
        weights = {word: self.idf(word) for word in _counted(query)}
        there = [w for w in weights if any(i == document for i, _ in self._postings.get(w, ()))]
        return sum(weights[word] for word in there) / (sum(weights.values()) or 1.0)


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]], *, k: float = 60) -> list[int]:
    """Join several rankings of the same items by their places alone.

    score(d) = Σ over the rankings of 1 / (k + place of d), with places from 1; an item that a
    ranking lacks gets nothing from it. Of equal scores the smaller item comes first.

    Args:
        rankings: lists of items, the best first.
        k: the larger, the less the first places count beside the next ones.

    Raises:
        ValueError: If there is no ranking, one has an item twice, or k is below 0.

    Example:
        >>> reciprocal_rank_fusion([[0, 1, 2], [1, 2, 0]])
        [1, 0, 2]

    Source: Cormack, Clarke and Buettcher (2009), SIGIR.
    Book: chapter "Question answering and retrieval".
    """
    if not rankings or k < 0:
        raise ValueError(f"{len(rankings)} rankings, k={k}: one ranking at least, and k >= 0")
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"a ranking of {len(ranking)} has {len(set(ranking))} different items")
        for place, item in enumerate(ranking, 1):
            scores[item] += 1 / (k + place)
    return sorted(scores, key=lambda item: (-scores[item], item))


def recall_at_k(places: Sequence[int], k: int) -> float:
    """The share of questions whose passage is among the first k.

    Args:
        places: of each question the place of its one right passage, from 1.
        k: how many passages are looked at.

    Raises:
        ValueError: If there are no places, or one of them or k is below 1.

    Example:
        >>> recall_at_k([1, 3, 2, 9], 3)
        0.75

    Book: chapter "Question answering and retrieval".
    """
    _check_places(places, k)
    return sum(place <= k for place in places) / len(places)


def mean_reciprocal_rank(places: Sequence[int]) -> float:
    """The mean of 1 / place: 1 if the right passage is always first, 1/2 if always second.

    Args:
        places: of each question the place of its one right passage, from 1.

    Raises:
        ValueError: If there are no places, or one is below 1.

    Example:
        >>> mean_reciprocal_rank([1, 2, 4])
        0.5833333333333334

    Book: chapter "Question answering and retrieval".
    """
    _check_places(places, 1)
    return sum(1 / place for place in places) / len(places)


def _counted(query: Sequence[str]) -> Counter[str]:
    if isinstance(query, str):
        raise ValueError(f"a query is a list of words, got the text {query[:40]!r}")
    return Counter(query)


def _check_places(places: Sequence[int], k: int) -> None:
    if not places or min(places) < 1 or k < 1:
        low = min(places, default=0)
        raise ValueError(f"{len(places)} places, the lowest {low}, k={k}: all count from 1")

"""Simulated hearing: a sentence becomes sounds, some are misheard, and words are guessed again.

No sound is involved. The sounds are those of a dictionary, the errors are drawn at random, and the
guesses are all word sequences that could be said nearly so, the cheapest first. So the lists have
what lists of a speech recogniser have (words that sound alike, nearly alike, and word boundaries
in other places) in a purity that real ones have not.

Book: chapter "Extracting facts".
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from minillm.corpora.pronunciations import Phones, alike, homophones

NEAR, FAR, LONGEST = 1.0, 2.0, 12


class Guess(NamedTuple):
    """A sequence of words and how far its sounds are from those that were heard.

    Attributes:
        words: the words, separated by spaces.
        cost: 1 for each sound taken for a similar one, 2 for each one too many or missing.
        first: cost plus the weighted rarity of the words, by which the list is sorted.
    """

    words: str
    cost: float
    first: float


def mishear(phones: Sequence[str], rate: float, rng: random.Random) -> Phones:
    """What is heard of some sounds: each is, with probability `rate`, replaced by a similar one.

    One error in five loses the sound instead.

    Raises:
        ValueError: If the rate is not between 0 and 1.

    Example:
        >>> mishear(["K", "AE", "T"], 0.0, random.Random(0))
        ('K', 'AE', 'T')

    Book: chapter "Extracting facts".
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate={rate} must lie between 0 and 1")
    others, heard = alike(), []
    for phone in phones:
        if rng.random() >= rate:
            heard.append(phone)
        elif rng.random() >= 0.2:
            heard.append(rng.choice(others.get(phone, (phone,))))
    return tuple(heard)


class Ear:
    """Guesses words from sounds: the n cheapest sequences, with at most one error a word.

    Args:
        said: words and the ways to say them.
        rarity: a cost for each word, such as -log of its frequency; others get `unseen`.
        unseen: the rarity of a word that `rarity` does not have.
        weight: of the rarity against the cost of sounds.

    Raises:
        ValueError: If there is no word.

    Example:
        >>> said = {"two": [("T", "UW")], "to": [("T", "UW"), ("T", "AH")], "too": [("T", "UW")]}
        >>> ear = Ear(said, {"to": 1.0, "two": 2.0, "too": 3.0}, unseen=9.0, weight=0.1)
        >>> [guess.words for guess in ear.guesses(("T", "UW"), 3)]
        ['to', 'two', 'too']

    Book: chapter "Extracting facts".
    """

    def __init__(
        self,
        said: Mapping[str, list[Phones]],
        rarity: Mapping[str, float],
        *,
        unseen: float,
        weight: float,
    ) -> None:
        if not said:
            raise ValueError("an ear needs words, got none")
        self.words, self.rarity = homophones(said), rarity
        self.unseen, self.weight = unseen, weight
        self.matches = lru_cache(maxsize=1 << 14)(self._matches)

    def _matches(self, heard: Phones) -> list[tuple[float, float, str]]:
        """The words for one stretch of sounds: first-pass cost, cost of sounds, word."""
        found: dict[str, float] = {}
        for variant, cost in variants(heard):
            for word in self.words.get(variant, ()):
                found[word] = min(cost, found.get(word, cost))
        return sorted(
            (cost + self.weight * self.rarity.get(word, self.unseen), cost, word)
            for word, cost in found.items()
        )

    def guesses(self, heard: Phones, n: int, *, width: int = 0) -> list[Guess]:
        """The n best word sequences for all that was heard, best first.

        Args:
            heard: sounds.
            n: length of the list; it is shorter if there are not so many.
            width: how many beginnings are kept at each place; 0 for 2 n.

        Raises:
            ValueError: If n is smaller than 1.
        """
        if n < 1:
            raise ValueError(f"n={n} must be >= 1")
        kept: list[list[Guess]] = [[Guess("", 0.0, 0.0)]]
        for end in range(1, len(heard) + 1):
            ways: dict[str, Guess] = {}
            for start in range(max(0, end - LONGEST), end):
                for guess in kept[start]:
                    for first, cost, word in self.matches(heard[start:end])[:n]:
                        words = f"{guess.words} {word}".strip()
                        new = Guess(words, guess.cost + cost, guess.first + first)
                        if words not in ways or new.first < ways[words].first:
                            ways[words] = new
            best = heapq.nsmallest(width or 2 * n, ways.values(), key=_order)
            kept.append(best)
        return kept[-1][:n] if heard else []


def _order(guess: Guess) -> tuple[float, str]:
    return guess.first, guess.words


def variants(heard: Phones) -> list[tuple[Phones, float]]:
    """What may have been said where this was heard, with at most one error, and its cost.

    Example:
        >>> variants(("M",))[:2]
        [(('M',), 0.0), (('N',), 1.0)]

    Book: chapter "Extracting facts".
    """
    others, found = alike(), [(heard, 0.0)]
    for i, phone in enumerate(heard):
        before, behind = heard[:i], heard[i + 1 :]
        found += [((*before, other, *behind), NEAR) for other in others.get(phone, ())]
        if len(heard) > 1:
            found.append(((*before, *behind), FAR))
    for i in range(len(heard) + 1):
        found += [((*heard[:i], phone, *heard[i:]), FAR) for phone in others]
    return found

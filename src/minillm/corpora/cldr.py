"""How languages write dates and call countries: part of the Unicode project's CLDR.

The data are those of one release (`shipped`), not of a library that happens to be installed.

Book: chapter "Translation".
"""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import Any

from minillm.corpora.shipped import shipped

_FIELD = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+)")


def territories(language: str) -> dict[str, str]:
    """Names of the countries and territories by their codes, in one of the shipped languages.

    Raises:
        ValueError: If the names in this language are not shipped.

    Example:
        >>> territories("de")["FR"]
        'Frankreich'

    Book: chapter "From text to tokens".
    """
    names: dict[str, dict[str, str]] = shipped("cldr_names")["territories"]
    if language not in names:
        raise ValueError(f"language {language!r} is not one of {sorted(names)}")
    return names[language]


def language_name(code: str) -> str:
    """The English name of a language.

    Raises:
        ValueError: If CLDR has no English name for it.

    Example:
        >>> language_name("my")
        'Burmese'

    Book: chapter "From text to tokens".
    """
    names = shipped("cldr_names")["languages"]["en"]
    if code not in names:
        raise ValueError(f"CLDR has no language {code!r}, such as 'en'")
    return str(names[code])


def patterns(locale: str) -> tuple[str, str]:
    """How a locale writes dates without and with the weekday: its long and its full pattern.

    Raises:
        ValueError: If CLDR has no such locale; the message names some that are near.

    Example:
        >>> patterns("de")
        ('d. MMMM y', 'EEEE, d. MMMM y')

    Book: chapter "Translation".
    """
    long, full = _locale(locale)["patterns"]
    return long, full


def format_date(day: date, pattern: str, locale: str) -> str:
    """A date written after a pattern of CLDR, with the names that the locale has for it.

    The fields are y, M, MM, d, dd and those of the locale's own patterns; English has the short
    names too (MMM, EEE).

    Raises:
        ValueError: If there is no such locale, or it has no such field.

    Example:
        >>> format_date(date(2024, 1, 5), "EEEE, d. MMMM y", "de")
        'Freitag, 5. Januar 2024'

    Source: Unicode Technical Standard 35, part 4 (dates).
    Book: chapter "Translation".
    """
    row, text = _locale(locale), []
    for quoted, field, _, other in _FIELD.findall(pattern):
        text.append(_field(day, field, row, locale) if field else other or quoted or "'")
    return "".join(text).replace("''", "'")


def _field(day: date, field: str, row: dict[str, Any], locale: str) -> str:
    """One field of a pattern: a number, or a name from the locale's row."""
    numbers = {"y": day.year, "M": day.month, "d": day.day}
    if field[0] in numbers and (len(field) <= 2 and field != "yy"):
        return f"{numbers[field[0]]:0{len(field)}d}"
    if field not in row:
        known = sorted(row.keys() - {"patterns"})
        raise ValueError(f"locale {locale!r} has names for {known}, not for a field {field!r}")
    names = row[field]
    return str(names if field[0] == "G" else names[_place(day, field[0])])


def _place(day: date, letter: str) -> int:
    """Where the name of this day's month or weekday stands in a list."""
    return day.month - 1 if letter in "ML" else day.weekday()


def _locale(name: str) -> dict[str, Any]:
    """What is shipped of a locale."""
    known = shipped("cldr_dates")
    if name not in known:
        near = difflib.get_close_matches(name.replace("-", "_"), known, n=3, cutoff=0.4)
        names = ", ".join(map(repr, near or ("en", "zh", "de")))
        raise ValueError(f"locale {name!r} is not one of CLDR's {len(known)}, such as {names}")
    row: dict[str, Any] = known[name]
    return row

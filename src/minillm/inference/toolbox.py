"""Three tools: a calculator, a calendar and a search in passages.

Each is made by a function, because the calendar has to know the day and the search its passages;
so nothing here looks at a clock, and a test can choose the day.

Book: chapter "Chat".
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Sequence

from minillm.inference.calculator import calculate
from minillm.inference.patterns import (
    DIGITS,
    Pattern,
    either,
    matches,
    one_of,
    sequence,
    up_to,
)
from minillm.inference.retrieval import BM25, words
from minillm.inference.tools import Tool

_DIGIT = one_of(list(DIGITS))
_PLAIN = one_of([c for c in string.printable if c.isprintable() and c not in '"\\'])
_DAY = sequence(_DIGIT, _DIGIT, _DIGIT, _DIGIT, "-", one_of(["0", "1"]), _DIGIT, "-",
                one_of(list("0123")), _DIGIT)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip


def number_pattern() -> Pattern:
    """A whole number or a decimal one, of at most nine digits before the point and four behind."""
    whole = sequence(_DIGIT, up_to(8, _DIGIT))
    return sequence(whole, up_to(1, sequence(".", _DIGIT, up_to(3, _DIGIT))))


def sum_pattern(number: Pattern) -> Pattern:
    """Up to six numbers with signs between them; two may stand in brackets.

    Args:
        number: the numbers that may be used.

    Example:
        >>> from minillm.inference.patterns import matches
        >>> matches(sum_pattern(one_of(["2", "30"])), "(30 - 2) * 2")
        True

    Book: chapter "Chat".
    """
    sign = one_of([" + ", " - ", " * ", " / "])
    part = either(number, sequence("(", number, sign, number, ")"))
    return sequence(part, sign, part, up_to(4, sequence(sign, part)))


def calculator() -> Tool:
    """The tool `calculator`.

    Example:
        >>> calculator().run("12 * 7")
        '84'

    Book: chapter "Chat".
    """
    text = "works out a sum of numbers"
    return Tool("calculator", text, sum_pattern(number_pattern()), calculate, _numbers)


def _numbers(request: str) -> Pattern | None:
    """Sums of the numbers of a request; one is not enough, so 1, 2, 12, 60 and 100 are there."""
    numbers = set(re.findall(r"\d+(?:\.\d+)?", request, re.ASCII))
    found = {n for n in numbers if matches(number_pattern(), n)}
    return sum_pattern(one_of(found | {"1", "2", "12", "60", "100"})) if found else None


def calendar(today: dt.date) -> Tool:
    """The tool `calendar`: weekdays, days between two days, the day so many days before or after.

    Args:
        today: the day that is meant by "today".

    Example:
        >>> tool = calendar(dt.date(2026, 3, 1))
        >>> tool.run("2026-03-14"), tool.run("2026-12-25 - 2026-12-01"), tool.run("today + 3")
        ('Saturday, 14 March 2026', '24 days', 'Wednesday, 4 March 2026')

    Book: chapter "Chat".
    """
    text = "knows weekdays, counts days between dates"
    pattern = _days(_DAY, sequence(_DIGIT, up_to(4, _DIGIT)))
    return Tool("calendar", text, pattern, lambda asked: _reckon(asked, today), _dates)


def _days(day: Pattern, count: Pattern | None) -> Pattern:
    """A day, the days between two, or a day and a number of days."""
    some = either("today", day)
    second = [sequence(" - ", some)]
    if count is not None:
        second.append(sequence(one_of([" + ", " - "]), count))
    return sequence(some, up_to(1, either(*second)))


def _dates(request: str) -> Pattern:
    """The dates of a request, today, and its other numbers as numbers of days."""
    days = set(re.findall(r"\b\d{4}-[01]\d-[0-3]\d\b", request, re.ASCII))
    counts = set(re.findall(r"(?<![\d-])\d{1,5}(?![\d-])", request, re.ASCII))
    return _days(one_of(days | {"today"}), one_of(counts) if counts else None)


def _reckon(asked: str, today: dt.date) -> str:
    first, sign, second = asked.partition(" + " if " + " in asked else " - ")
    day = _date(first, today)
    if not sign:
        return _written(day)
    if not second.isdecimal():
        gap = (day - _date(second, today)).days
        return f"{abs(gap)} day{'' if abs(gap) == 1 else 's'}"
    try:
        return _written(day + dt.timedelta(int(second) * (1 if sign == " + " else -1)))
    except OverflowError:
        raise ValueError("the calendar has the years 1 to 9999") from None


def _date(text: str, today: dt.date) -> dt.date:
    return today if text == "today" else dt.date.fromisoformat(text)


def _written(day: dt.date) -> str:
    """A day in English, whatever the language of the machine."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def book_search(passages: Sequence[str], *, longest: int = 300) -> Tool:
    """The tool `search`: the passage that shares most with the words asked for, by BM25.

    Args:
        passages: texts; the first `longest` characters of the best one are the result.
        longest: how much of it is shown.

    Raises:
        ValueError: If there are no passages.

    Example:
        >>> book_search(["a token is a piece of text", "a head attends"]).run("token")
        'a token is a piece of text'

    Book: chapter "Chat".
    """
    index = BM25([words(passage) for passage in passages])

    def run(asked: str) -> str:
        scores = index.scores(words(asked))
        best = max(range(len(scores)), key=scores.__getitem__)
        return passages[best][:longest] if scores[best] > 0 else "nothing found"

    pattern = sequence(_PLAIN, up_to(59, _PLAIN))
    text = "finds a passage of the book about language models"
    return Tool("search", text, pattern, run, _runs)


def _runs(request: str) -> Pattern:
    """One to four neighbouring words of a request; a question mark if it has none in ASCII."""
    found = [w for w in re.findall(r"[\w-]+", request) if w.isascii()][:100]
    runs = {" ".join(found[i:j]) for i in range(len(found)) for j in range(i + 1, i + 5)}
    short = {run for run in runs if len(run) <= 60}
    return one_of(short or ["?"])

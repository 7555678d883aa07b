"""Passages of this book, as it was on one day, to ask questions about.

Book: chapter "Question answering and retrieval".
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from minillm.corpora.shipped import shipped


class Passage(NamedTuple):
    """A piece of the book, where it stands, and the self-check's question that it answers."""

    where: str
    text: str
    question: str = ""


@cache
def book_passages() -> tuple[Passage, ...]:
    """Entries of the glossary, points of the summaries, and answers of the self-checks.

    They come with the package, because an installed package has no notebooks to read.
    `python -m tools.ship_passages` makes them again from the book of the day.

    Raises:
        ValueError: If the shipped file is damaged.

    Example:
        >>> book_passages()[1].text[:40]
        'token: The unit in which a model reads a'

    Book: chapter "Question answering and retrieval".
    """
    return tuple(Passage(**row) for row in shipped("book_passages"))

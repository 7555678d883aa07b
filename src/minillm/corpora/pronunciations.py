"""How English words sound: the CMU Pronouncing Dictionary, and how much two sounds differ.

A phone is one sound of speech, written in letters: "K AE T" is "cat". Stress is left out.

Source: Weide (1998), The CMU Pronouncing Dictionary.
Book: chapter "Extracting facts".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from minillm.hub.packages import fetch

Phones = tuple[str, ...]
_STRESS = str.maketrans("", "", "012")

# Sounds that are easily taken for one another: same place or manner, or neighbouring vowels.
ALIKE = """
P B|T D|K G|F V|S Z|TH DH|SH ZH|CH JH|M N|N NG|R L|W V|B V|D DH|T TH|F TH|S SH|CH SH|P T|T K
IY IH|IH EH|EH AE|AE AH|AH AA|AA AO|AO OW|UH UW|AH UH|AH IH|AH EH|ER AH|EY EH|AY AA|OW AW|UH OW
"""


@cache
def alike() -> dict[str, tuple[str, ...]]:
    """The phones that each phone is easily taken for.

    Example:
        >>> alike()["M"], "D" in alike()["T"]
        (('N',), True)

    Book: chapter "Extracting facts".
    """
    found: dict[str, list[str]] = {}
    for pair in re.split(r"[|\n]", ALIKE.strip()):
        first, second = pair.split()
        found.setdefault(first, []).append(second)
        found.setdefault(second, []).append(first)
    return {phone: tuple(others) for phone, others in found.items()}


def pronunciations(words: Iterable[str] | None = None) -> dict[str, list[Phones]]:
    """The ways to say each word, without stress, in the order of the dictionary.

    Args:
        words: those to look up, in small letters; None for all.

    Returns:
        Only the words that the dictionary has.

    Raises:
        HubError: If the dictionary is not in the cache and cannot be fetched.

    Example:
        >>> pronunciations(["two", "xqzt"])
        {'two': [('T', 'UW')]}

    Book: chapter "Extracting facts".
    """
    wanted = None if words is None else set(words)
    found: dict[str, list[Phones]] = {}
    for line in fetch("cmu-pronunciations").read_text("utf-8").splitlines():
        word = line[: line.index(" ")].partition("(")[0]
        if wanted is None or word in wanted:
            said = tuple(line.partition(" #")[0].translate(_STRESS).split()[1:])
            ways = found.setdefault(word, [])
            if said not in ways:
                ways.append(said)
    return found


def homophones(said: Mapping[str, list[Phones]]) -> dict[Phones, list[str]]:
    """The words that can be said in each way.

    Example:
        >>> homophones({"two": [("T", "UW")], "too": [("T", "UW")]})
        {('T', 'UW'): ['two', 'too']}

    Book: chapter "Extracting facts".
    """
    found: dict[Phones, list[str]] = {}
    for word, ways in said.items():
        for way in ways:
            found.setdefault(way, []).append(word)
    return found

"""Patterns that texts must follow, as small automata: read a byte, and a pattern is left.

A pattern is a set of texts. `after` gives the pattern of what may follow one byte, its derivative;
`can_end` says whether the text may stop. A regular expression is built of four parts, and its
states are patterns again, so no table of states is made; a state that has come up is remembered.

Source: Brzozowski (1964), "Derivatives of regular expressions", Journal of the ACM 11.
Book: chapter "Extracting facts".
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class OneOf:
    """One of these byte strings: a word list, a class of characters, a fixed text."""

    texts: frozenset[bytes]


@dataclass(frozen=True)
class Then:
    """First something that `first` allows, then something that `second` allows."""

    first: Pattern
    second: Pattern


@dataclass(frozen=True)
class Either:
    """What any of the `choices` allows."""

    choices: frozenset[Pattern]


@dataclass(frozen=True)
class Many:
    """What `inner` allows, any number of times, also none."""

    inner: Pattern


Pattern = OneOf | Then | Either | Many
NEVER = OneOf(frozenset())
NOTHING = OneOf(frozenset({b""}))
LETTERS, DIGITS = string.ascii_letters, string.digits


def one_of(texts: Iterable[str]) -> Pattern:
    """One of these texts.

    Raises:
        ValueError: If there is none, a single string is given, or one cannot be written in UTF-8.

    Example:
        >>> can_end(one_of(["yes", "no"])), can_end(rest(one_of(["yes", "no"]), b"no"))
        (False, True)

    Book: chapter "Extracting facts".
    """
    if isinstance(texts, str):
        raise ValueError(f"texts must be several strings, not the one string {texts!r}")
    found = frozenset(_utf8(text) for text in texts)
    if not found:
        raise ValueError("texts is empty: a pattern that nothing follows would have no end")
    return OneOf(found)


def sequence(*parts: Pattern | str) -> Pattern:
    """The parts one after the other; a string stands for itself.

    Raises:
        ValueError: If a part is neither a pattern nor a string.

    Example:
        >>> can_end(rest(sequence("x=", one_of(["1", "2"])), b"x=2"))
        True

    Book: chapter "Extracting facts".
    """
    if len(parts) < 2:
        return _pattern(parts[0]) if parts else NOTHING
    middle = len(parts) // 2  # by halves: a thousand parts are ten deep and not a thousand
    return _then(sequence(*parts[:middle]), sequence(*parts[middle:]))


def either(*choices: Pattern | str) -> Pattern:
    """What any of the choices allows.

    Raises:
        ValueError: If there is no choice, or one is neither a pattern nor a string.

    Book: chapter "Extracting facts".
    """
    if not choices:
        raise ValueError("either needs a choice, got none")
    return _either(map(_pattern, choices))


def many(inner: Pattern | str) -> Pattern:
    """What `inner` allows, any number of times, also none.

    Raises:
        ValueError: If `inner` allows the empty text, which could be repeated without end.

    Example:
        >>> digits = many(one_of("0 1 2".split()))
        >>> can_end(rest(digits, b"2012")), rest(digits, b"20x") == NEVER
        (True, True)

    Book: chapter "Extracting facts".
    """
    found = _pattern(inner)
    if can_end(found):
        raise ValueError("the inner pattern of many(...) allows the empty text")
    return Many(found)


def up_to(n: int, inner: Pattern | str) -> Pattern:
    """What `inner` allows, at most n times.

    Raises:
        ValueError: If n is below 0.

    Example:
        >>> matches(up_to(2, "ab"), "abab"), matches(up_to(2, "ab"), "ababab")
        (True, False)

    Book: chapter "Chat".
    """
    if n < 0:
        raise ValueError(f"n={n} must be >= 0")
    found: Pattern = NOTHING
    for _ in range(n):
        found = either("", sequence(inner, found))
    return found


@lru_cache(maxsize=1 << 16)
def can_end(pattern: Pattern) -> bool:
    """Whether the empty text follows the pattern.

    Book: chapter "Extracting facts".
    """
    if isinstance(pattern, OneOf):
        return b"" in pattern.texts
    if isinstance(pattern, Then):
        return can_end(pattern.first) and can_end(pattern.second)
    return isinstance(pattern, Many) or any(map(can_end, pattern.choices))


@lru_cache(maxsize=1 << 16)
def after(pattern: Pattern, byte: int) -> Pattern:
    """What may follow when `byte` has been read; `NEVER` if it may not be read.

    D_b(A B) = D_b(A) B, or that and D_b(B) if A may be empty; D_b(A | B) = D_b(A) | D_b(B);
    D_b(A*) = D_b(A) A*.

    Args:
        pattern: what the text has to follow.
        byte: 0 ... 255.

    Example:
        >>> after(one_of(["yes", "no"]), ord("n")) == one_of(["o"])
        True

    Source: Brzozowski (1964), theorem 3.1.
    Book: chapter "Extracting facts".
    """
    if isinstance(pattern, OneOf):
        return OneOf(frozenset(text[1:] for text in pattern.texts if text[:1] == bytes([byte])))
    if isinstance(pattern, Many):
        return _then(after(pattern.inner, byte), pattern)
    if isinstance(pattern, Either):
        return _either(after(choice, byte) for choice in pattern.choices)
    long = _then(after(pattern.first, byte), pattern.second)
    return _either((long, after(pattern.second, byte))) if can_end(pattern.first) else long


def rest(pattern: Pattern, text: bytes) -> Pattern:
    """What may follow when all of `text` has been read.

    Example:
        >>> rest(one_of(["north", "south"]), b"no") == one_of(["rth"])
        True

    Book: chapter "Extracting facts".
    """
    for byte in text:
        pattern = after(pattern, byte)
    return pattern


def matches(pattern: Pattern, text: str) -> bool:
    """Whether the whole text follows the pattern.

    Example:
        >>> matches(one_of(["yes", "no"]), "no"), matches(one_of(["yes", "no"]), "not")
        (True, False)

    Book: chapter "Extracting facts".
    """
    return can_end(rest(pattern, _utf8(text)))


def _pattern(part: Pattern | str) -> Pattern:
    if isinstance(part, str):
        return one_of([part])
    if not isinstance(part, Pattern):
        raise ValueError(f"{part!r} is neither a pattern nor a string")
    return part


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r} cannot be written in UTF-8: half a character") from error


def _then(first: Pattern, second: Pattern) -> Pattern:
    if NEVER in (first, second):
        return NEVER
    if first == NOTHING:
        return second
    return first if second == NOTHING else Then(first, second)


def _either(choices: Iterable[Pattern]) -> Pattern:
    """All choices in one set: dead ones left out, sets of texts joined, nested ones unpacked."""
    texts: frozenset[bytes] = frozenset()
    others: set[Pattern] = set()
    for choice in choices:
        if isinstance(choice, OneOf):
            texts |= choice.texts
        elif isinstance(choice, Either):
            others |= choice.choices
        else:
            others.add(choice)
    joined = {choice for choice in others if isinstance(choice, OneOf)}
    others, texts = others - joined, texts.union(*(choice.texts for choice in joined))
    if texts:
        others.add(OneOf(texts))
    return Either(frozenset(others)) if len(others) > 1 else next(iter(others), NEVER)

r"""Read a splitter's pattern piece by piece, and translate it for rewritten text or refuse it.

In rewritten text (see `split`) a letter, numeral, space or other sign beyond ASCII is one of four
stand-ins. A pattern means the same there only if it cannot tell two characters of one kind apart.
So it may use single ASCII characters, \p{L}, \p{N}, \s, \S, the dot, classes of these, groups that
only group, look around or forbid backtracking, and quantifiers. Left out on purpose: whatever asks
for more, such as \w, \u4e00, (?i) and references to groups; it is refused.

Source: the syntax of https://pypi.org/project/regex, whose cuts these are.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

import re

LETTER, NUMERAL, SPACE, OTHER = "\x80\x81\x82\x83"
"""What stands for a character beyond ASCII; no pattern can name these four."""

_SPACES = r"\t-\r "
CLASSES = {
    r"\p{L}": f"A-Za-z{LETTER}",
    r"\p{N}": f"0-9{NUMERAL}",
    r"\s": f"{_SPACES}{SPACE}",
    r"\S": rf"\x00-\x08\x0e-\x1f!-\x7f{LETTER}{NUMERAL}{OTHER}",
}
_ESCAPE = r"\\p\{[LN]\}|\\[sS]|\\[tnrfv]|\\x[0-7][0-9a-fA-F]|\\[^a-zA-Z0-9]"
_OUTSIDE = re.compile(
    rf"{_ESCAPE}|\\A|\((?:\?(?:[:=!>]|<[=!]|[sm]+:))?(?!\?)|\{{[0-9]+(?:,[0-9]*)?\}}|[^\\({{\[]"
)
_INSIDE = re.compile(rf"{_ESCAPE}|[^\\\[]")


def translate(pattern: str) -> str:
    r"""The pattern for rewritten text: \p{L} becomes ASCII letters and their stand-in, and so on.

    Raises:
        ValueError: If a part of the pattern could mean something else there.
    """
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "[":
            end = _translate_class(pattern, at, pieces)
        else:
            piece = _piece(_OUTSIDE, pattern, at)
            pieces.append(f"[{CLASSES[piece]}]" if piece in CLASSES else piece)
            end = at + len(piece)
        at = end
    return "".join(pieces)


def _translate_class(pattern: str, start: int, pieces: list[str]) -> int:
    """Append the class in brackets that begins at `start`; where it ends."""
    opening = "[^" if pattern.startswith("[^", start) else "["
    pieces.append(opening)
    at = first = start + len(opening)
    before, seen = "", list[str]()
    while pattern[at : at + 1] != "]" or at == first:  # right after the opening, ] is itself
        if at >= len(pattern):
            raise ValueError(f"pattern {pattern!r} is not a regular expression: [ without ]")
        piece = _piece(_INSIDE, pattern, at)
        range_of_classes = piece in CLASSES and before == "-" and at - 1 > first
        set_operation = piece == before and piece in "&~|-"
        if range_of_classes or set_operation:
            raise _unsupported(pattern, before + piece)
        pieces.append(CLASSES.get(piece, "\\]" if piece == "]" else piece))
        before, at = piece, at + len(piece)
        seen.append(piece)
    if opening == "[^" and {r"\s", r"\S"} <= set(seen):  # nothing at all, but not in `regex`
        raise _unsupported(pattern, pattern[start : at + 1])
    pieces.append("]")
    return at + 1


def _piece(grammar: re.Pattern[str], pattern: str, at: int) -> str:
    match = grammar.match(pattern, at)
    if match is None or not match[0].isascii():
        raise _unsupported(pattern, pattern[at : at + 3])
    return match[0]


def _unsupported(pattern: str, piece: str) -> ValueError:
    known = r"ASCII, \p{L}, \p{N}, \s, \S, classes, plain groups and quantifiers"
    return ValueError(f"pattern {pattern!r}: {piece!r} is not supported, only {known}")

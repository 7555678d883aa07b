"""Tokens that are looked for in a text before it is cut into words.

A published tokenizer may have words added to what it has learnt, such as '<tool>' or the marks of
turns. They are found first, the leftmost and there the longest; what lies between them is read as
usual. Left out on purpose: tokens that only count as whole words ("single_word").

Source: https://github.com/huggingface/tokenizers, added_vocabulary.rs.
Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)
"""White space of Unicode; `str.strip` would also take four control characters."""


@dataclass(frozen=True, kw_only=True)
class AddedToken:
    """A token that is found as it stands.

    Args:
        text: what is looked for.
        id: its id.
        special: whether it is only found when the caller allows it.
        lstrip: whether it takes the white space before it, too.
        rstrip: whether it takes the white space after it.
        normalized: whether it is looked for in the normalised text and not in the text as given.
    """

    text: str
    id: int
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


class Finder:
    """Cuts a text at added tokens.

    Args:
        tokens: what to look for.

    Example:
        >>> Finder([AddedToken(text="<tool>", id=7)]).split("a <tool>b", allow_special=False)
        ['a ', 7, 'b']
    """

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        self._tokens = {token.text: token for token in tokens}
        longest_first = sorted(self._tokens, key=len, reverse=True)
        self._regex = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def split(self, text: str, *, allow_special: bool) -> list[str | int]:
        """The pieces of a text: ids of added tokens, and what lies between them."""
        pieces: list[str | int] = []
        done = 0
        for match in self._regex.finditer(text):
            token, (start, end) = self._tokens[match[0]], match.span()
            if token.special and not allow_special:
                continue
            if token.lstrip:
                start = max(done, len(text[:start].rstrip(SPACES)))
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(SPACES))
            if done < start:
                pieces.append(text[done:start])
            pieces.append(token.id)
            done = end
        return [*pieces, text[done:]] if done < len(text) else pieces

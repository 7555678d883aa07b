r"""Cut text into words before BPE, exactly as GPT-2 and SmolLM2 do.

BPE never merges across these cuts, so ' the' and 'the.' cannot become one token. The patterns are
written with \p{L} (a letter) and \p{N} (a numeral), which Python's `re` does not know. Each text is
therefore first rewritten, character by character, into one of the same length in which one stand-in
takes the place of all letters beyond ASCII, another that of all numerals, of all spaces, of all
else; an ordinary pattern finds the cuts there. ASCII text is its own rewriting. The classes are
those of Unicode 16, whatever version Python has.

Source: Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.2.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, pairwise

from minillm.tokenizer.split_check import LETTER, NUMERAL, OTHER, SPACE, translate

GPT2_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2: contractions, words, numbers, other signs, each with the space before it; then spaces."""

SMOLLM2_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
"""SmolLM2: first every numeral is cut out alone, then the pieces between are split as in GPT-2."""


def _expand(ranges: str) -> frozenset[int]:
    """Code points of a list of hexadecimal ranges."""
    bounds = [piece.split("-") for piece in ranges.split()]
    return frozenset(c for b in bounds for c in range(int(b[0], 16), int(b[-1], 16) + 1))


# Letters and numerals of Unicode 15.0 to 16.0, which the tables of Python before 3.14 lack.
_NEW_LETTERS = _expand(
    "1C89-1C8A A7CB-A7CD A7DA-A7DC 105C0-105F3 10D4A-10D65 10D6F-10D85 10EC2-10EC4 1123F-11240 "
    "11380-11389 1138B 1138E 11390-113B5 113B7 113D1 113D3 11BC0-11BE0 11F02 11F04-11F10 "
    "11F12-11F33 1342F 13441-13446 13460-143FA 16100-1611D 16D40-16D6C 18CFF 1B132 1B155 "
    "1DF25-1DF2A 1E030-1E06D 1E4D0-1E4EB 1E5D0-1E5ED 1E5F0 2B739 2EBF0-2EE5D 31350-323AF"
)
_NEW_NUMERALS = _expand(
    "10D40-10D49 116D0-116E3 11BF0-11BF9 11F50-11F59 16130-16139 16D70-16D79 1CCF0-1CCF9 "
    "1D2C0-1D2D3 1E4F0-1E4F9 1E5F1-1E5FA"
)


class Splitter:
    r"""Cuts text into words with a pattern that may use \p{L} and \p{N}.

    Args:
        pattern: a regular expression in ASCII, with \p{L}, \p{N}, \s and \S for whole Unicode. It
            cuts as the `regex` module would.

    Raises:
        ValueError: If the pattern is not a regular expression, or one that tells apart what the
            rewriting makes equal (\w, \u4e00, (?i), references; see `split_check`).

    Example:
        >>> Splitter(GPT2_PATTERN)("I've seen 42 naïve cats!")
        ['I', "'ve", ' seen', ' 42', ' naïve', ' cats', '!']
        >>> Splitter(SMOLLM2_PATTERN)("in 1998")
        ['in', ' ', '1', '9', '9', '8']

    Book: chapter "From text to tokens".
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._regex = re.compile(translate(pattern))
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from None

    def __call__(self, text: str) -> list[str]:
        """The words of a text, in order; together they are the text.

        Raises:
            ValueError: If the pattern leaves a part of this text out, or finds an empty word.
        """
        plain = text if text.isascii() else text.translate(_PLAIN)
        words = [match[0] for match in self._regex.finditer(plain)]
        ends = list(accumulate(map(len, words), initial=0))
        if ends[-1] != len(text) or "" in words:
            what = "finds an empty word in" if "" in words else f"covers {ends[-1]} of"
            raise ValueError(f"pattern {self.pattern!r} {what} {len(text)} characters")
        if plain is text:
            return words
        return [text[start:end] for start, end in pairwise(ends)]


class _Plain(dict[int, str]):
    """Code point → itself in ASCII, or the stand-in of its class; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(code) if code < 128 else self._classify(code)
        return self[code]

    @staticmethod
    def _classify(code: int) -> str:
        """The stand-in of a character beyond ASCII."""
        kind = unicodedata.category(chr(code))[0]
        if kind == "L" or code in _NEW_LETTERS:
            return LETTER
        if kind == "N" or code in _NEW_NUMERALS:
            return NUMERAL
        return SPACE if kind == "Z" or code == 0x85 else OTHER


_PLAIN = _Plain()

"""Byte-level BPE with the habits that published tokenizers have beside their merges.

The same vocabulary and merges give other ids if the file also asks for a normal form of Unicode,
for a space before each text, for a token at the beginning, or has words added. `Habits` says
which of these a tokenizer has. Left out on purpose: everything else that the format knows; such
files are refused by name where they are read.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minillm.tokenizer.added import AddedToken, Finder
from minillm.tokenizer.bpe import BPETokenizer
from minillm.tokenizer.split import GPT2_PATTERN

NormalForm = Literal["NFC", "NFD", "NFKC", "NFKD"]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What a published tokenizer does beside merging.

    Args:
        normal_form: of Unicode, into which a text is brought first; decoding does not undo it.
        prefix_space: put a space before a text, and before what follows an added token, unless
            there is one.
        whole_words: a word that is a token is not built by merges ("ignore_merges").
        start: ids before every text, such as that of '<s>'.
        end: ids after it.
        added: tokens that are looked for before anything else.
    """

    normal_form: NormalForm | None = None
    prefix_space: bool = False
    whole_words: bool = False
    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    added: tuple[AddedToken, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether a `BPETokenizer` without habits gives the same ids."""
        alike = all(t.special and not (t.lstrip or t.rstrip) for t in self.added)
        phases = {t.normalized for t in self.added}  # found one kind after the other
        others = self.normal_form or self.prefix_space or self.whole_words or self.start or self.end
        return alike and len(phases) < 2 and not others


class PublishedBPE(BPETokenizer):
    """A byte-level BPE tokenizer with habits.

    Args:
        tokens: the bytes of each id; an added token is its text in UTF-8.
        merges: pairs of tokens, in the order in which they were learnt.
        pattern: how text is cut into words; see `Splitter`.
        special: tokens that `encode` only looks for when asked, by id.
        habits: the rest.

    Raises:
        ValueError: As for `BPETokenizer`.

    Example:
        >>> plain = BPETokenizer.train("low lower lowest", 260)
        >>> spaced = PublishedBPE(plain.tokens, plain.merges, habits=Habits(prefix_space=True))
        >>> spaced.encode("low") == plain.encode(" low")
        True

    Source: https://github.com/huggingface/tokenizers.
    Book: chapter "A GPT, and the real thing".
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        merges: Sequence[tuple[bytes, bytes]],
        *,
        pattern: str = GPT2_PATTERN,
        special: Mapping[str, int] | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.habits = habits or Habits()
        count = Counter(tokens)  # an added token that reads like a learnt one is no part of words
        twins = {t.text: t.id for t in self.habits.added if count[t.text.encode()] > 1}
        super().__init__(tokens, merges, pattern=pattern, special=twins | dict(special or {}))
        self.special = dict(special or {})
        self._raw = Finder(t for t in self.habits.added if not t.normalized)
        self._normalised = Finder(t for t in self.habits.added if t.normalized)
        added = {t.id for t in self.habits.added}
        self._whole = {t: i for i, t in enumerate(self.tokens) if i not in added}

    def encode(
        self, text: str, *, allow_special: bool = False, add_special: bool = True
    ) -> list[int]:
        """Ids of a text.

        Args:
            text: any text.
            allow_special: also turn special tokens in the text into their own ids; see
                `BPETokenizer.encode`. Added tokens that are not special are always found.
            add_special: put the ids of `start` before and those of `end` after the text's.

        Raises:
            ValueError: If the text holds half of a surrogate pair, which has no UTF-8 form.
        """
        ids: list[int] = []
        for section in self._raw.split(text, allow_special=allow_special):
            if isinstance(section, int):
                ids.append(section)
                continue
            form = self.habits.normal_form
            section = unicodedata.normalize(form, section) if form else section  # noqa: PLW2901
            for piece in self._normalised.split(section, allow_special=allow_special):
                ids += [piece] if isinstance(piece, int) else self._encode(piece)
        return [*self.habits.start, *ids, *self.habits.end] if add_special else ids

    def save(self, path: str | Path) -> None:
        """Refuse: our file has no place for habits.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{path}: our file has no place for {self.habits}")

    def _encode(self, text: str) -> list[int]:
        spaced = self.habits.prefix_space and not text.startswith(" ")
        return super()._encode(f" {text}" if spaced else text)

    def _encode_word(self, word: str) -> list[int]:
        whole = self._whole.get(word.encode()) if self.habits.whole_words else None
        return super()._encode_word(word) if whole is None else [whole]


def encode_part(tokenizer: BPETokenizer, text: str) -> list[int]:
    """Ids of a part of a text: without what a tokenizer puts around every text.

    Book: chapter "Chat".
    """
    if isinstance(tokenizer, PublishedBPE):
        return tokenizer.encode(text, add_special=False)
    return tokenizer.encode(text)

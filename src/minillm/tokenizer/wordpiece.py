"""WordPiece, the tokenizer of BERT: words are cut into the longest pieces that the vocabulary has.

Unlike byte-level BPE it cleans the text first (lower case, no accents, single spaces), so decoding
does not give the text back, and a word with an unknown character becomes one [UNK]. Left out on
purpose: learning a vocabulary, and special tokens written inside the text, which stay plain text.

Book: chapter "From text to tokens".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from minillm.tokenizer.checks import check_ids

UNKNOWN, START, END, PADDING = "[UNK]", "[CLS]", "[SEP]", "[PAD]"
CONTINUATION = "##"
LONGEST_WORD = 100  # longer ones are unknown, as in BERT
IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieceTokenizer:
    """BERT's tokenizer with a given vocabulary.

    Args:
        vocabulary: the pieces by id. Empty ones may be there, and are never found.
        lower_case: write everything in lower case (the "uncased" models).
        strip_accents: leave accents out; None does so if `lower_case`.
        split_ideographs: cut around each Chinese character.
        split_punctuation: cut around each punctuation mark.
        continuation: how a piece inside a word begins.
        longest_word: words of more characters are unknown.

    Attributes:
        special: ids of [PAD], [UNK], [CLS] and [SEP] by name.

    Raises:
        ValueError: If a special token is missing or a piece occurs twice.

    Example:
        >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##want", "##ed", ",", "cafe"]
        >>> tokenizer = WordPieceTokenizer(pieces)
        >>> tokenizer.encode("Unwanted, café?")
        [2, 4, 5, 6, 7, 8, 1, 3]
        >>> tokenizer.decode([2, 4, 5, 6, 7, 8, 3])
        'unwanted , cafe'

    Source: Schuster and Nakajima (2012); Devlin et al. (2019), arXiv:1810.04805.
    Book: chapter "From text to tokens".
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        lower_case: bool = True,
        strip_accents: bool | None = None,
        split_ideographs: bool = True,
        split_punctuation: bool = True,
        continuation: str = CONTINUATION,
        longest_word: int = LONGEST_WORD,
    ) -> None:
        self.tokens, self.lower_case = tuple(vocabulary), lower_case
        self.strip_accents = lower_case if strip_accents is None else strip_accents
        self.split_ideographs, self.split_punctuation = split_ideographs, split_punctuation
        self.continuation, self.longest_word = continuation, longest_word
        self._ids = {piece: i for i, piece in enumerate(self.tokens) if piece}
        if len(self._ids) != len(self.tokens) - self.tokens.count(""):
            twice = len(self.tokens) - self.tokens.count("") - len(self._ids)
            raise ValueError(f"{twice} of {len(self.tokens)} pieces occur twice")
        missing = [name for name in (PADDING, UNKNOWN, START, END) if name not in self._ids]
        if missing:
            raise ValueError(f"special tokens {missing} are not in the vocabulary")
        self.special = {name: self._ids[name] for name in (PADDING, UNKNOWN, START, END)}

    @property
    def vocab_size(self) -> int:
        """V, the number of pieces."""
        return len(self.tokens)

    def encode(self, text: str, *, add_special: bool = True) -> list[int]:
        """Ids of a text, by default between [CLS] and [SEP] as BERT was trained."""
        ids = [i for word in self._words(text) for i in self._pieces(word)]
        return [self.special[START], *ids, self.special[END]] if add_special else ids

    def decode(self, ids: Iterable[int]) -> str:
        """Words of some ids with one space between them; [CLS], [SEP] and [PAD] are left out.

        Raises:
            ValueError: If an id is not in the vocabulary.
        """
        silent = {self.special[name] for name in (START, END, PADDING)}
        known = check_ids(ids, self.vocab_size)
        text = " ".join(self.tokens[i] for i in known if i not in silent)
        return text.replace(f" {self.continuation}", "") if self.continuation else text

    def _words(self, text: str) -> list[str]:
        """Cleaned words and single punctuation marks."""
        text = "".join([_clean(character) for character in text])
        if self.split_ideographs:
            text = "".join([f" {c} " if _is_ideograph(c) else c for c in text])
        if self.strip_accents:
            text = "".join([c for c in unicodedata.normalize("NFD", text) if _category(c) != "Mn"])
        if self.lower_case:
            text = "".join([c.lower() for c in text])  # one by one: no final sigma
        if self.split_punctuation:
            text = "".join([f" {c} " if _is_punctuation(c) else c for c in text])
        return text.split()

    def _pieces(self, word: str) -> list[int]:
        """The longest known beginning, then the longest known continuation, and so on."""
        if len(word) > self.longest_word:
            return [self.special[UNKNOWN]]
        ids, start = [], 0
        while start < len(word):
            prefix = self.continuation if start else ""
            candidates = ((end, prefix + word[start:end]) for end in range(len(word), start, -1))
            end = next((end for end, piece in candidates if piece in self._ids), 0)
            if not end:
                return [self.special[UNKNOWN]]
            ids.append(self._ids[prefix + word[start:end]])
            start = end
        return ids


@lru_cache(maxsize=1 << 14)
def _category(character: str) -> str:
    return unicodedata.category(character)


@lru_cache(maxsize=1 << 14)
def _clean(character: str) -> str:
    """Nothing for control characters, a space for spaces, any other character as it is."""
    if character in "\t\n\r" or _category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or _category(character) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    return character


@lru_cache(maxsize=1 << 14)
def _is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in IDEOGRAPHS)


@lru_cache(maxsize=1 << 14)
def _is_punctuation(character: str) -> bool:
    """Unicode punctuation, and every ASCII sign that is neither letter, digit nor space."""
    return _category(character)[0] == "P" or re.fullmatch(r"[!-/:-@\[-`{-~]", character) is not None

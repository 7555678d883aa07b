"""From text to token ids and back: characters, and byte-level byte-pair encoding (BPE).

A language model sees integers. `CharTokenizer` gives one to each character of a known alphabet;
`BPETokenizer` starts from the 256 bytes, so it can write any text, and merges the commonest
neighbours until its vocabulary is full (Sennrich et al. 2016; Radford et al. 2019). Left out on
purpose: normalisation of the text, because decode(encode(text)) must give the text back.

Book: chapter "From text to tokens".
"""

from collections.abc import Iterable
from typing import Protocol

from minillm.tokenizer.bpe import BPETokenizer
from minillm.tokenizer.characters import CharTokenizer
from minillm.tokenizer.split import GPT2_PATTERN, SMOLLM2_PATTERN, Splitter

__all__ = [
    "GPT2_PATTERN",
    "SMOLLM2_PATTERN",
    "BPETokenizer",
    "CharTokenizer",
    "Splitter",
    "Tokenizer",
]


class Tokenizer(Protocol):
    """Anything that turns text into ids below `vocab_size` and back.

    Book: chapter "From text to tokens".
    """

    @property
    def vocab_size(self) -> int:
        """V, the number of ids."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of some ids."""

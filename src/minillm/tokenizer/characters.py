"""One token per character: the simplest tokenizer, and the one with the longest sequences.

The alphabet is fixed when the tokenizer is made. A character outside it is an error that names
the character and its place, because a silent "unknown" token would make losses incomparable.

Book: chapter "From text to tokens".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from minillm.tokenizer.checks import check_ids, read_json


class CharTokenizer:
    """One id per distinct character, in the order of their code points.

    Args:
        text: any text; its distinct characters are the alphabet. A saved alphabet works too.

    Raises:
        ValueError: If the text is empty.

    Example:
        >>> tokenizer = CharTokenizer("hello")
        >>> tokenizer.alphabet, tokenizer.encode("hole")
        ('ehlo', [1, 3, 2, 0])
        >>> tokenizer.decode([1, 0, 2, 2, 3])
        'hello'
        >>> tokenizer.encode("help")
        Traceback (most recent call last):
        ...
        ValueError: character 'p' (U+0070) at position 3 is not in the alphabet of 4 characters

    Book: chapter "From text to tokens".
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("an empty text has no alphabet")
        self.alphabet = "".join(sorted(set(text)))
        self._ids = {character: i for i, character in enumerate(self.alphabet)}

    @property
    def vocab_size(self) -> int:
        """V, the number of characters in the alphabet."""
        return len(self.alphabet)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, one a character.

        Raises:
            ValueError: If a character is not in the alphabet; the message says which and where.
        """
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            unknown = str(error.args[0])
            raise ValueError(
                f"character {unknown!r} (U+{ord(unknown):04X}) at position {text.index(unknown)} "
                f"is not in the alphabet of {self.vocab_size} characters"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Text of some ids.

        Raises:
            ValueError: If an id is not below `vocab_size`.
        """
        return "".join([self.alphabet[i] for i in check_ids(ids, self.vocab_size)])

    def save(self, path: str | Path) -> None:
        """Write the alphabet to a JSON file."""
        data = {"type": "characters", "alphabet": self.alphabet}
        Path(path).write_text(json.dumps(data, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> CharTokenizer:
        """Read a tokenizer that `save` wrote.

        Raises:
            ValueError: If the file holds something else.
        """
        return cls(read_json(path, "characters", alphabet=str)["alphabet"])

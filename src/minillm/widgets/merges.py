"""Byte-pair encoding, merge by merge: the reader's own text, cut by vocabularies that were learnt.

The merges travel as pairs of numbers, about five characters each: 0 to 255 are the bytes, and each
merge that makes a token nobody had before adds the next number. Cutting is done in the page.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from minillm.tokenizer import BPETokenizer
from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import pack_varints

BYTES = [bytes([byte]) for byte in range(256)]
RULES = ("merges", "longest")
LONGEST_TEXT = 160


class MergeExplorer(Explorable):
    """Type a text and watch the first n merges of a vocabulary cut it.

    Args:
        tokenizers: byte-level BPE tokenizers by the name that the reader sees.
        text: the text shown first, at most 160 characters.
        n_merges: how many merges are known at first.
        limit: how many merges of each tokenizer travel into the page.

    Raises:
        ValueError: If there is no tokenizer, one has fewer than `limit` merges, the text is too
            long, or `n_merges` is not between 0 and `limit`.

    >>> tokenizer = BPETokenizer.train("low lower lowest", 260)
    >>> view = MergeExplorer({"toy": tokenizer}, "lowest", n_merges=2, limit=4)
    >>> view.pieces()
    [b'low', b'e', b's', b't']

    Book: chapter "From text to tokens".
    """

    _esm = bundle("merges.js")
    text = traitlets.Unicode().tag(sync=True)
    vocabulary = traitlets.Unicode().tag(sync=True)
    merges = traitlets.Int().tag(sync=True)
    rule = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        tokenizers: Mapping[str, BPETokenizer],
        text: str,
        *,
        n_merges: int = 0,
        limit: int = 1000,
    ) -> None:
        if not tokenizers:
            raise ValueError("got 0 tokenizers, expected at least 1")
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"the text has {len(text)} characters, the limit is {LONGEST_TEXT}")
        for name, tokenizer in tokenizers.items():
            if len(tokenizer.merges) < limit:
                raise ValueError(f"{name!r} has {len(tokenizer.merges)} merges, limit is {limit}")
        self._tokenizers = dict(tokenizers)
        super().__init__(
            {
                "vocabularies": [_packed(n, t, limit) for n, t in tokenizers.items()],
                "limit": limit,
                "longest_text": LONGEST_TEXT,
            },
            text=text,
            vocabulary=next(iter(tokenizers)),
            merges=int(within("n_merges", n_merges, 0, limit)),
            rule=RULES[0],
        )

    def pieces(self) -> list[bytes]:
        """The tokens of the text as the page shows them now."""
        member("vocabulary", self.vocabulary, list(self._tokenizers))
        whole = self._tokenizers[self.vocabulary]
        merges = whole.merges[: self.merges]
        tokens = list(dict.fromkeys([*BYTES, *(left + right for left, right in merges)]))
        if member("rule", self.rule, RULES) == "longest":
            words = whole.split(self.text)
            return [p for word in words for p in longest_pieces(word.encode(), set(tokens))]
        small = BPETokenizer(tokens, merges, pattern=whole.split.pattern)
        return [tokens[i] for i in small.encode(self.text)]

    def fallback(self) -> Fallback:
        """The first text under four numbers of merges."""
        limit, now = self.data["limit"], self.merges
        rows = []
        for self.merges in sorted({0, limit // 20, limit // 5, limit}):
            cut = [piece.decode(errors="replace") for piece in self.pieces()]
            rows.append((str(self.merges), str(len(cut)), " · ".join(cut)))
        self.merges = now
        sentence = (
            f"Byte-pair encoding merge by merge, with {len(self._tokenizers)} vocabularies of "
            f"{limit} merges. The table shows how “{self.text}” is cut when the first merges "
            f"learnt from {self.vocabulary} are known."
        )
        return Fallback(sentence, ("merges", "tokens", "cut"), rows)


def longest_pieces(word: bytes, vocabulary: set[bytes]) -> list[bytes]:
    """Cut a word by taking the longest known piece from the left, again and again.

    >>> longest_pieces(b"females", {b"fem", b"female", b"ales", b"s"})
    [b'female', b's']

    Book: chapter "From text to tokens".
    """
    pieces, start = [], 0
    while start < len(word):
        ends = range(len(word), start, -1)
        end = next((e for e in ends if word[start:e] in vocabulary), start + 1)
        pieces.append(word[start:end])
        start = end
    return pieces


def _packed(name: str, tokenizer: BPETokenizer, limit: int) -> dict[str, Any]:
    """Name, pattern and merges of a vocabulary for the page."""
    numbers = {token: i for i, token in enumerate(BYTES)}
    flat: list[int] = []
    for left, right in tokenizer.merges[:limit]:
        flat += [numbers[left], numbers[right]]
        numbers.setdefault(left + right, len(numbers))
    return {"name": name, "pattern": tokenizer.split.pattern, "merges": pack_varints(flat)}

"""Byte-level byte-pair encoding, as GPT-2 and SmolLM2 use it.

Text is cut into words by a pattern, each word becomes its UTF-8 bytes, and learnt merges join
neighbours in the order in which they were learnt. Because the 256 bytes are tokens, every text can
be written, and decode(encode(text)) is the text.

Source: Sennrich et al. (2016), arXiv:1508.07909; Radford et al. (2019), section 2.2.
Book: chapter "From text to tokens".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from minillm.tokenizer.alphabet import from_printable, to_printable
from minillm.tokenizer.checks import check_ids, check_special, check_unique, read_json
from minillm.tokenizer.learn import learn_merges
from minillm.tokenizer.merge import apply_merges, rank_merges
from minillm.tokenizer.split import GPT2_PATTERN, Splitter

CACHE_LIMIT = 1 << 18  # words whose ids are remembered


class BPETokenizer:
    """Byte-level BPE: trained here, or built from the vocabulary of a published model.

    Args:
        tokens: the bytes of each id; a special token is its text in UTF-8.
        merges: pairs of tokens, in the order in which they were learnt.
        pattern: how text is cut into words; see `Splitter`.
        special: tokens that `encode` only looks for when asked, such as '<|endoftext|>', by id.

    Bytes without a token are left out of what is encoded. A vocabulary trained here has all 256;
    SmolLM2's lacks six control characters and bytes that hardly occur in UTF-8, and its own
    tokenizer leaves them out in the same way.

    Raises:
        ValueError: If a special token is not at its id, is empty or reads like another token, or a
            merge takes or makes a token that is not there.

    Example:
        >>> tokenizer = BPETokenizer.train("low lower lowest", 260)
        >>> [tokenizer.tokens[i] for i in tokenizer.encode("lowest low")]
        [b'low', b'e', b's', b't', b' low']
        >>> tokenizer.decode(tokenizer.encode("naïve 🙂"))
        'naïve 🙂'

    Source: Radford et al. (2019), "Language Models are Unsupervised Multitask Learners".
    Book: chapter "From text to tokens".
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        merges: Sequence[tuple[bytes, bytes]],
        *,
        pattern: str = GPT2_PATTERN,
        special: Mapping[str, int] | None = None,
    ) -> None:
        self.tokens, self.merges = tuple(tokens), tuple(merges)
        self.special = dict(special or {})
        self.split = Splitter(pattern)
        ids = _index(self.tokens, self.special)
        self._byte_ids = {token[0]: i for token, i in ids.items() if len(token) == 1}
        self._ranks = rank_merges(self.merges, ids)
        self._cache: dict[str, list[int]] = {}
        longest_first = sorted(self.special, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens, special ones included."""
        return len(self.tokens)

    @classmethod
    def train(
        cls,
        text: str,
        vocab_size: int,
        *,
        pattern: str = GPT2_PATTERN,
        special: Sequence[str] = (),
    ) -> BPETokenizer:
        """Learn the merges of a text: again and again join its commonest pair of neighbours.

        Ties go to the pair with the smaller ids. Special tokens get the last ids. A short text may
        run out of pairs; the vocabulary is then smaller than asked.

        Raises:
            ValueError: If `vocab_size` has no room for the 256 bytes and the special tokens, or one
                of these is empty, given twice or reads like a token learnt.

        Book: chapter "From text to tokens".
        """
        least = 256 + len(special)
        if vocab_size < least:
            raise ValueError(
                f"vocab_size={vocab_size} is below {least}: 256 bytes and {len(special)} special"
            )
        check_unique(special)
        words = Counter(Splitter(pattern)(text))
        tokens, merges = learn_merges(words, vocab_size - len(special))
        names = {name: len(tokens) + i for i, name in enumerate(special)}
        tokens += [name.encode() for name in special]
        return cls(tokens, merges, pattern=pattern, special=names)

    @classmethod
    def from_vocab(
        cls,
        tokens: Sequence[str],
        merges: Sequence[str],
        *,
        pattern: str = GPT2_PATTERN,
        special: Iterable[str] = (),
    ) -> BPETokenizer:
        """Build the tokenizer of a published model from the lists in its GGUF or JSON file.

        Args:
            tokens: by id, in GPT-2's printable alphabet ('Ġthe'); special ones as they are.
            merges: 'left right', in the same alphabet, in order.
            pattern: `GPT2_PATTERN`, `SMOLLM2_PATTERN` or another.
            special: which of the tokens are special.

        Raises:
            ValueError: If a list is malformed or the two do not fit each other.

        Book: chapter "A GPT, and the real thing".
        """
        names = set(special)
        check_unique([token for token in tokens if token in names])
        raw = [t.encode() if t in names else from_printable(t) for t in tokens]
        pairs = [merge.split(" ") for merge in merges]
        wrong = next((m for m, pair in zip(merges, pairs, strict=True) if len(pair) != 2), None)
        if wrong is not None:
            raise ValueError(f"merge {wrong!r} is not two tokens with one space between them")
        if missing := sorted(names.difference(tokens)):
            raise ValueError(f"special tokens {missing} are not in the vocabulary")
        joined = [(from_printable(left), from_printable(right)) for left, right in pairs]
        places = {token: i for i, token in enumerate(tokens) if token in names}
        return cls(raw, joined, pattern=pattern, special=places)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Ids of a text.

        Args:
            text: any text.
            allow_special: also turn '<|endoftext|>' and the like into their own ids. Never do this
                with text from a stranger: it could end the prompt or speak as somebody else.

        Raises:
            ValueError: If the text holds half of a surrogate pair, which has no UTF-8 form.
        """
        if not (allow_special and self.special):
            return self._encode(text)
        ids: list[int] = []
        for i, piece in enumerate(self._special.split(text)):
            ids += [self.special[piece]] if i % 2 else self._encode(piece)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of some ids; bytes that are not valid UTF-8 become U+FFFD.

        Raises:
            ValueError: If an id is not below `vocab_size`.
        """
        pieces = [self.tokens[i] for i in check_ids(ids, self.vocab_size)]
        return b"".join(pieces).decode("utf-8", errors="replace")

    def steps(self, word: str) -> Iterator[list[bytes]]:
        """The word's pieces before the first merge and after each one.

        Example:
            >>> for pieces in BPETokenizer.train("low lower lowest", 260).steps("low"):
            ...     print(*pieces)
            b'l' b'o' b'w'
            b'lo' b'w'
            b'low'

        Book: chapter "From text to tokens".
        """
        ids = self._bytes(word)
        yield [self.tokens[i] for i in ids]
        while known := [p for p in pairwise(ids) if p in self._ranks]:
            best = min(known, key=lambda pair: self._ranks[pair][0])
            at = list(pairwise(ids)).index(best)
            ids[at : at + 2] = [self._ranks[best][1]]
            yield [self.tokens[i] for i in ids]

    def save(self, path: str | Path) -> None:
        """Write tokens, merges, pattern and special tokens to a JSON file."""
        by_id = {i: name for name, i in self.special.items()}
        data = {
            "type": "bpe",
            "pattern": self.split.pattern,
            "special": list(self.special),
            "tokens": [by_id.get(i) or to_printable(t) for i, t in enumerate(self.tokens)],
            "merges": [f"{to_printable(a)} {to_printable(b)}" for a, b in self.merges],
        }
        text = json.dumps(data, ensure_ascii=False, indent=0)
        Path(path).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> BPETokenizer:
        """Read a tokenizer that `save` wrote.

        Raises:
            ValueError: If the file holds something else or does not fit together.
        """
        data = read_json(path, "bpe", pattern=str, special=list, tokens=list, merges=list)
        return cls.from_vocab(
            data["tokens"], data["merges"], pattern=data["pattern"], special=data["special"]
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in self.split(text):
            known = self._cache.get(word)
            ids += self._encode_word(word) if known is None else known
        return ids

    def _encode_word(self, word: str) -> list[int]:
        if len(self._cache) >= CACHE_LIMIT:
            self._cache.clear()
        ids = self._cache[word] = apply_merges(self._bytes(word), self._ranks)
        return ids

    def _bytes(self, word: str) -> list[int]:
        return [self._byte_ids[byte] for byte in word.encode() if byte in self._byte_ids]


def _index(tokens: Sequence[bytes], special: Mapping[str, int]) -> dict[bytes, int]:
    """Bytes → id of the ordinary tokens, after a check of the special ones."""
    for name, i in special.items():
        if not 0 <= i < len(tokens) or tokens[i] != name.encode():
            raise ValueError(f"special token {name!r} is not token {i} of {len(tokens)}")
    reserved = set(special.values())
    ids = {token: i for i, token in enumerate(tokens) if i not in reserved}
    check_special(special, ids)
    return ids

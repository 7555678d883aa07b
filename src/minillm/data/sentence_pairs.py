"""Pairs of passages: does the second follow the first, or does it come from another text?

Book: chapter "Objectives".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from minillm.data.batch import Batch
from minillm.data.windows import generator

OTHER, NEXT = 0, 1
"""The classes of a pair."""


class SentencePairs:
    """Rows [CLS] A [SEP] B [SEP]: B follows A in its text, or comes from another text.

    A is what stands before a border between two sentences, B what stands behind one. A keeps as
    many whole sentences as fit into its half (of a sentence that does not fit, its end), B begins
    with its first sentence and is cut where its half ends. Rows are filled with padding. Texts of
    one sentence have no border and are left out.

    Args:
        texts: each text as a list of sentences, each sentence as ids.
        length: T, the length of a row.
        cls: id of the token in front.
        sep: id of the token that ends a passage.
        pad: id that fills the rows and stands nowhere in the texts; the mask is False there.
        share_next: how often B follows A.
        seed: another seed gives other pairs.

    Raises:
        ValueError: If fewer than two texts have two sentences, a sentence is empty, a row has no
            room for two tokens, or the share is not in [0, 1].

    Example:
        >>> data = SentencePairs([[[5], [6]], [[7], [8]]], length=5, cls=1, sep=2, share_next=1.0)
        >>> batch = data.batch(0, 1)
        >>> batch.inputs[0].tolist() in ([1, 5, 2, 6, 2], [1, 7, 2, 8, 2]), batch.targets.tolist()
        (True, [1])

    Source: Devlin et al. (2019), section 3.1 and appendix A.2, arXiv:1810.04805.
    Book: chapter "Objectives".
    """

    def __init__(
        self,
        texts: Sequence[Sequence[Sequence[int]]],
        *,
        length: int,
        cls: int,
        sep: int,
        pad: int = 0,
        share_next: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.texts = [text for text in texts if len(text) > 1]
        if len(self.texts) < 2:
            raise ValueError(
                f"need two texts of two sentences or more: of {len(texts)} texts "
                f"{len(self.texts)} have two sentences"
            )
        empty = sum(not sentence for text in texts for sentence in text)
        if empty:
            raise ValueError(f"sentences must have tokens: {empty} of the texts' are empty")
        if length < 5 or not 0 <= share_next <= 1:
            raise ValueError(f"length={length} must be >= 5, share_next={share_next} in [0, 1]")
        self.length, self.cls, self.sep, self.pad = length, cls, sep, pad
        self.share_next, self.seed = share_next, seed

    def batch(self, step: int, size: int) -> Batch:
        """The pairs of one step, the same ones whenever asked; targets (B,), 1 = B follows A."""
        source = generator(self.seed, step)
        rows, labels = [], []
        for _ in range(size):
            label = NEXT if torch.rand((), generator=source) < self.share_next else OTHER
            text, border = self._border(source)
            other, behind = (text, border) if label == NEXT else self._border(source, but=text)
            rows.append(self.row(self.texts[text][:border], self.texts[other][behind:]))
            labels.append(label)
        inputs = torch.stack(rows)
        return Batch(inputs, torch.tensor(labels), inputs != self.pad)

    def row(self, before: Sequence[Sequence[int]], behind: Sequence[Sequence[int]]) -> Tensor:
        """One row (T,) made of the sentences of two passages."""
        half = (self.length - 3) // 2
        kept = [n for n in accumulate(len(s) for s in reversed(before)) if n <= half]
        a = [token for sentence in before for token in sentence][-(kept[-1] if kept else half) :]
        b = [token for sentence in behind for token in sentence][: self.length - 3 - half]
        ids = [self.cls, *a, self.sep, *b, self.sep]
        return torch.tensor(ids + [self.pad] * (self.length - len(ids)))

    def _border(self, source: torch.Generator, *, but: int | None = None) -> tuple[int, int]:
        """A text, another one than `but`, and a border in it."""
        n = len(self.texts) - (but is not None)
        text = int(torch.randint(n, (), generator=source))
        text += but is not None and text >= but
        return text, 1 + int(torch.randint(len(self.texts[text]) - 1, (), generator=source))


def segments_of(tokens: Tensor, sep: int) -> Tensor:
    """Which passage each token belongs to: 0 up to the first `sep`, and 1 after it.

    Shape:
        tokens: (B, T) → (B, T)

    Example:
        >>> segments_of(torch.tensor([[1, 5, 2, 6, 2]]), 2).tolist()
        [[0, 0, 0, 1, 1]]

    Source: Devlin et al. (2019), section 3, arXiv:1810.04805.
    Book: chapter "Objectives".
    """
    is_sep = (tokens == sep).long()
    return (is_sep.cumsum(-1) - is_sep > 0).long()

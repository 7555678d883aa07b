"""One vector for each text, from an encoder such as MiniLM.

The hidden vectors of the real tokens are averaged and divided by their length, so that the product
of two texts' vectors is the cosine of their angle.

Book: chapter "Question answering and retrieval".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.nn.classifier import mean_pool
from minillm.nn.transformer import Transformer
from minillm.tokenizer.wordpiece import END, PADDING, WordPieceTokenizer


@torch.no_grad()  # not inference_mode: a reader may train a classifier on the vectors
def sentence_vectors(
    model: Transformer,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    *,
    max_length: int = 256,
    batch_size: int = 32,
) -> Tensor:
    """Turn texts into vectors of length 1.

    vector = m / ‖m‖ with m the mean of the hidden vectors of a text's tokens.

    Args:
        model: an encoder in evaluation mode.
        tokenizer: its tokenizer.
        texts: N texts.
        max_length: tokens of a text that are read, [CLS] and [SEP] included; the rest is cut off.
        batch_size: texts in one forward pass, which are sorted by length to save padding.

    Shape:
        returns (N, D).

    Raises:
        ValueError: If there are no texts, or `max_length` is below 3 or above the context length.

    Source: Reimers and Gurevych (2019), arXiv:1908.10084.
    Book: chapter "Question answering and retrieval".
    """
    _check(texts, max_length, model.config.context_length)
    rows = [_cut(tokenizer, tokenizer.encode(text), max_length) for text in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    padding, device = tokenizer.special[PADDING], model.embedding.token.weight.device
    vectors = []
    for start in range(0, len(rows), batch_size):
        batch = [rows[i] for i in order[start : start + batch_size]]
        tokens, mask = (part.to(device) for part in _right_pad(batch, padding))
        vectors.append(F.normalize(mean_pool(model(tokens, mask=mask), mask), dim=-1))
    return torch.cat(vectors)[torch.tensor(order, device=device).argsort()]


def _check(texts: Sequence[str], max_length: int, limit: int) -> None:
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of texts, got the single text {texts[:40]!r}")
    if not texts or not 3 <= max_length <= limit:
        raise ValueError(f"{len(texts)} texts, max_length={max_length}, context_length={limit}")


def _right_pad(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as tokens (B, T) and mask (B, T), True = a real token."""
    width = max(map(len, rows))
    tokens = torch.tensor([[*row, *[padding] * (width - len(row))] for row in rows])
    return tokens, torch.arange(width) < torch.tensor([len(row) for row in rows])[:, None]


def _cut(tokenizer: WordPieceTokenizer, ids: list[int], length: int) -> list[int]:
    """Shorten ids, but let them end with [SEP] as in training."""
    return ids if len(ids) <= length else [*ids[: length - 1], tokenizer.special[END]]

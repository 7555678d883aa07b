"""A Transformer that puts labels on texts.

The hidden vectors of a text are averaged into one, and a linear layer gives each class a score.
Chapter "Classification, sentiment, moderation".
"""

from __future__ import annotations

from torch import Tensor, nn

from minillm.nn.config import ModelConfig
from minillm.nn.models import init_weights
from minillm.nn.transformer import Transformer


class SequenceClassifier(nn.Module):
    """A Transformer that reads a text and returns one logit for each class.

    logits = W · mean(hidden of the real tokens) + b

    Args:
        config: usually an encoder's (`causal=False`).
        n_classes: C.

    Shape:
        tokens: (B, T) → (B, C)

    Book: chapter "Classification, sentiment, moderation".
    """

    def __init__(self, config: ModelConfig, n_classes: int) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_model, n_classes)
        init_weights(self)

    def forward(self, tokens: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return class logits (B, C); `mask` (B, T) is True for real tokens."""
        hidden = self.transformer(tokens, mask=mask)
        return self.head(self.drop(mean_pool(hidden, mask)))


def mean_pool(hidden: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average the vectors of the real tokens; padding does not count.

    Shape:
        hidden: (B, T, D); mask: (B, T), True = a real token → (B, D)

    Example:
        >>> import torch
        >>> mean_pool(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
        tensor([[2.]])

    Source: Reimers and Gurevych (2019), arXiv:1908.10084.
    Book: chapter "Classification, sentiment, moderation".
    """
    if mask is None:
        return hidden.mean(1)
    weight = mask.to(hidden.dtype)[..., None]  # (B, T, 1)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)

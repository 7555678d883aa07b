"""A translator with its source in hand: what `generate` and `beam_search` can write with.

Book: chapter "Encoder, decoder, both".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minillm.nn.eval_mode import eval_mode
from minillm.nn.kv_cache import KVCache
from minillm.nn.models import Seq2Seq


class Conditioned(nn.Module):
    """The decoder of a `Seq2Seq` as a language model of what follows, for given sources.

    log p(y | x) = Σ_t log p(y_t | y_<t, x): with the source x fixed, a translator is a language
    model, so whatever writes with one writes translations. The source is read once.

    Args:
        model: the translator; it is read in evaluation mode.
        source: ids of the sources (B, S).
        mask: (B, S), True = a real token; None if there is no padding.

    Shape:
        tokens: (B, T), what has been written, or the newest token with a state → (B, T, V).

    Raises:
        ValueError: If the mask is not of the shape of the source, or there are more texts than
            sources (one source serves any number of texts).

    Example:
        >>> from minillm import ModelConfig, generate
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> writer = Conditioned(Seq2Seq(config), torch.tensor([[3, 4, 5]]))
        >>> generate(writer, torch.tensor([[1]]), max_new_tokens=4).shape
        torch.Size([1, 5])

    Book: chapter "Encoder, decoder, both".
    """

    def __init__(self, model: Seq2Seq, source: Tensor, mask: Tensor | None = None) -> None:
        super().__init__()
        if mask is not None and mask.shape != source.shape:
            raise ValueError(f"mask {tuple(mask.shape)} does not fit source {tuple(source.shape)}")
        self.model, self.config = model, model.config
        self.source, self.mask = source, mask
        with torch.no_grad(), eval_mode(model):
            self.memory = model.encode(source, mask=mask)  # (B, S, D)

    def forward(self, tokens: Tensor, *, state: KVCache | None = None) -> Tensor:
        """Return the logits of the token after each of `tokens`."""
        rows, sources = len(tokens), len(self.source)
        if sources not in (rows, 1):
            raise ValueError(f"{rows} texts, but {sources} sources")
        return self.model(
            self.source, tokens, source_mask=self.mask, memory=self.memory, state=state
        )

    def new_state(self, batch: int, length: int) -> KVCache:
        """Return an empty decoder cache for `batch` rows of at most `length` tokens."""
        return self.model.new_state(batch, length)

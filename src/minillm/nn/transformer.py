"""The Transformer: an embedding, a stack of identical blocks, a final norm.

One `Block` serves GPT-2, BERT, Llama and the encoder–decoder. They differ in five parts (norm, its
placement, feed-forward network, positions, causality), which the config names and this file looks
up. The hidden vectors that flow from block to block are called the residual stream.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.nn.attention import Attention
from minillm.nn.config import ModelConfig
from minillm.nn.ffn import FFNS
from minillm.nn.kv_cache import KVCache, LayerCache
from minillm.nn.norm import NORMS, RESIDUALS, Residual
from minillm.nn.position import Rope, Rotation, sinusoids


class Block(nn.Module):
    """Attention, then a feed-forward network, each added to the residual stream.

    pre-norm:   x ← x + attention(norm(x));   x ← x + ffn(norm(x))
    post-norm:  x ← norm(x + attention(x));   x ← norm(x + ffn(x))

    With an encoder's output (`memory`) a cross-attention stands between the two.

    Args:
        config: names the parts and sizes.

    Shape:
        x: (B, T, D) → (B, T, D)

    Source: Vaswani et al. (2017), arXiv:1706.03762; pre-norm: Radford et al. (2019).
    Book: chapter "The block".
    """

    residual: Residual

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = NORMS[config.norm](config)
        self.attention = Attention(config, causal=config.causal)
        if config.cross_attention:
            self.cross_norm = NORMS[config.norm](config)
            self.cross_attention = Attention(config, causal=False)
        self.ffn_norm = NORMS[config.norm](config)
        self.ffn = FFNS[config.ffn](config)
        self.residual = RESIDUALS[config.norm_placement]
        self.dropout = config.dropout

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        rope: Rotation | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Send the stream through the sublayers; masks broadcast to (B, H, T, S)."""

        def drop(h: Tensor) -> Tensor:
            return F.dropout(h, self.dropout) if self.training else h

        def attend(h: Tensor) -> Tensor:
            return drop(self.attention(h, mask=mask, rope=rope, cache=cache))

        def cross(h: Tensor) -> Tensor:
            return drop(self.cross_attention(h, memory, mask=memory_mask, cache=cache))

        def feed(h: Tensor) -> Tensor:
            return drop(self.ffn(h))

        x = self.residual(x, self.attention_norm, attend)
        if memory is not None:
            x = self.residual(x, self.cross_norm, cross)
        return self.residual(x, self.ffn_norm, feed)


class Embedding(nn.Module):
    """Token ids to vectors: the token's row, plus its position's and its segment's.

    x = scale · token[id] (+ position[p]) (+ segment[s]), then norm and dropout where configured.
    The scale is √D with sinusoids (otherwise they drown the tokens), 1 elsewhere.

    Args:
        config: names position kind, segments and embedding norm.

    Shape:
        tokens: (B, T) → (B, T, D)

    Source: Vaswani et al. (2017), section 3.4; segments: Devlin et al. (2019), arXiv:1810.04805.
    Book: chapter "From text to tokens".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.scale = math.sqrt(config.d_model) if config.position == "sinusoidal" else 1.0
        self.position: nn.Embedding | None = None
        if config.position == "learned":
            self.position = nn.Embedding(config.context_length, config.d_model)
        elif config.position == "sinusoidal":
            table = sinusoids(config.context_length, config.d_model)
            self.position = nn.Embedding.from_pretrained(table)
        self.segment = (
            nn.Embedding(config.n_segments, config.d_model) if config.n_segments else None
        )
        self.norm = NORMS[config.norm](config) if config.embedding_norm else nn.Identity()
        self.drop = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Embed `tokens` that stand at `positions` (T,) or (B, T).

        Raises:
            ValueError: If a token id is not in the vocabulary (on a GPU the device itself
                reports it).
        """
        x = self._rows(tokens) * self.scale
        if self.position is not None:
            x = x + self.position(positions)
        if self.segment is not None:
            x = x + self.segment(torch.zeros_like(tokens) if segments is None else segments)
        return self.drop(self.norm(x))

    def _rows(self, tokens: Tensor) -> Tensor:
        try:
            return self.token(tokens)
        except IndexError:
            low, high = int(tokens.min()), int(tokens.max())
            raise ValueError(
                f"token ids {low} … {high} do not all lie in a vocabulary of "
                f"{self.token.num_embeddings}"
            ) from None


class Transformer(nn.Module):
    """Embedding, L blocks, final norm: tokens to hidden vectors.

    Args:
        config: names the parts and sizes.

    Shape:
        tokens: (B, T) → hidden: (B, T, D)

    Source: Vaswani et al. (2017), arXiv:1706.03762.
    Book: chapter "A GPT, and the real thing".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.rope = Rope(config.head_dim, config.rope_theta) if config.position == "rope" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = NORMS[config.norm](config) if config.norm_placement == "pre" else nn.Identity()

    def forward(
        self,
        tokens: Tensor,
        memory: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        segments: Tensor | None = None,
        state: KVCache | None = None,
    ) -> Tensor:
        """Compute the hidden vector of every position.

        Args:
            tokens: ids (B, T).
            memory: an encoder's output (B, S, D), for blocks with cross-attention.
            mask: (B, S), True = a real token, False = padding, over everything read so far
                (S = len(state) + T). Positions are counted over real tokens, so padding on the
                left shifts nothing.
            memory_mask: the same for `memory`.
            segments: segment ids (B, T).
            state: keys and values of earlier calls; extended in place.

        Shape:
            returns (B, T, D).

        Raises:
            ValueError: If tokens are not (B, T), there are more positions than
                `context_length`, or the mask's length is not S.
        """
        past = 0 if state is None else len(state)
        _check_length(tokens, past, self.config.context_length)
        positions, mask = _positions_and_mask(tokens, past, mask)
        memory_mask = None if memory_mask is None else memory_mask.bool()[:, None, None, :]
        x = self.embedding(tokens, positions, segments)
        rope = None if self.rope is None else self.rope(positions, x.dtype)
        for i, block in enumerate(self.blocks):
            cache = None if state is None else state[i]
            x = block(x, memory, mask=mask, memory_mask=memory_mask, rope=rope, cache=cache)
        return self.norm(x)


def _check_length(tokens: Tensor, past: int, limit: int) -> None:
    if tokens.ndim != 2:
        raise ValueError(f"tokens must be (B, T), got a shape of {tuple(tokens.shape)}")
    total = past + tokens.shape[1]
    if total > limit:
        raise ValueError(f"{total} positions exceed context_length={limit}")


def _positions_and_mask(
    tokens: Tensor, past: int, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Count positions over real tokens only, and widen the padding mask to (B, 1, 1, S)."""
    length = past + tokens.shape[1]
    if mask is None:
        return torch.arange(past, length, device=tokens.device), None
    if mask.shape != (tokens.shape[0], length):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, tokens read so far {(tokens.shape[0], length)}"
        )
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, past:]  # (B, T)
    return positions, mask.bool()[:, None, None, :]

"""Attention: the written-out form that a chapter builds, the fused form that runs, and the module.

`explicit_attention` computes softmax(q kᵀ / √E) v step by step and returns the weights, so it is
what `capture` installs when somebody wants to look. `fused_attention` is PyTorch's kernel, which
never forms the weights; it is what runs otherwise. The tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.nn.config import ModelConfig
from minillm.nn.kv_cache import LayerCache
from minillm.nn.linear import Linear
from minillm.nn.position import Rotation, rotate


def causal_mask(q_len: int, kv_len: int, *, device: torch.device | None = None) -> Tensor:
    """Which keys each query may see when nobody may look ahead: True = may attend.

    Aligned to the lower right corner: the last query sees every key, also when the keys of a cache
    precede the queries.

    Shape:
        returns (q_len, kv_len), bool.

    Example:
        >>> causal_mask(2, 3).int().tolist()
        [[1, 1, 0], [1, 1, 1]]

    Book: chapter "Many heads, masks and maps".
    """
    return torch.ones(q_len, kv_len, dtype=torch.bool, device=device).tril(kv_len - q_len)


def explicit_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, written out: weights = softmax(q kᵀ / √E), output = weights v.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: True where a query may attend to a key; a row without a True gets weights of 0.
        causal: also forbid keys after the query, counted from the last key.
        dropout: probability, applied to the weights.

    Shape:
        q: (..., H, T, E); k, v: (..., K, S, E) with K dividing H; output: (..., H, T, E);
        weights (and mask, broadcast): (..., H, T, S). Two axes each are one head without a batch.

    Raises:
        ValueError: If the shapes do not fit; the message names both.

    Example:
        >>> q = k = v = torch.eye(2)
        >>> explicit_attention(q, k, v, causal=True)[1][0].tolist()
        [1.0, 0.0]

    Source: Vaswani et al. (2017), arXiv:1706.03762, eq. 1; shared key heads: arXiv:2305.13245.
    Book: chapter "Attention from first principles".
    """
    k, v = _share_heads(q, k, v)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (..., H, T, S)
    allowed = _allowed(q, k, mask, causal=causal)
    scores = scores.masked_fill(~allowed, -math.inf)
    weights = scores.softmax(dim=-1).masked_fill(~allowed, 0.0)  # empty row: 0
    return F.dropout(weights, dropout) @ v, weights


def _allowed(q: Tensor, k: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    """Where a query may attend to a key, up to broadcasting to (..., H, T, S)."""
    if causal:
        seen = causal_mask(q.shape[-2], k.shape[-2], device=q.device)
        mask = seen if mask is None else mask & seen
    return torch.ones((), dtype=torch.bool, device=q.device) if mask is None else mask


def _share_heads(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes and repeat key-value heads until there is one for each query head."""
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries have width {q.shape[-1]}, keys {k.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"{k.shape[-2]} keys but {v.shape[-2]} values")
    if q.dim() < 3 or q.shape[-3] == k.shape[-3]:
        return k, v
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(f"{q.shape[-3]} query heads cannot share {k.shape[-3]} key heads")
    groups = q.shape[-3] // k.shape[-3]
    return k.repeat_interleave(groups, -3), v.repeat_interleave(groups, -3)  # (B, H, S, E)


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Compute what `explicit_attention` does in PyTorch's fused kernel, without the weights.

    Args:
        q: queries (B, H, T, E).
        k: keys (B, K, S, E).
        v: values (B, K, S, E).
        mask: True where a query may attend to a key; broadcast to (B, H, T, S).
        causal: also forbid keys after the query, counted from the last key.
        dropout: probability, applied to the weights.

    Shape:
        returns (B, H, T, E).

    Source: Dao et al. (2022), arXiv:2205.14135.
    Book: chapter "Attention from first principles".
    """
    aligned = mask is None and q.shape[-2] == k.shape[-2]
    if causal and not aligned:  # the kernel's own flag is wrong with a cache or beside a mask
        mask = _allowed(q, k, mask, causal=True)
    shared = q.shape[-3] != k.shape[-3]
    return F.scaled_dot_product_attention(
        q, k, v, mask, dropout, is_causal=causal and aligned, enable_gqa=shared
    )


class Attention(nn.Module):
    """Multi-head attention with separate projections, of a sequence to itself or to another one.

    head h: softmax(q_h k_hᵀ / √E) v_h, with q = W_q x, k = W_k s, v = W_v s; heads are
    concatenated and mixed by W_o. With fewer key-value than query heads, groups of H / K query
    heads share one of them.

    The attribute `kernel` is the function that is called with q, k, v; `capture` swaps it for the
    explicit one to record the weights.

    Args:
        config: gives D, H, K, E, biases and dropout.
        causal: whether a position may only look back.

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.2; GQA: arXiv:2305.13245.
    Book: chapter "Many heads, masks and maps".
    """

    kernel: Callable[..., Tensor]

    def __init__(self, config: ModelConfig, *, causal: bool) -> None:
        super().__init__()
        self.n_heads, self.kv_heads = config.n_heads, config.kv_heads
        self.head_dim = config.head_dim
        self.causal, self.dropout = causal, config.dropout
        kv_dim = config.kv_heads * config.head_dim
        self.q_proj = Linear(config.d_model, config.d_model, bias=config.bias)
        self.k_proj = Linear(config.d_model, kv_dim, bias=config.bias)
        self.v_proj = Linear(config.d_model, kv_dim, bias=config.bias)
        self.o_proj = Linear(config.d_model, config.d_model, bias=config.bias)
        self.kernel = fused_attention

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        rope: Rotation | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Let each position of `x` gather from `source` (from `x` itself by default).

        Args:
            x: what asks (B, T, D).
            source: what answers (B, S, D); given, this is cross-attention.
            mask: True where a query may attend to a key; broadcast to (B, H, T, S).
            rope: rotation for queries and keys.
            cache: this layer's keys and values of earlier steps.

        Shape:
            returns (B, T, D).
        """
        q = self._split(self.q_proj(x), self.n_heads)  # (B, H, T, E)
        if source is None:
            k, v = self._project(x)  # (B, K, T, E)
            if rope is not None:
                q, k = rotate(q, rope), rotate(k, rope)
            if cache is not None:
                k, v = cache.append(k, v)  # (B, K, S, E)
        else:
            k, v = self._remembered(source, cache)
        causal = self.causal and q.shape[-2] > 1  # the newest position alone may see everything
        dropout = self.dropout if self.training else 0.0
        y = self.kernel(q, k, v, mask, causal=causal, dropout=dropout)  # (B, H, T, E)
        return self.o_proj(y.transpose(1, 2).flatten(-2))

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(*x.shape[:-1], heads, self.head_dim).transpose(1, 2)  # (B, heads, T, E)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        k, v = self.k_proj(x), self.v_proj(x)
        return self._split(k, self.kv_heads), self._split(v, self.kv_heads)

    def _remembered(self, source: Tensor, cache: LayerCache | None) -> tuple[Tensor, Tensor]:
        """Keys and values of the encoder's output, computed once for each cache."""
        if cache is None:
            return self._project(source)
        if cache.memory is None:
            cache.memory = self._project(source)
        return cache.memory

"""Normalisation, and the two ways to wire a sublayer into the residual stream.

A norm sets the scale of each position's vector; the wiring decides whether it is applied to what a
sublayer reads (pre-norm, GPT-2 and everything since) or to the sum it has produced (post-norm, the
Transformer of 2017 and BERT). Both wirings are two-line functions, so a block differs in a name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.nn.config import ModelConfig, Norm, NormPlacement

Sublayer = Callable[[Tensor], Tensor]
Residual = Callable[[Tensor, nn.Module, Sublayer], Tensor]


class RMSNorm(nn.Module):
    r"""Divide each vector by its root mean square, then scale each coordinate.

    y = weight · x / √(mean(x²) + eps)

    The mean is taken over the last axis and in at least float32, whatever the input's type.

    Args:
        d_model: D, the length of the vectors.
        eps: added to the mean square.

    Shape:
        x: (..., D) → (..., D)

    Example:
        >>> norm = RMSNorm(2, eps=0.0)
        >>> norm(torch.tensor([3.0, 4.0])).square().mean().item()  # doctest: +ELLIPSIS
        1.0...

    Source: Zhang and Sennrich (2019), arXiv:1910.07467.
    Book: chapter "The block".
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x`."""
        weight = self.weight
        return F.rms_norm(x, weight.shape, weight, self.eps)


def pre_norm(x: Tensor, norm: nn.Module, sublayer: Sublayer) -> Tensor:
    """Add a sublayer that reads a normalised stream: x + sublayer(norm(x)).

    The stream itself is never rescaled.

    Shape:
        x: (B, T, D) → (B, T, D)

    Source: Xiong et al. (2020), arXiv:2002.04745.
    Book: chapter "The block".
    """
    return x + sublayer(norm(x))


def post_norm(x: Tensor, norm: nn.Module, sublayer: Sublayer) -> Tensor:
    """Add a sublayer and normalise the sum: norm(x + sublayer(x)).

    Every sum is rescaled before it goes on.

    Shape:
        x: (B, T, D) → (B, T, D)

    Source: Vaswani et al. (2017), arXiv:1706.03762.
    Book: chapter "The block".
    """
    return norm(x + sublayer(x))


NORMS: dict[Norm, Callable[[ModelConfig], nn.Module]] = {
    "layernorm": lambda c: nn.LayerNorm(c.d_model, c.norm_eps),
    "rmsnorm": lambda c: RMSNorm(c.d_model, c.norm_eps),
}
RESIDUALS: dict[NormPlacement, Residual] = {"pre": pre_norm, "post": post_norm}

"""The feed-forward network: what a block does to each position on its own.

Attention moves information between positions; this part works on what has arrived. Two linear maps
with a non-linearity between them (2017, GPT-2, BERT), or the gated version of Llama, in which one
projection decides how much of another is let through.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from minillm.nn.config import FFN, ModelConfig
from minillm.nn.linear import Linear


class MLP(nn.Module):
    """Widen, apply a non-linearity, narrow.

    y = W_down · act(W_up · x + b_up) + b_down

    Args:
        config: gives D, F and whether there are biases.
        activation: the non-linearity, applied coordinate by coordinate.

    Shape:
        x: (..., D) → (..., D)

    Source: Vaswani et al. (2017), arXiv:1706.03762, eq. 2; GELU: arXiv:1606.08415.
    Book: chapter "The block".
    """

    activation: Callable[[Tensor], Tensor]

    def __init__(self, config: ModelConfig, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.up_proj = Linear(config.d_model, config.ffn_dim, bias=config.bias)
        self.down_proj = Linear(config.ffn_dim, config.d_model, bias=config.bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to each position."""
        return self.down_proj(self.activation(self.up_proj(x)))


class SwiGLU(nn.Module):
    """Widen twice, let one gate the other, narrow.

    y = W_down · (silu(W_gate · x) ⊙ W_up · x)

    Shape:
        x: (..., D) → (..., D)

    Source: Shazeer (2020), arXiv:2002.05202.
    Book: chapter "The block".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.d_model, config.ffn_dim, bias=config.bias)
        self.up_proj = Linear(config.d_model, config.ffn_dim, bias=config.bias)
        self.down_proj = Linear(config.ffn_dim, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to each position."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


FFNS: dict[FFN, Callable[[ModelConfig], nn.Module]] = {
    "relu": lambda c: MLP(c, F.relu),
    "gelu": lambda c: MLP(c, F.gelu),
    "gelu_tanh": lambda c: MLP(c, partial(F.gelu, approximate="tanh")),
    "swiglu": SwiGLU,
}

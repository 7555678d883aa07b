"""A mixture of experts: many feed-forward networks, of which each token uses a few.

A router scores the experts for every token. The best k compute, the others rest, so parameters grow
with the number of experts and operations do not. Left to itself a router sends most tokens to few
experts; a second loss, added to the first with a small factor, pulls it towards an even use. Left
out on purpose: a limit on the tokens of one expert, and experts on several devices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minillm.nn.config import ModelConfig
from minillm.nn.ffn import FFNS
from minillm.nn.linear import Linear


class MixtureOfExperts(nn.Module):
    r"""Experts, and a router that gives each token to the best k of them.

    p = softmax(W_r x);  y = Σ w_e · FFN_e(x) over the k experts with the largest p_e

    The weights w are these p divided by their sum, or with k = 1 the p itself: divided by itself it
    would be 1, and the router would get no gradient.

    Args:
        config: gives D, the kind of expert and the width F of each.
        n_experts: how many there are.
        top_k: k, how many a token uses.

    Attributes:
        balance: the balance loss of the last call, n_experts · Σ_e f_e · mean(p_e), where f_e is
            the share of the choices that went to expert e. It is 1 when either is even.
        shares: those f_e, (n_experts,).

    Shape:
        x: (..., D) → (..., D)

    Raises:
        ValueError: If there are fewer experts than `top_k`, or `top_k` is less than 1.

    Example:
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> layer = MixtureOfExperts(config, n_experts=4, top_k=2)
        >>> layer(torch.zeros(1, 3, 8)).shape, layer.shares.sum().item()
        (torch.Size([1, 3, 8]), 1.0)

    Source: Shazeer et al. (2017), arXiv:1701.06538; balance: Fedus et al. (2022), arXiv:2101.03961,
    eq. 4; weights: Jiang et al. (2024), arXiv:2401.04088.
    Book: chapter "A GPT, and the real thing".
    """

    balance: Tensor
    shares: Tensor

    def __init__(self, config: ModelConfig, *, n_experts: int, top_k: int) -> None:
        super().__init__()
        if not 1 <= top_k <= n_experts:
            raise ValueError(f"top_k={top_k} must lie between 1 and n_experts={n_experts}")
        self.top_k = top_k
        self.router = Linear(config.d_model, n_experts, bias=False)
        self.experts = nn.ModuleList(FFNS[config.ffn](config) for _ in range(n_experts))

    def forward(self, x: Tensor) -> Tensor:
        """Send each vector of `x` through its experts."""
        flat = x.reshape(-1, x.shape[-1])  # (N, D)
        probabilities = self.router(flat).softmax(-1, dtype=torch.float32)  # (N, n_experts)
        weights, chosen = probabilities.topk(self.top_k, dim=-1)  # (N, k)
        if self.top_k > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        self._record(probabilities, chosen)
        y = torch.zeros_like(flat)
        for e, expert in enumerate(self.experts):
            rows, slots = (chosen == e).nonzero(as_tuple=True)
            part = weights[rows, slots, None] * expert(flat[rows])
            y = y.index_add(0, rows, part.to(y.dtype))
        return y.view_as(x)

    def _record(self, probabilities: Tensor, chosen: Tensor) -> None:
        n_experts = len(self.experts)
        self.shares = chosen.flatten().bincount(minlength=n_experts) / chosen.numel()
        self.balance = n_experts * (self.shares * probabilities.mean(0)).sum()

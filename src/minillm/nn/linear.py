"""The linear layer, with the short way for a single vector.

While a text is written, each step multiplies one vector by every matrix of the model. That is a
matrix–vector product, for which PyTorch has a kernel of its own; `nn.Linear` calls the one for
matrices, which is slower then, most of all in bfloat16 on a CPU (`benchmarks/generation.py`).
Chapter "Generating text".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """What `nn.Linear` computes: y = W x + b, with the same parameters and the same start.

    Args:
        in_features: length of x.
        out_features: length of y.
        bias: whether there is a b.

    Shape:
        x: (..., in_features) → (..., out_features)

    Example:
        >>> layer = Linear(3, 2)
        >>> with torch.no_grad():
        ...     layer(torch.ones(1, 1, 3)).shape
        torch.Size([1, 1, 2])

    Book: chapter "Generating text".
    """

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each vector of `x` by the matrix and add the bias."""
        weight, bias = self.weight, self.bias
        if x.numel() != self.in_features or torch.is_grad_enabled() or x.dtype != weight.dtype:
            return F.linear(x, weight, bias)
        vector = x.view(self.in_features)
        y = weight.mv(vector) if bias is None else torch.addmv(bias, weight, vector)
        return y.view(*x.shape[:-1], self.out_features)

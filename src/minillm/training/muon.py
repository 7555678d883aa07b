"""Muon: momentum, then make all directions of a matrix's update about equally long.

The gradient of a weight matrix is usually dominated by a few directions (singular vectors). Muon
keeps the directions and sets their lengths to about 1, by five multiplications instead of a
singular value decomposition. It is meant for the matrices inside a network; embeddings, the output
head, norms and biases stay with AdamW. Where a process holds only a slice of a matrix (FSDP2), the
matrix is brought together for the direction. Left out: sharing that work among processes.

Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. Chapter "Pretraining".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from minillm.device import fast_dtype
from minillm.training.parallel import full_tensor, shard_like

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a x + b x³ + c x⁵: the steepest at 0 whose fixed band lies around 1."""


def newton_schulz(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """Move the singular values of a matrix towards 1, keeping its singular vectors.

    X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X, applied `steps` times to X = matrix / ‖matrix‖.

    After five steps singular values that were at least 1/300 of the norm lie between 0.68 and
    1.21; much smaller ones are enlarged, but not to 1. Computed in the matrix's own dtype.

    Shape:
        matrix: (R, C); output: (R, C).

    Raises:
        ValueError: If the input is no matrix.

    Example:
        >>> newton_schulz(torch.diag(torch.tensor([9.0, 1.0]))).diagonal()
        tensor([0.7034, 0.7529])

    Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon.
    Book: chapter "Pretraining".
    """
    if matrix.ndim != 2:
        raise ValueError(f"needs a matrix, got a shape of {tuple(matrix.shape)}")
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix  # the smaller side first: X Xᵀ is then the smaller product
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        poly = torch.addmm(gram, gram, gram, beta=b, alpha=c)  # b X Xᵀ + c (X Xᵀ)²
        x = torch.addmm(x, poly, x, beta=a)  # a X + (…) X
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Gradient descent for matrices along the orthogonalised momentum.

    m ← μ m + (1 − μ) g;   u = newton_schulz(μ m + (1 − μ) g)   (Nesterov's look ahead)
    W ← (1 − lr · decay) W − lr · √max(1, rows / columns) · u

    Args:
        params: matrices only.
        lr: learning rate; 0.02 is usual, as every update has singular values of about 1.
        momentum: μ.
        weight_decay: pull towards 0, times the learning rate.

    Raises:
        ValueError: If a parameter is no matrix.

    Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon.
    Book: chapter "Pretraining".
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon is for matrices, got a shape of {tuple(p.shape)}")

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient.

        Args:
            closure: recomputes the loss, as torch's optimisers allow; returned if given.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)
        return loss

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        average = state["momentum"].lerp_(grad, 1 - group["momentum"])
        ahead = grad.lerp(average, group["momentum"])
        few_digits = fast_dtype(p.device)  # three digits are enough for a direction
        direction = newton_schulz(full_tensor(ahead).to(few_digits))
        scale = math.sqrt(max(1.0, p.shape[0] / p.shape[1]))
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(shard_like(direction.to(p.dtype), p), alpha=-group["lr"] * scale)

"""Low-rank adaptation: a small trainable difference beside a frozen matrix.

What fine-tuning adds to a matrix W is written as a product of two thin matrices, and only these are
trained. Before the first update the product is 0; afterwards it can be added to W, so the model
that is used costs no more than before. Left out: dropout on the way into A, and adapters by name.
Chapter "Fine-tuning".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTION = ("q_proj", "v_proj")
"""The matrices that the paper adapts in its main experiments."""


class LoRALinear(nn.Module):
    r"""A frozen linear layer and a trainable difference of low rank.

    y = W x + b + \frac{\alpha}{r} B A x

    A starts at random and B at 0, so at first y is what the layer alone would give. The paper draws
    A from a normal distribution; here it is uniform, as wide as a new linear layer's matrix.

    Args:
        base: the layer W, b; its parameters are frozen.
        rank: r, at least 1 and at most the smaller side of W.
        alpha: the scale α, a positive number; None means r, that is a factor of 1.
        generator: draws A; None is the global one.

    Shape:
        x: (..., in_features) → (..., out_features); A: (r, in_features), B: (out_features, r)

    Raises:
        ValueError: If `rank` or `alpha` is out of range.

    Example:
        >>> layer = LoRALinear(nn.Linear(3, 2), rank=1)
        >>> x = torch.ones(1, 3)
        >>> torch.equal(layer(x), layer.base(x)), layer.A.shape, layer.B.shape
        (True, torch.Size([1, 3]), torch.Size([2, 1]))

    Source: Hu et al. (2022), arXiv:2106.09685, section 4.1.
    Book: chapter "Fine-tuning".
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        _check(base, rank, alpha)
        super().__init__()
        d_out, d_in = base.weight.shape
        self.alpha = float(rank if alpha is None else alpha)
        self.base, self.rank = base.requires_grad_(False), rank
        bound = d_in**-0.5  # as a linear layer of this width would start
        start = torch.empty(rank, d_in).uniform_(-bound, bound, generator=generator)
        self.A = nn.Parameter(start.to(base.weight))
        self.B = nn.Parameter(base.weight.new_zeros(d_out, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return W x + b and the difference."""
        return self.base(x) + (self.alpha / self.rank) * F.linear(F.linear(x, self.A), self.B)

    def difference(self) -> Tensor:
        """What is added to W: (α / r) B A, of shape (out_features, in_features)."""
        return (self.alpha / self.rank) * self.B @ self.A


def add_lora(
    model: nn.Module,
    *,
    rank: int,
    alpha: float | None = None,
    targets: Sequence[str] = ATTENTION,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Freeze a model and put a `LoRALinear` in the place of some of its layers; return the model.

    The model is changed in place, and computes what it computed before. What else shall be trained,
    such as a new head, is made trainable afterwards: `model.head.requires_grad_(True)`.

    Args:
        model: has layers of the names in `targets`.
        rank: r of every adapted layer.
        alpha: the scale α; None means r.
        targets: last parts of the names of linear layers, such as "q_proj".
        generator: draws the matrices A, on the CPU; None is the global one.

    Raises:
        ValueError: If the model has adapted layers already, no linear layer has one of the names,
            or `rank` or `alpha` does not fit. Then the model is as it was.

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> sorted(lora_state_dict(add_lora(CausalLM(config), rank=2)))[:2]
        ['transformer.blocks.0.attention.q_proj.A', 'transformer.blocks.0.attention.q_proj.B']

    Source: Hu et al. (2022), arXiv:2106.09685.
    Book: chapter "Fine-tuning".
    """
    if lora_layers(model):
        raise ValueError(f"{next(iter(lora_layers(model)))} has LoRA already; merge_lora first")
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    known = {name.rpartition(".")[2] for name in layers}
    if not targets or not known.issuperset(targets):
        raise ValueError(f"targets={list(targets)}, but the linear layers are {sorted(known)}")
    chosen = {name: m for name, m in layers.items() if name.rpartition(".")[2] in targets}
    for layer in chosen.values():
        _check(layer, rank, alpha)  # of all layers, before one of them is changed
    model.requires_grad_(False)
    for name, layer in chosen.items():
        _put(model, name, LoRALinear(layer, rank, alpha, generator))
    return model


def merge_lora(model: nn.Module) -> nn.Module:
    """Add every difference to its matrix and put the plain layer back; return the model.

    The model computes the same, up to rounding, and has the names and sizes that it had before
    `add_lora`. What was frozen stays frozen.

    Raises:
        ValueError: If the model has no adapted layer, or a matrix is in 8 or 4 bits.

    Source: Hu et al. (2022), arXiv:2106.09685, section 4.1, "No additional inference latency".
    Book: chapter "Fine-tuning".
    """
    adapted = lora_layers(model)
    if not adapted:
        raise ValueError(f"{type(model).__name__} has 0 layers with LoRA to merge")
    for name, layer in adapted.items():
        if not isinstance(layer.base, nn.Linear):
            kind = type(layer.base).__name__
            raise ValueError(f"{name} is an {kind}, but only a Linear takes a difference up")
    for name, layer in adapted.items():
        with torch.no_grad():
            layer.base.weight += layer.difference()
        _put(model, name, layer.base)
    return model


def lora_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The matrices A and B by name, not copies: of the adapted layers all that must be kept.

    What else was trained, such as a new head, must be kept as well.
    `model.load_state_dict(state, strict=False)` gives them to another copy after `add_lora`.

    Raises:
        ValueError: If the model has no adapted layer.

    Book: chapter "Fine-tuning".
    """
    adapted = lora_layers(model)
    if not adapted:
        raise ValueError(f"{type(model).__name__} has 0 layers with LoRA to keep")
    pairs = {f"{name}.A": layer.A for name, layer in adapted.items()}
    pairs |= {f"{name}.B": layer.B for name, layer in adapted.items()}
    return {name: matrix.detach() for name, matrix in sorted(pairs.items())}


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers of a model by name.

    Book: chapter "Fine-tuning".
    """
    return {name: m for name, m in model.named_modules() if isinstance(m, LoRALinear)}


def _check(layer: nn.Linear, rank: int, alpha: float | None) -> None:
    d_out, d_in = layer.weight.shape
    most = min(d_in, d_out)
    if not 1 <= rank <= most:
        raise ValueError(f"rank={rank}, but a matrix ({d_out}, {d_in}) has ranks 1 to {most}")
    if alpha is not None and not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha} must be a positive number")


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, layer)

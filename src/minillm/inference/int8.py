"""Weights in eight bits: a model that reads a quarter of the memory for each token it writes.

Writing one token multiplies one vector by every matrix of the model, so the time is that of reading
the matrices from memory. Here each row of a matrix is stored as bytes and one scale; activations
stay as they are ("weight-only"). Left out: quantised activations, groups smaller than a row,
methods that look at data to choose the rounding.

Source: Dettmers et al. (2022), arXiv:2208.07339, section 2.
Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 127
KERNEL_TYPES = (torch.float32, torch.bfloat16, torch.float16)
FEW_ROWS = 16
"""Up to so many rows the byte kernel wins; above, unpacking the matrix once is quicker."""
KERNEL_WIDTH = 32
"""The byte kernel reads rows in steps of up to so many columns, and past their end if they are no
multiple of it; such layers unpack."""


class Int8Linear(nn.Module):
    """A linear layer whose matrix is stored as bytes with one scale a row.

    y = (x qᵀ) · scale + b,  with q = round(W / scale),  scale = max |row of W| / 127

    The error of a weight is at most half its row's scale. Products are computed in the type of x.
    There is nothing to train.

    Args:
        linear: the layer to store; it is not changed.

    Shape:
        x: (..., in) → (..., out)

    Raises:
        ValueError: If a weight is not finite.

    Example:
        >>> layer = nn.Linear(64, 32)
        >>> small = Int8Linear(layer)
        >>> small.weight.dtype, bool((small.dequantise() - layer.weight).abs().max() < 0.01)
        (torch.int8, True)

    Source: Dettmers et al. (2022), arXiv:2208.07339, section 2.
    Book: chapter "A GPT, and the real thing".
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        matrix = linear.weight.detach().float()  # (out, in)
        if not matrix.isfinite().all():
            raise ValueError(f"{int((~matrix.isfinite()).sum())} weights are not finite")
        scale = (matrix.abs().amax(dim=1) / LEVELS).bfloat16()  # (out,)
        steps = scale.float().clamp(min=torch.finfo(torch.float32).tiny)  # a row of zeros stays 0
        codes = (matrix / steps[:, None]).round().clamp(-LEVELS, LEVELS)
        self.register_buffer("weight", codes.to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each vector of `x` by the stored matrix."""
        y, bias = self._multiply(x.reshape(-1, x.shape[-1])), self.bias
        y = y.view(*x.shape[:-1], -1)
        return y if bias is None else y + bias.to(y.dtype)

    def _multiply(self, rows: Tensor) -> Tensor:
        weight, scale = self.weight, self.scale.to(rows.dtype)
        fits = weight.shape[1] % KERNEL_WIDTH == 0
        if fits and rows.shape[0] <= FEW_ROWS and rows.is_cpu and rows.dtype in KERNEL_TYPES:
            return torch._weight_int8pack_mm(rows, weight, scale)
        return F.linear(rows, weight.to(rows.dtype)) * scale

    def dequantise(self) -> Tensor:
        """Return the matrix that the bytes stand for, in float32: (out, in)."""
        return self.weight.float() * self.scale.float()[:, None]


def int8_weights(model: nn.Module) -> nn.Module:
    """Replace every linear layer of a model by an `Int8Linear`, in place; return the model.

    A model that is a linear layer itself cannot be changed in place: its replacement is returned.

    Embeddings and norms stay as they are: a step reads one row of a table, not the whole. An output
    matrix that was tied to the embedding becomes a copy of its own, in bytes. The model is for
    inference and is put into evaluation mode.

    Args:
        model: in any type; its activations keep it.

    Raises:
        ValueError: If the model has no linear layer, or a weight is not finite (names the layer).

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> type(int8_weights(CausalLM(config)).lm_head).__name__
        'Int8Linear'

    Source: Dettmers et al. (2022), arXiv:2208.07339.
    Book: chapter "A GPT, and the real thing".
    """
    return replace_linear_layers(model, Int8Linear)


def replace_linear_layers(model: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """Put what `make` makes of it in the place of every linear layer; return the model, to be read.

    Nothing is changed unless every layer could be made.

    Raises:
        ValueError: If the model has no linear layer, or `make` refuses one (names the layer).
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has 0 linear layers to store in fewer bits")
    made = {name: _made(name, layer, make) for name, layer in layers.items()}
    if isinstance(model, nn.Linear):
        return made[""].eval()
    for name, layer in made.items():
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, layer)
    return model.eval()


def _made(name: str, layer: nn.Linear, make: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    try:
        return make(layer)
    except ValueError as error:
        raise ValueError(f"{name or type(layer).__name__}: {error}") from error

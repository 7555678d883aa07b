"""Weights in four bits: half the memory of bytes, and nearly what a GGUF file of type Q4_1 stores.

Sixteen levels are too few for a whole row, so each group of 32 neighbours in a row has a scale and
a zero of its own. One vector is multiplied about twice as fast as with bytes; a long prompt is read
more slowly than with bfloat16, since the kernel unpacks again for each row. Left out: devices other
than the CPU, whose kernels want other layouts, and methods that choose the rounding by data.

Source: Dettmers and Zettlemoyer (2023), arXiv:2212.09720, on groups and bits.
Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minillm.inference.int8 import Int8Linear, replace_linear_layers

GROUP = 32
LEVELS = 15
MIDDLE = 8
"""The kernel counts codes 0 … 15 from here: −8 … 7."""


class Int4Linear(nn.Module):
    """A linear layer whose matrix is stored in four bits, with scale and zero for 32 weights each.

    y = x Wᵀ + b,  with W = (q − 8) · scale + zero,  scale = (max − min of a group) / 15

    The error of a weight is at most half its group's scale, and what rounding scale and zero to
    bfloat16 adds. Products are computed in the type of x. There is nothing to
    train, and as the packed bytes suit the processor at hand, they are not part of `state_dict`.

    Args:
        linear: the layer to store; it is not changed.

    Shape:
        x: (..., in) → (..., out)

    Raises:
        ValueError: If the layer is not on the CPU, the width does not divide into groups, the rows
            not into the kernel's blocks of 16, or a weight is not finite.

    Example:
        >>> layer = nn.Linear(64, 32)
        >>> small = Int4Linear(layer)
        >>> bool((small.dequantise() - layer.weight).abs().max() < 0.02)
        True

    Source: Dettmers and Zettlemoyer (2023), arXiv:2212.09720.
    Book: chapter "A GPT, and the real thing".
    """

    packed: Tensor
    scale_zero: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        _require_cpu(linear.weight, "the layer")
        self.in_features, self.out_features = linear.in_features, linear.out_features
        codes, scale_zero = quantise_groups(linear.weight.detach().float())
        packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)  # the 1 has no effect on a CPU
        self.register_buffer("packed", packed, persistent=False)
        self.register_buffer("scale_zero", scale_zero, persistent=False)
        bias = None if linear.bias is None else linear.bias.detach().clone()
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each vector of `x` by the stored matrix.

        Raises:
            ValueError: If `x` or the layer is not on the CPU.
        """
        _require_cpu(x, "x")
        _require_cpu(self.packed, "the layer")
        rows, scale_zero = x.reshape(-1, self.in_features), self.scale_zero.to(x.dtype)
        y = torch._weight_int4pack_mm_for_cpu(rows, self.packed, GROUP, scale_zero)
        y = y.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def dequantise(self) -> Tensor:
        """Return the matrix that the codes stand for, in float32: (out, in).

        Raises:
            ValueError: If the layer has been moved away from the CPU.
        """
        _require_cpu(self.packed, "the layer")
        identity, scale_zero = torch.eye(self.in_features), self.scale_zero.float()
        return torch._weight_int4pack_mm_for_cpu(identity, self.packed, GROUP, scale_zero).mT


def _require_cpu(tensor: Tensor, what: str) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(
            f"four-bit weights are laid out for the cpu, but {what} is on {tensor.device}"
        )


def quantise_groups(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes 0 … 15 of a matrix, and the scale and zero of each group of 32.

    Shape:
        weight: (out, in) → codes: (out, in) in int32; scale_zero: (in / 32, out, 2) in bfloat16

    Raises:
        ValueError: If the shape does not fit the groups or a weight is not finite.

    Source: the affine blocks of GGUF's Q4_1.
    Book: chapter "A GPT, and the real thing".
    """
    out, width = weight.shape
    if width % GROUP or out % 16:
        raise ValueError(f"{width} columns and {out} rows are not multiples of {GROUP} and 16")
    if not weight.isfinite().all():
        raise ValueError(f"{int((~weight.isfinite()).sum())} weights are not finite")
    groups = weight.view(out, -1, GROUP)
    low, high = groups.aminmax(dim=-1, keepdim=True)  # (out, in / 32, 1)
    scale = ((high - low) / LEVELS).bfloat16().float()
    steps = scale.clamp(min=torch.finfo(torch.float32).tiny)  # a group of equals has scale 0
    codes = ((groups - low) / steps).round().clamp(0, LEVELS)
    scale_zero = torch.cat((scale, low + MIDDLE * scale), dim=-1).bfloat16()  # (out, in / 32, 2)
    return codes.int().view(out, width), scale_zero.transpose(0, 1).contiguous()


def int4_weights(model: nn.Module) -> nn.Module:
    """Store the linear layers of a model in four bits, its output matrix in eight; in place.

    The scores of all words come straight from the output matrix, so it keeps more levels, as in the
    GGUF files of small models. Embeddings and norms stay as they are. The model is for inference on
    the CPU and is put into evaluation mode.

    Args:
        model: in any type; its activations keep it.

    Returns:
        The same model.

    Raises:
        ValueError: If it has no linear layer, or one that cannot be stored (names the layer).

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=32, n_layers=1, n_heads=2)
        >>> model = int4_weights(CausalLM(config))
        >>> type(model.transformer.blocks[0].ffn.up_proj).__name__, type(model.lm_head).__name__
        ('Int4Linear', 'Int8Linear')

    Source: Dettmers and Zettlemoyer (2023), arXiv:2212.09720.
    Book: chapter "A GPT, and the real thing".
    """
    head = getattr(model, "lm_head", None)
    return replace_linear_layers(model, lambda m: Int8Linear(m) if m is head else Int4Linear(m))

"""Taking single attention heads out of a model, to see whether it needs them.

A head's output stands between the kernel, which mixes the values, and the matrix W_o, which adds it
to the stream; so a wrapper around the kernel can replace it. What to put there is a choice: zeros
also take away what the head says whatever the text, its mean leaves that and takes the rest.

Book: chapter "Many heads, masks and maps".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from minillm.nn.attention import Attention
from minillm.nn.eval_mode import eval_mode

Kernel = Callable[..., Tensor]
Head = tuple[int, int]


@contextmanager
def ablate_heads(model: nn.Module, heads: Mapping[Head, Tensor | float]) -> Iterator[None]:
    """Replace the outputs of chosen self-attention heads for as long as the `with` block lasts.

    Args:
        model: made of the package's `Attention`.
        heads: (layer, head), both from 0 → what the head says instead: 0.0 (zero ablation), or a
            vector such as its mean over some text (mean ablation).

    Shape:
        heads: each value a number, or broadcast to (B, T, E).

    Raises:
        ValueError: If the model has no such head.

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=2, n_heads=2)
        >>> model, tokens = CausalLM(config), torch.tensor([[1, 2, 3]])
        >>> with ablate_heads(model, {(1, 0): 0.0}):
        ...     outputs = head_outputs(model, tokens)
        >>> outputs[1, 0, 0].abs().max().item(), outputs[1, 0, 1].abs().max().item() > 0
        (0.0, True)

    Source: Michel et al. (2019), arXiv:1905.10650.
    Book: chapter "Many heads, masks and maps".
    """
    layers = _self_attention(model)
    for layer, head in heads:
        if not (0 <= layer < len(layers) and 0 <= head < layers[layer].n_heads):
            raise ValueError(
                f"no head {layer}.{head}: the model has {len(layers)} layers of "
                f"{layers[0].n_heads if layers else 0} heads"
            )
    chosen = {layer: {h: x for (n, h), x in heads.items() if n == layer} for layer, _ in heads}
    with _kernels(layers, lambda layer, y: _replace(y, chosen.get(layer, {}))):
        yield


@torch.no_grad()
def head_outputs(model: nn.Module, tokens: Tensor) -> Tensor:
    """What every self-attention head hands to W_o in one forward pass, made without dropout.

    Shape:
        tokens: (B, T) → (L, B, H, T, E)

    Book: chapter "Many heads, masks and maps".
    """
    outputs: dict[int, Tensor] = {}

    def note(layer: int, y: Tensor) -> Tensor:
        outputs[layer] = y
        return y

    with eval_mode(model), _kernels(_self_attention(model), note):
        model(tokens)
    return torch.stack([outputs[layer] for layer in sorted(outputs)])


def _self_attention(model: nn.Module) -> list[Attention]:
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, Attention) and not name.endswith("cross_attention")
    ]


def _replace(y: Tensor, heads: Mapping[int, Tensor | float]) -> Tensor:
    if not heads:
        return y
    y = y.clone()  # (B, H, T, E)
    for head, value in heads.items():
        y[:, head] = value
    return y


@contextmanager
def _kernels(layers: list[Attention], change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Pass the output of every layer's kernel through `change(layer, output)`."""
    before = [layer.kernel for layer in layers]
    try:
        for number, layer in enumerate(layers):
            layer.kernel = _wrapped(layer.kernel, number, change)
        yield
    finally:
        for layer, kernel in zip(layers, before, strict=True):
            layer.kernel = kernel


def _wrapped(kernel: Kernel, layer: int, change: Callable[[int, Tensor], Tensor]) -> Kernel:
    def wrapped(*args: Any, causal: bool, dropout: float) -> Tensor:
        return change(layer, kernel(*args, causal=causal, dropout=dropout))

    return wrapped

"""Taking single attention heads out of a model, to see whether it needs them.

A head's output is its slice of what the matrix W_o reads, so a hook in front of W_o can replace it,
whatever kernel mixed the values. What to put there is a choice: zeros also take away what the head
says whatever the text, its mean leaves that and takes the rest.

Book: chapter "Many heads, masks and maps".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from minillm.nn.attention import Attention
from minillm.nn.eval_mode import eval_mode

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
    with ExitStack() as undo:
        for layer, values in chosen.items():
            undo.enter_context(_before_output(layers[layer], partial(_replace, heads=values)))
        yield


@torch.no_grad()
def head_outputs(model: nn.Module, tokens: Tensor) -> Tensor:
    """What every self-attention head hands to W_o in one forward pass, made without dropout.

    Shape:
        tokens: (B, T) → (L, B, H, T, E)

    Book: chapter "Many heads, masks and maps".
    """
    outputs: list[Tensor] = []

    def note(y: Tensor) -> Tensor:
        outputs.append(y)
        return y

    with eval_mode(model), ExitStack() as undo:
        for layer in _self_attention(model):
            undo.enter_context(_before_output(layer, note))
        model(tokens)
    return torch.stack(outputs)


def _self_attention(model: nn.Module) -> list[Attention]:
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, Attention) and not name.endswith("cross_attention")
    ]


def _replace(y: Tensor, heads: Mapping[int, Tensor | float]) -> Tensor:
    y = y.clone()  # (B, H, T, E)
    for head, value in heads.items():
        y[:, head] = value
    return y


@contextmanager
def _before_output(layer: Attention, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let W_o read `change(y)` instead of y, the heads' outputs (B, H, T, E)."""

    def hook(_module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        y = args[0].unflatten(-1, (layer.n_heads, layer.head_dim)).transpose(1, 2)
        return (change(y).transpose(1, 2).flatten(-2),)

    handle = layer.o_proj.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()

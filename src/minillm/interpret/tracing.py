"""Looking inside a model without slowing it down when nobody looks.

PyTorch's fused kernel never forms the attention weights. `capture` therefore replaces the kernel of
every `Attention` by the written-out one for as long as its `with` block lasts, records what passes,
and puts everything back, also after an error. Hidden states come from ordinary forward hooks.
The context managers of this wing nest in any order: what is recorded is what flows on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from minillm.nn.attention import Attention, explicit_attention, fused_attention
from minillm.nn.eval_mode import eval_mode
from minillm.nn.models import CausalLM
from minillm.nn.transformer import Block, Embedding


@dataclass
class Trace:
    """What `capture` has recorded in the last forward pass, by module name.

    Attributes:
        attention: name of an `Attention` → weights (B, H, T, S).
        hidden: name of an `Embedding` or `Block` → its output (B, T, D), in order of the forward.

    Book: chapter "Many heads, masks and maps".
    """

    attention: dict[str, Tensor] = field(default_factory=dict)
    hidden: dict[str, Tensor] = field(default_factory=dict)

    def attention_stack(self) -> Tensor:
        """Stack the maps of all self-attention layers: (L, B, H, T, S).

        Raises:
            ValueError: If nothing was recorded.
        """
        maps = [w for name, w in self.attention.items() if not name.endswith("cross_attention")]
        if not maps:
            raise ValueError("no attention was recorded: run the model inside the with block")
        return torch.stack(maps)

    def hidden_stack(self) -> Tensor:
        """Stack the stream after the embedding and after every block: (L + 1, B, T, D).

        Raises:
            ValueError: If nothing was recorded.
        """
        if not self.hidden:
            raise ValueError("no hidden state was recorded: run the model inside the with block")
        return torch.stack(list(self.hidden.values()))


@contextmanager
def capture(
    model: nn.Module, *, attention: bool = True, hidden: bool = True, grad: bool = False
) -> Iterator[Trace]:
    """Record attention maps and hidden states of every forward pass in the `with` block.

    A second pass overwrites the first. For any model made of the package's parts, but not for a
    compiled one (capture the original). Inside the block, memory grows with L · H · T².

    Args:
        model: the model to watch.
        attention: whether to record attention maps.
        hidden: whether to record the residual stream.
        grad: keep what is recorded connected to the graph instead of detaching it.

    Raises:
        ValueError: If an attention layer has a kernel of a reader's own, whose weights are unknown.

    Example:
        >>> from minillm import ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=2, n_heads=2)
        >>> model = CausalLM(config)
        >>> with capture(model) as trace:
        ...     logits = model(torch.tensor([[1, 2, 3]]))
        >>> trace.attention_stack().shape, trace.hidden_stack().shape
        (torch.Size([2, 1, 2, 3, 3]), torch.Size([3, 1, 3, 8]))

    Book: chapter "Many heads, masks and maps".
    """
    trace = Trace()
    keep: Callable[[Tensor], Tensor] = (lambda x: x) if grad else Tensor.detach
    with ExitStack() as undo:
        for name, module in model.named_modules():
            if attention and isinstance(module, Attention):
                recorder = _Recorder(trace.attention, name, keep, before=module.kernel)
                undo.callback(setattr, module, "kernel", module.kernel)
                module.kernel = recorder
            elif hidden and isinstance(module, Block | Embedding):
                handle = module.register_forward_hook(_hook(trace.hidden, name, keep))
                undo.callback(handle.remove)
        yield trace


class _Recorder:
    """The written-out kernel, which notes its weights in a store, and in those of outer blocks."""

    def __init__(
        self,
        store: dict[str, Tensor],
        name: str,
        keep: Callable[[Tensor], Tensor],
        *,
        before: Callable[..., Tensor],
    ) -> None:
        if before is not fused_attention and not isinstance(before, _Recorder):
            raise ValueError(f"{name} has a kernel of its own, {before!r}: its weights are unknown")
        self.store, self.name, self.keep = store, name, keep
        self.outer = before if isinstance(before, _Recorder) else None

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        output, weights = explicit_attention(*args, **options)
        self._note(weights)
        return output

    def _note(self, weights: Tensor) -> None:
        self.store[self.name] = self.keep(weights)
        if self.outer is not None:
            self.outer._note(weights)


def _hook(
    store: dict[str, Tensor], name: str, keep: Callable[[Tensor], Tensor]
) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
        store.pop(name, None)  # keep the order of the newest forward pass
        store[name] = keep(output)

    return hook


@torch.no_grad()
def attention_maps(model: nn.Module, tokens: Tensor) -> Tensor:
    """Return every attention map of one forward pass, made without dropout.

    Shape:
        tokens: (B, T) → (L, B, H, T, T)

    Book: chapter "Many heads, masks and maps".
    """
    with eval_mode(model), capture(model, hidden=False) as trace:
        model(tokens)
    return trace.attention_stack()


@torch.no_grad()
def logit_lens(model: CausalLM, trace: Trace) -> Tensor:
    """Read next-token logits off the stream after every block, through the final norm and head.

    Args:
        model: the model that was captured.
        trace: with hidden states.

    Shape:
        returns (L + 1, B, T, V); the last entry is the model's own output.

    Source: nostalgebraist (2020), "interpreting GPT: the logit lens".
    Book: chapter "The block".
    """
    hidden = trace.hidden_stack()  # (L + 1, B, T, D)
    return model.lm_head(model.transformer.norm(hidden))


@contextmanager
def patch(model: nn.Module, name: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Replace the output of one module by `change(output)` for as long as the block lasts.

    Of two patches of one module the inner one changes the output first.

    Args:
        model: the model to intervene on.
        name: a name from `model.named_modules()`, for example "transformer.blocks.3.attention".
        change: a function of the module's output; its result is used instead.

    Raises:
        ValueError: If the model has no module of that name.

    Book: chapter "The block".
    """
    modules = dict(model.named_modules())
    if name not in modules:
        raise ValueError(
            f"no module {name!r}; there are {len(modules)}, such as {list(modules)[-1]!r}"
        )
    # In front of the hooks that record, so that they see what flows on.
    handle = modules[name].register_forward_hook(
        lambda _m, _a, output: change(output), prepend=True
    )
    try:
        yield
    finally:
        handle.remove()

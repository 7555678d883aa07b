"""Build a model around tensors that are already there, without memory or random numbers of its own.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from minillm.nn.config import ModelConfig
from minillm.weights.convert import load_into

M = TypeVar("M", bound=nn.Module)


def assemble(
    make: Callable[[ModelConfig], M], config: ModelConfig, tensors: Mapping[str, Tensor]
) -> M:
    """A model of given weights, in evaluation mode, for which no number is drawn or copied.

    Args:
        make: a model's class.
        config: its config.
        tensors: every parameter by its name; they become the model's own.

    Raises:
        ValueError: If names or shapes differ, or no model can have the sizes of the config.

    Book: chapter "A GPT, and the real thing".
    """
    try:
        with torch.device("meta"), _NoFirstWeights():
            model = make(config)
    except (RuntimeError, OverflowError) as error:
        raise ValueError(f"no model can have these sizes: {config}") from error
    load_into(model, tensors)
    return model.eval()


class _NoFirstWeights(TorchFunctionMode):
    """Skip `nn.init` while modules are built; on "meta" it would only import torch's compiler."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init" and kwargs:
            return kwargs["tensor"]
        return func(*args, **(kwargs or {}))

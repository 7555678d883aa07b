"""The mode to measure a model in: no dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


@contextmanager
def eval_mode(model: object) -> Iterator[None]:
    """Within the block a module is in evaluation mode (no dropout); then it is as it was.

    Every submodule gets its own mode back. What is no module is left alone.

    Example:
        >>> drop = nn.Dropout(0.5)
        >>> with eval_mode(drop):
        ...     drop.training
        False
        >>> drop.training
        True

    Book: chapter "Pretraining".
    """
    with evaluating(submodules(model)):
        yield


def submodules(model: object) -> tuple[nn.Module, ...]:
    """A model and all its parts, to be listed once and not at every step; () for a non-module.

    Book: chapter "Generating text".
    """
    return tuple(model.modules()) if isinstance(model, nn.Module) else ()


@contextmanager
def evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """As `eval_mode`, for modules that have been listed already.

    Book: chapter "Generating text".
    """
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True

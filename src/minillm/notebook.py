"""What only a notebook needs: the size dial, the package's own source, whether one runs."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

from minillm.device import best_device

Choice = TypeVar("Choice")


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, where an output can be updated in place.

    Example:
        >>> in_notebook()
        False

    Book: chapter "Pretraining".
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def pick(*, cpu: Choice, gpu: Choice) -> Choice:
    """The one size dial of a chapter: `cpu` where there is only a CPU, else `gpu`.

    Args:
        cpu: a size that takes seconds on two CPU cores.
        gpu: a size that takes seconds on a graphics card.

    Example:
        >>> pick(cpu=200, gpu=2_000) in {200, 2_000}
        True

    Book: chapter "Pretraining".
    """
    return cpu if best_device().type == "cpu" else gpu


class Source:
    """Python source that a notebook displays as highlighted code.

    Args:
        text: the source.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def show_source(item: Callable[..., Any] | type) -> Source:
    """Return the very code that runs, without docstrings (those are in `help(item)`).

    Args:
        item: a function, method or class.

    Raises:
        ValueError: If there is no Python source, as for a built-in.

    Example:
        >>> from minillm import pre_norm
        >>> show_source(pre_norm)
        def pre_norm(x: Tensor, norm: nn.Module, sublayer: Sublayer) -> Tensor:
            return x + sublayer(norm(x))

    Book: chapter "Attention from first principles".
    """
    try:
        lines = textwrap.dedent(inspect.getsource(item)).splitlines()
    except (OSError, TypeError):
        raise ValueError(f"{item!r} has no Python source to show") from None
    drop: set[int] = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            first = node.body[0]
            drop |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
            after = (first.end_lineno or first.lineno) + 1
            if isinstance(node, ast.ClassDef) and not "".join(lines[after - 1 : after]).strip():
                drop.add(after)  # the blank line after it
    kept = (line for number, line in enumerate(lines, 1) if number not in drop)
    return Source("\n".join(kept).rstrip())

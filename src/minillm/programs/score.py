"""Is a program right, and how often would one of k tries be?

Source: Chen et al. (2021), arXiv:2107.03374.
Book: chapter "Code".
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

from minillm.programs.run import Outcome


def pass_at_k(n: int, c: int, k: int) -> float:
    r"""How probable it is that one of k samples is right, estimated from n samples.

    pass@k = 1 − C(n − c, k) / C(n, k) = 1 − Π_{i = n−c+1}^{n} (1 − k / i)

    the share of all choices of k among the n samples that have a right one among them. It is
    unbiased: its mean over all draws of n samples is 1 − (1 − p)^k, where p is the probability that
    a sample is right. To put c / n for p is not.

    Args:
        n: how many samples were drawn.
        c: how many of them are right.
        k: how many tries one has, at most n.

    Raises:
        ValueError: If not 0 <= c <= n or not 1 <= k <= n.

    Example:
        >>> pass_at_k(4, 1, 2)
        0.5

    Source: Chen et al. (2021), arXiv:2107.03374, section 2.1.
    Book: chapter "Code".
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"n={n} samples, c={c} right, k={k} tries: 0 <= c <= n and 1 <= k <= n")
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def right_calls(outcome: Outcome, values: Sequence[Any]) -> list[bool]:
    """Which calls returned what they should; floats may differ in the last digits.

    Args:
        outcome: of `run_python`.
        values: the right values, made of numbers, texts, lists and the like; a value that has no
            literal, such as nan or infinity, is never met.

    Raises:
        ValueError: If there are more or fewer values than calls.

    Example:
        >>> from minillm.programs.run import run_python
        >>> right_calls(run_python("def f(n): return n / 3", ["f(1)", "f(6)"]), [0.333333333333, 3])
        [True, False]

    Book: chapter "Code".
    """
    if len(values) != len(outcome.values):
        raise ValueError(f"{len(values)} values, but {len(outcome.values)} calls")
    pairs = zip(outcome.values, values, strict=True)
    return [text is not None and same(text, value) for text, value in pairs]


def same(text: str, value: Any) -> bool:
    """Whether a repr stands for a value; True and 1 are two values, 1 and 1.0 are one.

    Example:
        >>> same("[1, 2]", [1, 2]), same("<object>", 1), same("(1, 2)", [1, 2])
        (True, False, False)
        >>> same("[0.30000000000000004]", [0.3]), same("1", True)
        (True, False)

    Book: chapter "Code".
    """
    try:
        return _equal(ast.literal_eval(text), value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        return False


def _equal(found: Any, value: Any) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(value, float) and isinstance(found, (int, float)):
        return math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(value, (list, tuple)) and type(found) is type(value):
        return len(found) == len(value) and all(map(_equal, found, value))
    if isinstance(value, dict) and isinstance(found, dict):
        return found.keys() == value.keys() and all(_equal(found[k], value[k]) for k in value)
    return bool(found == value)

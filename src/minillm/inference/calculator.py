"""Arithmetic for a model that calculates badly: a syntax tree, and no `eval`.

Python's own parser makes the tree; only numbers, the signs + - * / ** and brackets are worked out.
Everything has a limit, so that no input takes long: the text, the depth of the tree, an exponent
and the digits of a result. What is refused is refused before it is computed.

Book: chapter "Chat".
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable

Number = int | float
_LONGEST, _EXPONENT, _DIGITS = 200, 1000, 30
_SIGNS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def calculate(text: str) -> str:
    """Work out a sum of numbers, such as '3 * (4 + 5)'.

    Args:
        text: numbers, + - * / **, brackets. No names, no calls, nothing else of Python.

    Returns:
        the value: a whole number as such, another one with at most ten digits.

    Raises:
        ValueError: If it is no arithmetic, or too long, or its value too large.

    Example:
        >>> calculate("3 * (4 + 5)"), calculate("1 / 8"), calculate("0.1 + 0.2")
        ('27', '0.125', '0.3')
        >>> calculate("9 ** 9 ** 9")
        Traceback (most recent call last):
        ValueError: 9 ** 387420489 is too large

    Book: chapter "Chat".
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} characters are more than {_LONGEST}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's hints on odd spellings, such as "1or 2"
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text[:40]!r} is no arithmetic") from None
    try:
        return _shown(_value(tree))
    except ZeroDivisionError:
        raise ValueError("division by zero") from None
    except (OverflowError, RecursionError):
        raise ValueError(f"the value of {text[:40]!r} is too large") from None


def _value(tree: ast.expr) -> Number:
    given = tree.value if isinstance(tree, ast.Constant) else None
    if isinstance(given, int | float) and not isinstance(given, bool):
        return _small(given)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
        value = _value(tree.operand)
        return -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.BinOp) and type(tree.op) in _SIGNS:
        left, right = _value(tree.left), _value(tree.right)
        if isinstance(tree.op, ast.Pow):
            _check_power(left, right)
        return _small(_SIGNS[type(tree.op)](left, right))
    raise ValueError(f"{ast.unparse(tree)[:40]!r} is no arithmetic")


def _check_power(base: Number, exponent: Number) -> None:
    """Refuse a power before it is computed, by the number of its digits."""
    if base < 0 and exponent != int(exponent):
        raise ValueError(f"{base} ** {exponent} is no real number")
    digits = exponent * math.log10(abs(base)) if base else 0
    if abs(exponent) > _EXPONENT or digits > _DIGITS:
        raise ValueError(f"{base} ** {exponent} is too large")


def _small(value: Number) -> Number:
    if not abs(value) < 10**_DIGITS:  # also infinity, and what is no number
        raise ValueError(f"a number of more than {_DIGITS} digits is too large")
    return value


def _shown(value: Number) -> str:
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.10g}"

"""Are the values of a dataclass what their annotations say? The same question in Python and TOML.

Python does not ask it: `steps=1e3` or `norm_eps="x"` would pass and fail much later. Numbers must
be finite, floats within float32 and whole numbers within 64 bits, which is what a tensor holds.
"""

from __future__ import annotations

import types
from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

WORDS = {int: "a whole number", float: "a number", str: "a text in quotes", bool: "true or false"}
LARGEST = {int: 2**63 - 1, float: 3.4028234663852886e38}


def check_fields(instance: Any) -> None:
    """Compare every field of a dataclass with its annotation, to be called in `__post_init__`.

    Raises:
        ValueError: If a value does not fit; names the field, the value and what would fit.
    """
    hints = _hints(cast(Hashable, type(instance)))
    for field in fields(instance):
        value = getattr(instance, field.name)
        try:
            convert(list(value) if isinstance(value, tuple) else value, hints[field.name])
        except TypeError as error:
            raise ValueError(f"{field.name}={value!r} must be {error}") from None


def convert(value: Any, hint: Any) -> Any:
    """A value in the type of an annotation; whole numbers may stand for numbers, lists for tuples.

    Raises:
        TypeError: If it does not fit; the message says what would.

    Example:
        >>> convert(1, float), convert([0.9, 1], tuple[float, float]), convert(3, int | None)
        (1.0, (0.9, 1.0), 3)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kind = next(part for part in arguments if part is not type(None))
        return None if value is None else convert(value, kind)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        parts = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(parts) == len(value):
            return tuple(convert(v, part) for v, part in zip(value, parts, strict=True))
    if hint is float and type(value) in (int, float) and abs(value) <= LARGEST[float]:
        return float(value)
    if hint in (int, str, bool) and type(value) is hint and _fits(value):
        return value
    raise TypeError(_describe(value, hint))


def _fits(value: Any) -> bool:
    return type(value) is not int or abs(value) <= LARGEST[int]


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _describe(value: Any, hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin is tuple:
        many = "" if arguments[-1] is ... else f"{len(arguments)} values, each "
        return f"a list of {many}{WORDS[arguments[0]]}"
    if hint in LARGEST and type(value) in (int, float) and not abs(value) <= LARGEST[hint]:
        return f"{WORDS[hint]} of at most {LARGEST[hint]:.3g} in size"
    return WORDS[hint]

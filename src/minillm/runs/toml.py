"""Check a table of a TOML file against a dataclass: known keys, right types, nothing missing.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from minillm.checks import convert
from minillm.errors import require_known

Table = dict[str, Any]
Made = TypeVar("Made")


def build(make: type[Made], section: str, values: Mapping[str, Any]) -> Made:
    """Make the dataclass from a table.

    Raises:
        ValueError: If a key is unknown, missing, of the wrong type or out of range; the message
            names section and key.

    Book: chapter "Pretraining".
    """
    checked = check(make, section, values)
    for one in fields(make):  # type: ignore[arg-type]
        if one.default is MISSING and one.name not in checked:
            raise ValueError(f"[{section}] needs the key {one.name!r}")
    try:
        return make(**checked)
    except ValueError as error:
        raise ValueError(f"[{section}] {error}") from None


def check(
    make: type, section: str, values: Mapping[str, Any], *, also: Mapping[str, Any] | None = None
) -> Table:
    """The table with every value in the type that the dataclass wants.

    Args:
        make: a dataclass.
        section: the name of the table, for messages.
        values: the table.
        also: further keys with their types.

    Raises:
        ValueError: If a key is unknown or a value has the wrong type.

    Book: chapter "Pretraining".
    """
    hints = get_type_hints(make) | dict(also or {})
    require_known(values, hints, "key", f"[{section}]")
    checked = {}
    for key, value in values.items():
        try:
            checked[key] = convert(value, hints[key])
        except TypeError as error:
            raise ValueError(f"[{section}] {key}={value!r} must be {error}") from None
    return checked


def change(tables: dict[str, Any], text: str) -> None:
    """Set one value, given as "table.key=value"; a value that is not TOML is taken as a text.

    Raises:
        ValueError: If the text has another form.

    Example:
        >>> tables = {"train": {"steps": 10}}
        >>> change(tables, "train.steps=20"), change(tables, "run.device=cpu")
        (None, None)
        >>> tables
        {'train': {'steps': 20}, 'run': {'device': 'cpu'}}

    Book: chapter "Pretraining".
    """
    name, equals, written = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key) or "." in key:
        raise ValueError(f"{text!r} is not of the form table.key=value, as in train.steps=100")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip() if name.endswith(" ") else written  # "key = text", or as it is
    table = tables.setdefault(section, {})
    if isinstance(table, dict):  # what else it may be is refused with the rest of the file
        table[key] = value


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, numbers, booleans and lists as TOML.

    Example:
        >>> print(to_toml({"train": {"lr": 1e-3, "betas": [0.9, 0.95]}, "run": {"folder": "r"}}))
        [train]
        lr = 0.001
        betas = [0.9, 0.95]
        <BLANKLINE>
        [run]
        folder = "r"
        <BLANKLINE>

    Book: chapter "Pretraining".
    """
    blocks = []
    for name, table in tables.items():
        lines = [f"{key} = {_value(value)}" for key, value in table.items()]
        blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)  # also inf
    # Of texts, whole numbers and booleans the two languages have the same forms, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

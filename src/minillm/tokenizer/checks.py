"""Look at what comes from outside, ids and files, and say clearly what is wrong with it.

Book: chapter "From text to tokens".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from minillm.tokenizer.alphabet import from_printable


def read_json(path: str | Path, kind: str, **fields: type) -> dict[str, Any]:
    """The JSON object in a file, after a look at its type and fields.

    Args:
        path: the file.
        kind: what must stand under the key "type".
        fields: the other keys that must be there, each with the type of its value; a list must be
            one of texts.

    Raises:
        ValueError: If the file is not JSON, is of another kind, or a field is missing or wrong.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # invalid JSON or UTF-8, or nested too deeply
        raise ValueError(f"{path} is not a JSON file: {error}") from None
    found = data.get("type") if isinstance(data, dict) else type(data).__name__
    if found != kind:
        raise ValueError(f"{path} holds a tokenizer of type {found!r}, expected {kind!r}")
    for name, wanted in fields.items():
        if not isinstance(data.get(name), wanted):
            raise ValueError(f"{path}: {name!r} must be a {wanted.__name__}")
        if wanted is list and (odd := [one for one in data[name] if not isinstance(one, str)]):
            raise ValueError(f"{path}: {name!r} must hold texts, not {odd[0]!r}")
    return dict(data)


def check_ids(ids: Iterable[int], vocab_size: int) -> list[int]:
    """The ids as a list.

    Raises:
        ValueError: If one is not below `vocab_size`.
    """
    checked = list(ids)
    wrong = next((i for i in checked if not 0 <= i < vocab_size), None)
    if wrong is not None:
        raise ValueError(f"token id {wrong} is outside the vocabulary of {vocab_size}")
    return checked


def check_unique(special: Iterable[str]) -> None:
    """Refuse a special token that is given twice: only one of its ids could ever be used.

    Raises:
        ValueError: If one is; the message names it.
    """
    twice = [name for name, count in Counter(special).items() if count > 1]
    if twice:
        raise ValueError(f"special token {twice[0]!r} is given twice")


def check_special(special: Iterable[str], ordinary: Collection[bytes]) -> None:
    """Refuse special tokens that would be found everywhere, or mixed up with others in a file.

    A file holds one text for each token: an ordinary one in the printable alphabet, a special one
    as it is. So a special 'Ġthe' and the ordinary b' the' would be the same there.

    Args:
        special: the special tokens.
        ordinary: the bytes of the others.

    Raises:
        ValueError: If one is empty, or written like an ordinary token.
    """
    for name in special:
        if not isinstance(name, str) or not name:
            raise ValueError(f"special token {name!r} is not a text of at least one character")
        try:
            like = from_printable(name)
        except ValueError:
            continue
        if like in ordinary:
            raise ValueError(f"special token {name!r} is how files write the token {like!r}")

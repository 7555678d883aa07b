"""Errors that help: the nearest known name beside the unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """The end of a message about an unknown name: the nearest known ones, or else all.

    Example:
        >>> did_you_mean("cosinus", ["cosine", "linear"])
        "did you mean 'cosine'?"
        >>> did_you_mean("xyz", ["cosine", "linear"])
        'there are cosine, linear'
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=most, cutoff=0.4)
    if not near:
        return f"there are {', '.join(names)}"
    return f"did you mean {' or '.join(map(repr, near))}?"


def require_known(found: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    """Raise a ValueError that suggests the nearest known name, if one that was found is unknown."""
    names = list(known)
    for name in found:
        if name not in names:
            raise ValueError(f"unknown {what} {name!r} in {where}; {did_you_mean(name, names)}")

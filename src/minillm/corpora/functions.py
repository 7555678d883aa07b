"""Python functions with one line that says what each does, from the standard library.

Book: chapter "Code".
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from minillm.corpora.core import Card, Corpus, distinct, parts_by, sizes
from minillm.corpora.shipped import MADE_WITH, shipped


class Function(NamedTuple):
    """A function: where it is defined, its source without docstring, the docstring's first line."""

    name: str
    code: str
    summary: str

    @property
    def text(self) -> str:
        """The summary as a comment, and the code below it."""
        return f"# {self.summary}\n{self.code}"


@cache
def stdlib_functions() -> Corpus[Function]:
    """Functions of the standard library of Python 3.11 that have a docstring, with its first line.

    They come with the package, so that they are the same on every Python.

    Only functions of 2 to 40 lines and summaries of three words or more; of functions with the
    same code, or the same name and summary, one is kept. Tests, programs (IDLE) and modules on
    their way out (distutils) are left out.

    Example:
        >>> summaries = {f.name: f.summary for f in stdlib_functions().train}
        >>> summaries["heapq.heappush"]
        'Push item onto heap, maintaining the heap invariant.'

    Book: chapter "Code".
    """
    found = [Function(*row) for row in shipped("stdlib_functions")]
    once = distinct(found, lambda f: re.sub(r"\s+", " ", f.code))
    kept = distinct(once, lambda f: (f.name.rpartition(".")[2], f.summary))
    parts = parts_by((f"stdlib/{f.name.partition('.')[0]}", f) for f in kept)
    modules = {f.name.partition(".")[0] for f in kept}
    card = Card(
        what="functions of Python's standard library, each with a line that says what it does",
        origin=f"the standard library of Python {MADE_WITH['python']}, shipped with minillm",
        licence="PSF License (part of Python)",
        size=f"{len(kept):,} functions of {len(modules)} modules, "
        f"{sum(len(f.code) for f in kept):,} characters of code",
        split=f"by top-level module; train, validation, test: {sizes(parts)} functions",
        faults="other versions of Python have other functions; modules are of very unequal size; "
        f"{len(found) - len(kept)} repeated functions were removed; a line "
        "can say why rather than what, or tell less than the code",
    )
    return Corpus(*parts, card)

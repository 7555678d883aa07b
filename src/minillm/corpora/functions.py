"""Python functions with one line that says what each does, from the standard library.

Book: chapter "Code".
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

from minillm.corpora.core import Card, Corpus, distinct, parts_by, sizes

# Not the library itself: tests, programs, and what differs between installations.
_OTHER = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "distutils"}
MAX_LINES = 40
Definition = ast.FunctionDef | ast.AsyncFunctionDef


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
    """Functions of Python's standard library that have a docstring, with its first line.

    Only functions of 2 to 40 lines and summaries of three words or more; of functions with the
    same code, or the same name and summary, one is kept. Tests, programs (IDLE) and modules on
    their way out (distutils) are left out.

    Example:
        >>> summaries = {f.name: f.summary for f in stdlib_functions().train}
        >>> summaries["heapq.heappush"]
        'Push item onto heap, maintaining the heap invariant.'

    Book: chapter "Code".
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    found = [function for path in sorted(root.rglob("*.py")) for function in _read(path, root)]
    once = distinct(found, lambda f: re.sub(r"\s+", " ", f.code))
    kept = distinct(once, lambda f: (f.name.rpartition(".")[2], f.summary))
    parts = parts_by((f"stdlib/{f.name.partition('.')[0]}", f) for f in kept)
    modules = {f.name.partition(".")[0] for f in kept}
    card = Card(
        what="functions of Python's standard library, each with a line that says what it does",
        origin=f"the standard library that is running this (Python {sys.version.split()[0]})",
        licence="PSF License (part of Python)",
        size=f"{len(kept):,} functions of {len(modules)} modules, "
        f"{sum(len(f.code) for f in kept):,} characters of code",
        split=f"by top-level module; train, validation, test: {sizes(parts)} functions",
        faults="differs between Python versions and installations, and so do results; modules are "
        f"of very unequal size; {len(found) - len(kept)} repeated functions were removed; a line "
        "can say why rather than what, or tell less than the code",
    )
    return Corpus(*parts, card)


def _read(path: Path, root: Path) -> Iterator[Function]:
    """The functions and methods of a file that are fit for a corpus."""
    parts = path.relative_to(root).with_suffix("").parts
    if parts[0] not in sys.stdlib_module_names or _OTHER & set(parts):
        return
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")  # splitlines would also split at the form feeds of some files
    for name, node in _definitions(ast.parse(source), ".".join(parts).removesuffix(".__init__")):
        code, summary = _code(node, lines), _summary(node)
        if summary and 2 <= code.count("\n") + 1 <= MAX_LINES:
            yield Function(name, code, summary)


def _definitions(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    """Functions of a module and methods of its classes, with their full names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node, f"{prefix}.{node.name}")
        elif isinstance(node, Definition):
            yield f"{prefix}.{node.name}", node


def _code(node: Definition, lines: list[str]) -> str:
    """The source without docstring; "" if nothing is done or it cannot be cut out cleanly."""
    doc, *body = node.body
    stub = len(body) == 1 and isinstance(body[0], ast.Pass | ast.Raise)
    if not body or stub or doc.lineno == node.lineno or body[0].lineno == doc.end_lineno:
        return ""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    after = dropwhile(lambda line: not line.strip(), lines[doc.end_lineno : node.end_lineno])
    kept = [*lines[first - 1 : doc.lineno - 1], *after]
    if any(line[: node.col_offset].strip() for line in kept):
        return ""  # a string in it reaches into the margin
    return "\n".join(line[node.col_offset :] for line in kept)


def _summary(node: Definition) -> str:
    """The first line of the docstring, if it is a whole sentence and not a signature."""
    first, _, rest = (ast.get_docstring(node) or "").partition("\n")
    whole = first.endswith((".", "!", "?")) or not rest.partition("\n")[0].strip()
    return first if whole and len(first.split()) >= 3 and not re.match(r"\w+\(", first) else ""

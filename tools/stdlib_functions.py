"""Python functions with one line that says what each does, cut out of a standard library.

`tools.ship_corpora` keeps what is found here for the corpus of functions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

from minillm.corpora.functions import Function

# Not the library itself: tests, programs, and what differs between installations.
_OTHER = {"site-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "distutils"}
MAX_LINES = 40
Definition = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(root: Path) -> Iterator[Function]:
    """The functions of a standard library that are fit for a corpus, file by file.

    Only functions of 2 to 40 lines with a summary of three words or more; tests, programs (IDLE)
    and modules on their way out (distutils) are left out.
    """
    for path in sorted(root.rglob("*.py")):
        yield from functions_in(path, root)


def functions_in(path: Path, root: Path) -> Iterator[Function]:
    """The functions and methods of a file that are fit for a corpus."""
    parts = path.relative_to(root).with_suffix("").parts
    if parts[0] not in sys.stdlib_module_names or _OTHER & set(parts):
        return
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")  # splitlines would also split at the form feeds of some files
    for name, node in definitions(ast.parse(source), ".".join(parts).removesuffix(".__init__")):
        code, summary = code_of(node, lines), summary_of(node)
        if summary and 2 <= code.count("\n") + 1 <= MAX_LINES:
            yield Function(name, code, summary)


def definitions(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    """Functions of a module and methods of its classes, with their full names."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{prefix}.{node.name}")
        elif isinstance(node, Definition):
            yield f"{prefix}.{node.name}", node


def code_of(node: Definition, lines: list[str]) -> str:
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


def summary_of(node: Definition) -> str:
    """The first line of the docstring, if it is a whole sentence and not a signature."""
    first, _, rest = (ast.get_docstring(node) or "").partition("\n")
    whole = first.endswith((".", "!", "?")) or not rest.partition("\n")[0].strip()
    return first if whole and len(first.split()) >= 3 and not re.match(r"\w+\(", first) else ""

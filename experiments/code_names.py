"""Functions that a model may know by heart, functions that it cannot know, and other names in both.

Used by `code_texts.py`. The functions of this package were written after SmolLM2 was published.
"""

from __future__ import annotations

import ast
import io
import random
import textwrap
import tokenize
from pathlib import Path
from typing import NamedTuple

from minillm.corpora.functions import stdlib_functions

MODULES = (
    "bisect", "heapq", "textwrap", "random", "statistics", "string", "shutil", "os", "posixpath",
    "json", "calendar", "collections", "functools", "copy", "fnmatch", "glob", "tempfile", "base64",
    "colorsys", "datetime", "fractions", "difflib", "contextlib", "argparse", "csv", "queue",
    "threading", "ntpath", "inspect", "ast", "keyword", "tokenize", "zipfile", "gzip", "pprint",
)  # fmt: skip
SHORTEST, LONGEST, COUNT = 200, 800, 60
SOURCE = Path(__file__).parents[1] / "src" / "minillm"


class Renamed(NamedTuple):
    """A function, with its local names replaced, and the places of these names in both texts."""

    code: str
    places: list[tuple[int, int]]
    new: str
    new_places: list[tuple[int, int]]


def known_functions() -> list[tuple[str, str]]:
    """Functions of well-known modules, by chance."""
    corpus = stdlib_functions()
    everything = [*corpus.train, *corpus.validation, *corpus.test]
    return chosen([(f.name, f.code) for f in everything if f.name.split(".")[0] in MODULES])


def book_functions() -> list[tuple[str, str]]:
    """Functions of this package without their docstrings, by chance."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                kept = lines[node.lineno - 1 : node.end_lineno]
                first = node.body[0]
                if ast.get_docstring(node) is not None:
                    start, end = first.lineno - node.lineno, (first.end_lineno or 0) - node.lineno
                    kept = kept[:start] + kept[end + 1 :]
                code = textwrap.dedent("\n".join(kept)).strip("\n")
                found.append((f"{path.relative_to(SOURCE).with_suffix('')}.{node.name}", code))
    return chosen(found)


def chosen(functions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of middling length in which something can be renamed, by chance."""
    kept = [(n, c) for n, c in functions if SHORTEST <= len(c) <= LONGEST and c.isascii()]
    kept = [(n, c) for n, c in kept if len(renamed(c).places) >= 8 and only_names_differ(c)]
    random.Random(0).shuffle(kept)
    return kept[:COUNT]


def parsed(code: str) -> ast.Module:
    """The tree of a function, or an empty one where the text is none."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def only_names_differ(code: str) -> bool:
    """Whether the renamed function does the same: its tree is the old one but for local names.

    Names in formatted strings, keywords of calls to local functions and inner classes are left out,
    since a change of the text alone would not reach them.
    """
    new_name = {name: f"v{i}" for i, name in enumerate(local_names(code), 1)}
    tree = parsed(code)
    for node in ast.walk(tree):
        inner = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(new_name)
        if isinstance(node, ast.ClassDef) or (isinstance(node, ast.JoinedStr) and inner):
            return False
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in new_name
            and {k.arg for k in node.keywords} & set(new_name)
        ):
            return False
    for node in ast.walk(tree):
        for field in ("id", "arg", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str) and not isinstance(node, (ast.keyword, ast.alias)):
                setattr(node, field, new_name.get(name, name))
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            node.names = [new_name.get(name, name) for name in node.names]
    return ast.dump(tree) == ast.dump(parsed(renamed(code).new))


def local_names(code: str) -> list[str]:
    """The function's own name, its parameters and what it assigns, in the order of the text."""
    found: list[tuple[int, int, str]] = []
    for node in ast.walk(parsed(code)):
        if isinstance(node, ast.arg):
            found.append((node.lineno, node.col_offset, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.col_offset, node.id))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.append((node.lineno, node.col_offset, node.name))
    names = [name for _, _, name in sorted(found)]
    return [n for n in dict.fromkeys(names) if n not in {"self", "cls", "_"}]


def renamed(code: str) -> Renamed:
    """Replace local names by v1, v2, …; attributes and keywords of calls stay."""
    new_name = {name: f"v{i}" for i, name in enumerate(local_names(code), 1)}
    starts = [0]
    for line in code.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code + "\n").readline))
    except (tokenize.TokenError, IndentationError):
        tokens = []
    keywords = {(node.lineno, node.col_offset) for node in ast.walk(parsed(code))
                if isinstance(node, ast.keyword)}  # fmt: skip
    places, before = [], ""
    for token in tokens:
        named = token.type == tokenize.NAME and token.string in new_name
        if named and before != "." and token.start not in keywords:
            a = starts[token.start[0] - 1] + token.start[1]
            places.append((a, a + len(token.string)))
        before = token.string
    parts, new_places, end, length = [], [], 0, 0
    for a, b in places:
        other = new_name[code[a:b]]
        parts += [code[end:a], other]
        length += a - end
        new_places.append((length, length + len(other)))
        length, end = length + len(other), b
    return Renamed(code, places, "".join(parts) + code[end:], new_places)

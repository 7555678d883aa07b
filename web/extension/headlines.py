"""The results of a part in one table: the directive ``headlines``.

    ```{headlines} applications
    ```

Each chapter in that folder of the book that has a code cell ``headline`` gives its rows. The cell
prints lines of six columns with `` | `` between them, first their names; the directive takes
what it printed from the run that the page is built from.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from tools.project import CACHE, chapters

from .cells import label
from .tables import chapter_pages, row, table

CELL = "headline"
COLUMNS = ("task", "measure", "result", "95 % interval", "baseline", "its result")


def rows(printed: str, where: str) -> list[tuple[str, ...]]:
    r"""The rows of a cell's output.

    Args:
        printed: what the cell wrote.
        where: the chapter, for the message.

    Raises:
        ExtensionError: the first line is not `COLUMNS`, or another has not as many columns.

    >>> rows(" | ".join(COLUMNS) + "\nspam | F1 | 0.9 | 0.8 to 1.0 | one word | 0.5", "chapter")
    [('spam', 'F1', '0.9', '0.8 to 1.0', 'one word', '0.5')]
    """
    lines = [tuple(part.strip() for part in line.split(" | ")) for line in printed.splitlines()]
    if not lines or lines[0] != COLUMNS:
        raise ExtensionError(f"{where}: the first line of {CELL!r} is not {' | '.join(COLUMNS)!r}")
    for line in lines[1:]:
        if len(line) != len(COLUMNS) or not all(line):
            text = " | ".join(line)
            raise ExtensionError(f"{where}: {len(COLUMNS)} columns are wanted, not {text!r}")
    return lines[1:]


def headline(chapter: Path, cache: Path = CACHE) -> list[tuple[str, ...]] | None:
    """The rows of one chapter as it was executed, or None where it has no such cell.

    Raises:
        ExtensionError: the chapter has not been executed, or the cell printed something else.
    """
    notebook = nbformat.read(chapter, as_version=4)
    if not any(cell.get("id") == CELL for cell in notebook.cells):
        return None
    kept = get_cache(str(cache))
    try:
        executed = kept.get_cache_bundle(kept.match_cache_notebook(notebook).pk).nb
    except KeyError:
        raise ExtensionError(f"{chapter.name} has not been executed: run `make book`") from None
    cell = next(cell for cell in executed.cells if cell.get("id") == CELL)
    printed = "".join(out.text for out in cell.outputs if out.output_type == "stream")
    return rows(printed, chapter.stem)


class Headlines(SphinxDirective):
    """``{headlines} applications``: the rows of every chapter of a part."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """One table; the number in front leads to the cell that printed the row."""
        part = [path for path in chapters() if path.parent.name == self.arguments[0]]
        lines = [
            row(self.link(path), *([nodes.Text(text)] for text in line))
            for path in part
            for line in headline(path) or ()
        ]
        return [table(["chapter", *COLUMNS], lines, ["headlines"])]

    def link(self, chapter: Path) -> list[nodes.Node]:
        """The chapter's number."""
        number = chapter_pages()[chapter.stem][1]
        return self.parse_inline(f"{{ref}}`{number} <{label(chapter.stem, CELL)}>`")[0]

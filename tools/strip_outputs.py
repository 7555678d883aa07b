"""Strip notebooks for git: outputs stay only in cells whose output is checked.

``python -m tools.strip_outputs book/*/*.ipynb``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat

CHECKED = {"nbval-check-output", "keep_output"}


def is_checked(cell: Any) -> bool:
    """Whether the cell's output is kept in git and compared by the tests."""
    return set(cell.metadata.get("tags", [])) >= CHECKED


def strip_cell(cell: Any) -> None:
    """Strip one cell in place."""
    if cell.cell_type != "code":
        return
    for key in ("execution", "collapsed", "scrolled"):
        cell.metadata.pop(key, None)
    if not is_checked(cell):
        cell.outputs, cell.execution_count = [], None
        return
    cell.execution_count = 1  # nbval takes a cell without a count for one that was never run
    for output in cell.outputs:
        if "execution_count" in output:
            output["execution_count"] = 1


def strip(notebook: Any) -> None:
    """Strip a notebook in place: outputs, counts, and the state of widgets."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        strip_cell(cell)


def main(arguments: list[str]) -> int:
    """Strip every notebook that is named; say which ones changed."""
    for name in arguments:
        path = Path(name)
        before = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(before, as_version=4)
        strip(notebook)
        after = nbformat.writes(notebook) + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"stripped {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

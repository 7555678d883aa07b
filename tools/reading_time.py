"""How many minutes a chapter takes to read: words / 150 + visible lines of code / 12.

The core path leaves out what stands under a heading that begins with "Deeper:" and the exercises,
which state their own times. ``python -m tools.reading_time [NOTEBOOK ...]`` prints both figures;
``--write`` puts the minutes of the core path into the chapter's facts.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from tools.project import chapters

WORDS_A_MINUTE, LINES_A_MINUTE, ROUNDED_TO = 150, 12, 5
HIDDEN = {"hide-input", "remove-input", "remove-cell", "hide-cell"}
HEADING = re.compile(r"^(#{1,6}) +(.+)$")
FENCE = re.compile(r"^(`{3,}|:{3,})")
OPTION = re.compile(r"^:[\w-]+:")
STATED = re.compile(r"(?<=\*)\d+(?= minutes to read)")


def _lines(notebook: Any) -> Iterator[tuple[bool, Any, str]]:
    """Every line with its cell and whether it stands on the core path."""
    off = 0  # level of the heading that left the core path; 0: on it
    for cell in notebook.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and (heading := HEADING.match(line)):
                level, title = len(heading[1]), heading[2]
                if not off or level <= off:
                    off = level if title.startswith(("Deeper:", "Exercises")) else 0
            yield not off, cell, line


def _words(line: str) -> int:
    if FENCE.match(line) or OPTION.match(line):
        return 0
    return sum(1 for word in line.split() if re.search(r"\w", word))


def minutes(notebook: Any, *, core: bool = True) -> int:
    """Minutes to read the core path, or the whole chapter, rounded up to five."""
    words = lines = 0
    for on_path, cell, line in _lines(notebook):
        if core and not on_path:
            continue
        if cell.cell_type == "markdown":
            words += _words(line)
        elif not HIDDEN & set(cell.metadata.get("tags", [])):
            lines += bool(line.strip())
    return ROUNDED_TO * math.ceil((words / WORDS_A_MINUTE + lines / LINES_A_MINUTE) / ROUNDED_TO)


def stated(notebook: Any) -> int | None:
    """The minutes that the chapter's facts name, or None."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := STATED.search(cell.source)):
            return int(found[0])
    return None


def write(path: Path) -> None:
    """Put the computed minutes into the facts of one notebook."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and STATED.search(cell.source):
            cell.source = STATED.sub(str(minutes(notebook)), cell.source)
            break
    nbformat.write(notebook, path)


def main(arguments: list[str]) -> int:
    """Print the minutes of the notebooks that are named, or of all."""
    names = [name for name in arguments if name != "--write"]
    for path in [Path(name) for name in names] or chapters():
        if "--write" in arguments:
            write(path)
        notebook = nbformat.read(path, as_version=4)
        core, whole = minutes(notebook), minutes(notebook, core=False)
        print(f"{path.stem:<36} core {core:>3}, whole {whole:>3}, stated {stated(notebook)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

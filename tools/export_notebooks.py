"""Export the chapters as notebooks that run in Colab or anywhere else: ``make notebooks``.

An exported notebook installs the package when it is not there, and its text is plain Markdown with
links to the published book, because Jupyter and Colab do not know the book's directives.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.myst.index import Index, build
from tools.myst.plain import plain
from tools.myst.prose import Place
from tools.project import BUILD, ROOT, chapters, repository_url, settings

EXTRAS = "plot,widgets,data,weights,views"
INSTALL = """# Installs the book's package where it is missing; installed torch and numpy stay.
import importlib.util

if importlib.util.find_spec("minillm") is None:
    %pip install -q "minillm[{extras}] @ git+{url}\""""


def install_cell(url: str) -> Any:
    """The first code cell: it installs `minillm` from the repository unless it is installed."""
    return new_code_cell(INSTALL.format(extras=EXTRAS, url=url), id="install")


def _origin_cell(title: str, url: str) -> Any:
    text = f"*This notebook is a chapter of the book [{title}]({url}).*"
    return new_markdown_cell(text, id="from-the-book")


def _caption_cell(cell: Any, place: Place) -> Any | None:
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if not figure:
        return None
    number = place.index.figures[figure["name"]].text
    caption = plain(figure["caption"], place)
    return new_markdown_cell(f"*{number}. {caption}*", id=f"{cell.id}-caption")


def export(notebook: Any, place: Place, head: list[Any]) -> Any:
    """The notebook in its exported form.

    Args:
        notebook: A chapter.
        place: Where it stands in the book.
        head: Cells that come before its own.

    Raises:
        ValueError: a cell has something that has no plain form; the message names the cell.
    """
    cells = list(head)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            try:
                cell.source = plain(cell.source, place)
            except ValueError as error:
                raise ValueError(f"{place.page}: cell {cell.id!r}: {error}") from error
        cells.append(cell)
        if cell.cell_type == "code" and (caption := _caption_cell(cell, place)):
            cells.append(caption)
    notebook.cells = cells
    nbformat.validate(notebook)
    return notebook


def export_chapter(path: Path, index: Index, root: Path = ROOT) -> Any:
    """Read a chapter and export it."""
    book, url = settings(root), repository_url(root)
    page = path.relative_to(root).with_suffix("").as_posix()
    place = Place(page, index, f"{url}/raw/{book['repository']['branch']}")
    head = [_origin_cell(str(book["title"]), index.documents[page].url), install_cell(url)]
    return export(nbformat.read(path, as_version=4), place, head)


def main(arguments: list[str]) -> int:
    """Export every chapter; name each cell that cannot be exported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "notebooks")
    folder = parser.parse_args(arguments).out
    index, failed = build(), 0
    for path in chapters():
        try:
            notebook = export_chapter(path, index)
        except ValueError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
        print(f"exported {target}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

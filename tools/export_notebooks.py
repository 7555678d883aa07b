"""Export the chapters as notebooks that run in Colab or anywhere else: ``make notebooks``.

An exported notebook installs the package when it is not there, its text is plain Markdown with
links to the published book, because Jupyter and Colab do not know the book's directives, and it
holds the outputs of the last build.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from nbformat.v4 import new_markdown_cell

from tools.colab import cells, install
from tools.colab.solutions import fold_solutions
from tools.myst.index import Index, build
from tools.myst.plain import plain
from tools.myst.prose import Place
from tools.project import BUILD, CACHE, ROOT, chapters, repository_url, settings

ABOUT = """\
*This is a chapter of the book [{title}]({site}) as a notebook;
[its page]({url}) shows the same without a kernel.*

**To run it:** *Runtime → Run all* in Colab, *Run → Run All Cells* in Jupyter. The next cell
installs the package `minillm` where it is missing, which takes up to a minute in Colab{fetched}.
A graphics card is used where there is one{card}.

The figures and interactive parts that you see before you run anything are those of the published
page. JupyterLab shows them once you trust the notebook: *Trust Notebook* in the command palette."""
CARD = " and helps here: in Colab, *Runtime → Change runtime type*"
NO_CARD = ", but is not needed here"


@dataclass(frozen=True)
class Source:
    """Where exported notebooks come from.

    Attributes:
        index: What the labels of the book stand for.
        revision: The commit to which package and drawings are pinned.
        root: The repository.
    """

    index: Index
    revision: str
    root: Path = ROOT

    def place(self, path: Path) -> Place:
        """Where a chapter stands in the book."""
        page = path.relative_to(self.root).with_suffix("").as_posix()
        return Place(page, self.index, f"{repository_url(self.root)}/raw/{self.revision}")


def about_cell(notebook: Any, place: Place, title: str) -> Any:
    """Where the notebook is from, and how it is run."""
    names = install.fetched(notebook)
    fetched = f";\nthe chapter then fetches {install.megabytes(names)} MB of models and texts, once"
    text = ABOUT.format(
        title=title,
        site=f"{place.index.site}/",
        url=place.index.documents[place.page].url,
        fetched=fetched if names else "",
        card=CARD if cells.helped_by_a_card(notebook) else NO_CARD,
    )
    return new_markdown_cell(text, id="about-this-notebook")


def export(notebook: Any, place: Place, head: list[Any]) -> Any:
    """The notebook in its exported form.

    Args:
        notebook: A chapter.
        place: Where it stands in the book.
        head: Cells that come behind its first one.

    Raises:
        ValueError: a cell has something that has no plain form; the message names the cell.
    """
    done = []
    for cell in notebook.cells:
        done.append(cell)
        if cell.cell_type == "markdown":
            try:
                cell.source = plain(cell.source, place)
            except ValueError as error:
                raise ValueError(f"{place.page}: cell {cell.id!r}: {error}") from error
        elif cell.cell_type == "code":
            cells.fold_code(cell)
            if caption := cells.caption_cell(cell, place):
                done.append(caption)
    done = fold_solutions(done)
    notebook.cells = [*done[:1], *head, *done[1:]]
    cells.colab_metadata(notebook)
    nbformat.validate(notebook)
    return notebook


def export_chapter(path: Path, source: Source, cache: Any = None) -> tuple[Any, bool]:
    """Read a chapter and export it.

    Returns:
        The notebook, and whether the cache had its outputs.
    """
    notebook, place = nbformat.read(path, as_version=4), source.place(path)
    title = str(settings(source.root)["title"])
    head = [
        about_cell(notebook, place, title),
        install.install_cell(notebook, source.revision, source.root),
    ]
    found = cache is not None and cells.add_outputs(notebook, cache)
    return export(notebook, place, head), found


def main(arguments: list[str]) -> int:
    """Export every chapter; name each cell that cannot be exported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "notebooks")
    folder = parser.parse_args(arguments).out
    source, failed = Source(build(), install.commit()), 0
    cache = get_cache(str(CACHE)) if CACHE.is_dir() else None
    for path in chapters():
        try:
            notebook, found = export_chapter(path, source, cache)
        except ValueError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
        remark = "" if found else " without outputs: `make book` makes them"
        print(f"exported {target}{remark}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

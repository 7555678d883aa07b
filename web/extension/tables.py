"""Tables that directives make, and the chapters that they lead to."""

from __future__ import annotations

from functools import cache

import yaml
from docutils import nodes

from tools.project import ROOT


@cache
def chapter_pages() -> dict[str, tuple[str, str]]:
    """The document and the number of each chapter, by its short name."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = (entry for part in toc["parts"] for entry in part["chapters"] if "title" in entry)
    return {
        entry["file"].rsplit("/", 1)[-1]: (entry["file"], entry["title"].split(" ")[0])
        for entry in listed
    }


def row(*cells: list[nodes.Node], classes: tuple[str, ...] = ()) -> nodes.row:
    """A row of a table."""
    entries = [nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells]
    return nodes.row("", *entries, classes=list(classes))


def table(heads: list[str], rows: list[nodes.row], classes: list[str]) -> nodes.table:
    """A table whose first column names its rows."""
    specs = [nodes.colspec(colwidth=1, stub=int(not i)) for i in range(len(heads))]
    head = nodes.thead("", row(*[[nodes.Text(name)] for name in heads]))
    group = nodes.tgroup("", *specs, head, nodes.tbody("", *rows), cols=len(heads))
    return nodes.table("", group, classes=classes)

"""Code cells that a link can lead to.

Every code cell of a chapter gets an anchor from its id, and a label: ``{ref}`words <order:knobs>```
leads to the cell ``knobs`` of the chapter ``order``.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx


def anchor(cell: str) -> str:
    """The anchor of a cell in its page.

    >>> anchor("knobs")
    'cell-knobs'
    """
    return f"cell-{cell}"


def label(chapter: str, cell: str) -> str:
    """What ``{ref}`` calls a cell.

    >>> label("order", "knobs")
    'order:knobs'
    """
    return f"{chapter}:{cell}".lower()


def give_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Give the code cells of a notebook their anchors and labels."""
    docname = app.env.docname
    source = Path(app.env.doc2path(docname))
    if source.suffix != ".ipynb":
        return
    ids = [str(cell.get("id", "")) for cell in nbformat.read(source, as_version=4).cells]
    labels = app.env.domains["std"].anonlabels
    for node in doctree.findall(nodes.container):
        if node.get("nb_element") == "cell_code" and ids[node["cell_index"]]:
            cell = ids[node["cell_index"]]
            node["ids"].append(anchor(cell))
            labels[label(source.stem, cell)] = docname, anchor(cell)

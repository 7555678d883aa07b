"""What an exported notebook adds to the cells of a chapter: outputs, folds, captions, the card."""

from __future__ import annotations

from typing import Any

from jupyter_cache.base import JupyterCacheAbstract
from nbformat.v4 import new_markdown_cell

from tools.myst.plain import caption, fold
from tools.myst.prose import Place

FOLDED = ("hide-input", "remove-input")


def add_outputs(notebook: Any, cache: JupyterCacheAbstract) -> bool:
    """Give the cells the outputs of the last build, and the notebook its widgets' state.

    Returns:
        Whether the cache has them.
    """
    try:
        record = cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    executed = cache.get_cache_bundle(record.pk).nb
    if "widgets" in executed.metadata:
        notebook.metadata["widgets"] = executed.metadata["widgets"]
    codes = (cell for cell in notebook.cells if cell.cell_type == "code")
    for cell, ran in zip(codes, executed.cells, strict=True):
        silent = "remove-stderr" in cell.metadata.get("tags", [])
        cell.execution_count = ran.execution_count
        cell.outputs = [
            output for output in ran.outputs if not (silent and output.get("name") == "stderr")
        ]
    return True


def fold_code(cell: Any) -> None:
    """Hide what the page hides, in Colab and in JupyterLab; one click shows it again."""
    tags = cell.metadata.get("tags", [])
    if any(tag in tags for tag in FOLDED):
        cell.metadata["cellView"] = "form"
        cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
    if "hide-output" in tags:
        cell.metadata["collapsed"] = True
        cell.metadata.setdefault("jupyter", {})["outputs_hidden"] = True


def caption_cell(cell: Any, place: Place) -> Any | None:
    """The caption of a figure that a code cell draws, with the picture in words."""
    book = cell.metadata.get("mystnb", {})
    if not (figure := book.get("figure")):
        return None
    text = caption(figure["name"], figure["caption"], place)
    if alt := book.get("image", {}).get("alt"):
        text += "\n\n" + fold("The picture in words", alt)
    return new_markdown_cell(text, id=f"{cell.id}-caption")


def helped_by_a_card(notebook: Any) -> bool:
    """Whether a graphics card takes off half of the time, and half a minute or so."""
    stated = notebook.metadata.get("minillm", {})
    cpu, gpu = stated.get("cpu_seconds", 0), stated.get("gpu_seconds", 0)
    return bool(cpu >= 30 and gpu <= cpu / 2)


def colab_metadata(notebook: Any) -> None:
    """Ask Colab for the contents at the side, and for a card where it helps."""
    notebook.metadata["colab"] = {"provenance": [], "toc_visible": True}
    if helped_by_a_card(notebook):
        notebook.metadata["accelerator"] = "GPU"
        notebook.metadata["colab"]["gpuType"] = "T4"

"""The data of *The sources, checked*: every verdict is well formed and its cell is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from tools.project import ROOT, chapters

APPENDIX = ROOT / "book" / "appendix"
FIELDS = {"where", "claim", "verdict", "chapter", "cell", "note"}
VERDICTS = {"true", "care", "wrong", "does-not-run", "outdated", "uncheckable"}
SECTION = re.compile(r"[A-E]\d+[a-z]?(?:\.\d+)*(?:-[\w.]+)?")
SKIPPED = {"skip-execution", "nbval-skip"}  # tags of cells that are not executed


def data_files() -> list[Path]:
    """One file for each chapter, and the merged one if it is there."""
    merged = APPENDIX / "sources.yml"
    return [*sorted((APPENDIX / "sources").glob("*.yml")), *([merged] if merged.exists() else [])]


def executed_cells(notebook: Any) -> set[str]:
    """Ids of the code cells that run when the book is built."""
    return {
        cell.id
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.source.strip()
        and not SKIPPED & set(cell.metadata.get("tags", []))
    }


def problems(entries: Any, executed: dict[str, set[str]]) -> Iterator[str]:
    """What is wrong with the entries of one file; executed: chapter -> ids of executed cells."""
    if not isinstance(entries, list) or not entries:
        yield "is not a list of entries"
        return
    seen = set()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or set(entry) != FIELDS:
            yield f"entry {number}: the fields are not {sorted(FIELDS)}"
            continue
        place = f"entry {number} ({entry['where']})"
        for key in ("where", "claim", "verdict", "note"):
            if not isinstance(entry[key], str) or not entry[key].strip():
                yield f"{place}: {key} is not a text"  # an unquoted true is one of these
        if not SECTION.fullmatch(str(entry["where"])):
            yield f"{place}: not an article's letter and section, such as C3.2"
        if entry["verdict"] not in VERDICTS:
            yield f"{place}: verdict {entry['verdict']!r} is none of {sorted(VERDICTS)}"
        if (entry["where"], entry["claim"]) in seen:
            yield f"{place}: the same claim stands twice"
        seen.add((entry["where"], entry["claim"]))
        if entry["chapter"] not in executed:
            yield f"{place}: there is no chapter {entry['chapter']!r}"
        elif entry["cell"] is not None and entry["cell"] not in executed[entry["chapter"]]:
            yield f"{place}: {entry['chapter']} has no executed code cell {entry['cell']!r}"


@pytest.fixture(scope="module")
def executed() -> dict[str, set[str]]:
    """The executed cells of every chapter of the book."""
    return {
        path.stem: executed_cells(nbformat.read(path, as_version=4))
        for path in chapters()
        if path.suffix == ".ipynb"
    }


@pytest.mark.parametrize("path", data_files(), ids=lambda path: path.stem)
def test_every_entry_is_whole_and_its_cell_is_executed(
    path: Path, executed: dict[str, set[str]]
) -> None:
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    broken = list(problems(entries, executed))
    assert not broken, "\n".join(broken)


def test_every_file_belongs_to_a_chapter(executed: dict[str, set[str]]) -> None:
    strange = {path.stem for path in data_files() if path.parent != APPENDIX} - set(executed)
    assert not strange


def good() -> dict[str, Any]:
    return {
        "where": "C3.2",
        "claim": "Something is so.",
        "verdict": "true",
        "chapter": "order",
        "cell": "setup",
        "note": "It is.",
    }


def test_a_good_entry_has_no_problem(executed: dict[str, set[str]]) -> None:
    entries = [good(), good() | {"claim": "Another.", "cell": None, "verdict": "uncheckable"}]
    assert list(problems(entries, executed)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": True}, "verdict is not a text"),
        ({"verdict": "right"}, "is none of"),
        ({"where": "section 3"}, "letter and section"),
        ({"where": "F1"}, "letter and section"),
        ({"claim": " "}, "claim is not a text"),
        ({"note": None}, "note is not a text"),
        ({"chapter": "a-chapter-to-come"}, "there is no chapter"),
        ({"cell": "no-such-cell"}, "no executed code cell"),
        ({"cell": "title"}, "no executed code cell"),
        ({"extra": 1}, "the fields are not"),
    ],
)
def test_a_wrong_entry_is_found(
    change: dict[str, Any], message: str, executed: dict[str, set[str]]
) -> None:
    assert any(message in found for found in problems([good() | change], executed))


def test_a_claim_stands_once(executed: dict[str, set[str]]) -> None:
    assert any("twice" in found for found in problems([good(), good()], executed))


@pytest.mark.parametrize("entries", [None, [], {"where": "C3.2"}, ["C3.2"]])
def test_a_file_without_entries_is_found(entries: Any, executed: dict[str, set[str]]) -> None:
    assert list(problems(entries, executed))


def test_a_cell_that_is_skipped_shows_nothing() -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("1", id="run"),
            nbformat.v4.new_code_cell("1", id="left-out", metadata={"tags": ["skip-execution"]}),
            nbformat.v4.new_code_cell("", id="empty"),
            nbformat.v4.new_markdown_cell("1", id="prose"),
        ]
    )
    assert executed_cells(notebook) == {"run"}

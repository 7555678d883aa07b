"""The data of *The sources, checked*: every verdict is well formed and shown by something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from pybtex.database import parse_file

from tools.project import ROOT, chapters
from web.extension.sources import DATA, VERDICTS

REQUIRED = {"where", "claim", "verdict", "chapter", "cell", "note"}
OPTIONAL = {"also", "cite", "test"}
SECTION = re.compile(r"[A-E]\d+[a-z]?(?:\.\d+)*")
ROLE = re.compile(r"\{cite:[pt]\}`([^`]+)`")
SKIPPED = {"skip-execution", "nbval-skip"}  # tags of cells that are not executed
LEAST_REASON = 8  # words of a note that stands alone
TESTS = Path(__file__).with_name("test_article_code.py")


class Evidence:
    """What an entry may name: executed cells of each chapter, works and tests."""

    def __init__(self) -> None:
        notebooks = {p.stem: nbformat.read(p, 4) for p in chapters() if p.suffix == ".ipynb"}
        self.cells = {name: executed_cells(notebook) for name, notebook in notebooks.items()}
        self.works = set(parse_file(str(ROOT / "book" / "references.bib"), "bibtex").entries)
        tree = ast.parse(TESTS.read_text(encoding="utf-8"))
        self.tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def executed_cells(notebook: Any) -> set[str]:
    """Ids of the code cells that run when the book is built."""
    return {
        cell.id
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.source.strip()
        and not SKIPPED & set(cell.metadata.get("tags", []))
    }


def plain(claim: str) -> str:
    """A claim without what makes two spellings of it differ."""
    return " ".join(re.findall(r"\w+", claim.casefold()))


def faults_of_form(entry: dict[str, Any]) -> Iterator[str]:
    for key in ("where", "claim", "verdict", "note"):
        if not isinstance(entry[key], str) or not entry[key].strip():
            yield f"{key} is not a text"  # an unquoted true is one of these
    if not SECTION.fullmatch(str(entry["where"])):
        yield "not an article's letter and section, such as C3.2"
    if entry["verdict"] not in VERDICTS:
        yield f"verdict {entry['verdict']!r} is none of {sorted(VERDICTS)}"


def faults_of_evidence(entry: dict[str, Any], known: Evidence) -> Iterator[str]:
    chapter, cell = entry["chapter"], entry["cell"]
    also = [tuple(str(name).split("/", 1)) for name in entry.get("also", [])]
    for place in [(chapter, cell), *also]:
        if place == (None, None):
            continue
        if len(place) != 2 or place[0] not in known.cells:
            yield f"there is no chapter {place[0]!r}"
        elif place[1] is not None and place[1] not in known.cells[place[0]]:
            yield f"{place[0]} has no executed code cell {place[1]!r}"
    in_note = [key for match in ROLE.findall(str(entry["note"])) for key in match.split(",")]
    for key in (*entry.get("cite", []), *in_note):
        if key not in known.works:
            yield f"references.bib has no work {key!r}"
    if entry.get("test") not in {None, *known.tests}:
        yield f"{TESTS.name} has no test {entry['test']!r}"
    shown = cell or also or in_note or entry.get("cite") or entry.get("test")
    if not shown and len(str(entry["note"]).split()) < LEAST_REASON:
        yield "neither a cell nor a work nor a reason shows it"


def problems(entries: Any, known: Evidence) -> Iterator[str]:
    """What is wrong with the entries of the file."""
    if not isinstance(entries, list) or not entries:
        yield "is not a list of entries"
        return
    seen = set()
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not REQUIRED <= set(entry) <= REQUIRED | OPTIONAL:
            yield f"entry {number}: the fields are not {sorted(REQUIRED)}"
            continue
        place = f"entry {number} ({entry['where']})"
        for fault in (*faults_of_form(entry), *faults_of_evidence(entry, known)):
            yield f"{place}: {fault}"
        claim = str(entry["where"])[:1], plain(str(entry["claim"]))
        if claim in seen:
            yield f"{place}: the same claim of an article stands twice"
        seen.add(claim)


@pytest.fixture(scope="module")
def known() -> Evidence:
    return Evidence()


def test_every_entry_is_whole_and_shown_by_something(known: Evidence) -> None:
    broken = list(problems(yaml.safe_load(DATA.read_text(encoding="utf-8")), known))
    assert not broken, "\n".join(broken)


def good() -> dict[str, Any]:
    return {
        "where": "C3.2",
        "claim": "Something is so.",
        "verdict": "true",
        "chapter": "order",
        "cell": "setup",
        "note": "It is.",
    }


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"chapter": None, "cell": None, "cite": ["vaswani2017attention"]},
        {"chapter": None, "cell": None, "note": "See {cite:p}`he2016deep,ba2016layer`."},
        {"chapter": None, "cell": None, "test": "test_three_dots_are_no_size"},
        {"cell": None, "also": ["the-block/setup"]},
        {"cell": None, "verdict": "uncheckable", "note": "An opinion, of which one can be or not."},
    ],
)
def test_a_good_entry_has_no_problem(change: dict[str, Any], known: Evidence) -> None:
    assert list(problems([good() | change], known)) == []


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
        ({"chapter": None}, "there is no chapter"),
        ({"cell": "no-such-cell"}, "no executed code cell"),
        ({"cell": "title"}, "no executed code cell"),
        ({"also": ["order"]}, "there is no chapter"),
        ({"also": ["order/no-such-cell"]}, "no executed code cell"),
        ({"cite": ["nobody1900nothing"]}, "no work"),
        ({"note": "See {cite:p}`he2016deep,nobody`."}, "no work 'nobody'"),
        ({"test": "test_nothing"}, "no test"),
        ({"cell": None}, "neither a cell nor a work nor a reason"),
        ({"extra": 1}, "the fields are not"),
    ],
)
def test_a_wrong_entry_is_found(change: dict[str, Any], message: str, known: Evidence) -> None:
    assert any(message in found for found in problems([good() | change], known))


def test_a_claim_stands_once_in_an_article(known: Evidence) -> None:
    again = good() | {"where": "C8", "claim": "something is  so"}
    assert any("twice" in found for found in problems([good(), again], known))
    assert not list(problems([good(), good() | {"where": "D8"}], known))


@pytest.mark.parametrize("entries", [None, [], {"where": "C3.2"}, ["C3.2"]])
def test_a_file_without_entries_is_found(entries: Any, known: Evidence) -> None:
    assert list(problems(entries, known))


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

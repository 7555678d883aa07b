"""The page *The sources, checked* says what its data file says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tools.project import ROOT, chapters
from web.extension import cells, sources

PAGE = ROOT / (sources.PAGE + ".md")


@pytest.fixture(scope="module")
def entries() -> list[sources.Entry]:
    return sources.read()


def test_nothing_of_the_file_is_lost(entries: list[sources.Entry]) -> None:
    raw = yaml.safe_load(sources.DATA.read_text(encoding="utf-8"))
    assert sorted(e.claim for e in entries) == sorted(item["claim"] for item in raw)
    assert [e.where[0] for e in entries] == sorted(e.where[0] for e in entries)


def test_sections_stand_in_the_order_of_the_article(tmp_path: Path) -> None:
    wheres = ["C10.2", "C4b.1", "C9", "C4.3", "C4.10", "B1"]
    item = {"claim": "x", "verdict": "true", "chapter": None, "cell": None, "note": "x"}
    path = tmp_path / "sources.yml"
    path.write_text(yaml.safe_dump([item | {"where": where} for where in wheres]))
    found = [entry.where for entry in sources.read(path)]
    assert found == ["B1", "C4.3", "C4.10", "C4b.1", "C9", "C10.2"]


def test_the_sentence_counts(entries: list[sources.Entry]) -> None:
    text = sources.sentence(entries)
    counts = Counter(entry.verdict for entry in entries)
    for verdict, words in sources.SAID.items():
        assert f"{counts[verdict]} {words}" in text
    assert f"of {len(entries)} claims" in text
    assert [int(n) for n in re.findall(r"\d+", text)][1:] == [counts[v] for v in sources.SAID]


def test_one_claim_is_counted() -> None:
    entry = sources.Entry("A1", "x", "wrong", None, None, "y")
    assert "of 1 claims 1 wrong." in sources.sentence([entry])


def test_every_article_has_its_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"\{sources-claims\} (.)", text) == list(sources.ARTICLES)
    assert "{sources-counts}" in text
    assert "{sources-sentence}" in (ROOT / "book" / "index.md").read_text(encoding="utf-8")


def test_every_chapter_can_be_linked() -> None:
    pages = sources.chapter_pages()
    assert set(pages) == {path.stem for path in chapters()}
    assert pages["order"] == ("book/attention/order", "7")


def test_further_cells_are_shown_too() -> None:
    entry = sources.Entry("A1", "x", "true", "order", "knobs", "y", also=("the-block/setup",))
    assert entry.cells == [("order", "knobs"), ("the-block", "setup")]
    assert sources.Entry("A1", "x", "true", "order", None, "y").cells == []


@pytest.mark.parametrize(
    "text", ["a_ij * x_j * 2", "<end>", "[x] and $y$", "x | y ~ z", "W^T # \\"]
)
def test_what_means_something_in_markdown_is_escaped(text: str) -> None:
    escaped = sources.escaped(text)
    assert re.sub(r"\\(.)", r"\1", escaped) == text
    assert not re.search(r"(?<!\\)[*_<>\[\]#$|~^]", escaped)


def test_every_question_of_the_articles_is_answered() -> None:
    text = (ROOT / "book" / "appendix" / "questions.md").read_text(encoding="utf-8")
    asked = re.findall(r"^\*\*[^*]+\?\*\* \(([^)]+)\)\n: ", text, re.M)
    places = Counter(place for names in asked for place in names.split(", "))
    assert places == {
        **dict.fromkeys((f"A8.{n}" for n in range(1, 5)), 1),
        "B8": 2,
        "C8": 4,
        **dict.fromkeys((f"D9.{n}" for n in range(1, 6)), 1),
        "E9": 4,
    }


def test_questions_lead_to_cells_that_are_there() -> None:
    text = (ROOT / "book" / "appendix" / "questions.md").read_text(encoding="utf-8")
    known = set()
    for path in chapters():
        ids = re.findall(r'^   "id": "([^"]+)"', path.read_text(encoding="utf-8"), re.M)
        known |= {cells.label(path.stem, name) for name in ids}
    links = re.findall(r"\{ref\}`[^`<]+<([^>]+)>`", text)
    assert len(links) > 40
    assert not set(links) - known

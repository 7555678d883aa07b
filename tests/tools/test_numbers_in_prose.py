"""Which numbers of a chapter's prose something carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from tools import numbers_in_prose as tool


def chapter(prose: str, printed: str = "", source: str = "pass", **metadata: Any) -> Any:
    output = v4.new_output("stream", text=printed)
    code = v4.new_code_cell(source, outputs=[output], metadata=metadata, id="code")
    return v4.new_notebook(cells=[v4.new_markdown_cell(prose, id="prose"), code])


def left(prose: str, printed: str = "", source: str = "pass", **metadata: Any) -> list[str]:
    return [found.text for found in tool.uncarried(chapter(prose, printed, source, **metadata))]


@pytest.mark.parametrize(
    ("prose", "printed"),
    [
        ("The loss is 1.36 nats.", "loss 1.3554"),
        ("About 12 % are praise.", "0.118"),
        ("About 81.5 percent.", "81.52%"),
        ("It rose by 20 percentage points.", "0.2"),
        ("Of 9,171 texts", "9171"),
        ("some 32,000 words", "31,907 words"),
        ("1.2 million rows", "1,204,511"),
        ("a step of 2e-5 each", "2e-05"),
    ],
)
def test_a_printed_number_carries_the_prose(prose: str, printed: str) -> None:
    assert left(prose, printed) == []
    assert len(left(prose, "7777.7")) == 1


@pytest.mark.parametrize(
    ("prose", "printed"),
    [
        ("The loss is 1.36 nats.", "1.366"),
        ("About 12 % are praise.", "0.13"),
        ("12.0 %", "1200"),
        ("some 32,000 words", "32,501"),
        ("1.2 million rows", "1.2"),
    ],
)
def test_another_number_does_not(prose: str, printed: str) -> None:
    assert len(left(prose, printed)) == 1


@pytest.mark.parametrize(
    "prose",
    [
        "There are 12 heads, and in 1951 there were none.",
        "read on 30 November 2026 and on 13 May 1999",
        "GPT-2, SmolLM2-135M, float32, UTF-8, a 13-gram, `x = 1234` and $e^{4.61} = 100.5$",
        "$$\n123.4\n$$",
        "```{code}\n5555\n```",
        "See {numref}`fig-4444` and [a page](https://example.org/1234.5).",
        "{cite:t}`brown2020language` had 175 billion parameters; ours has less.",
        "*45 minutes, hard.* Do it.",
        "13. The thirteenth point",
        ":name: fig-99.5",
    ],
)
def test_what_nobody_has_to_answer_for(prose: str) -> None:
    assert left(prose) == []


def test_a_citation_answers_for_its_sentence_alone() -> None:
    assert left("{cite:t}`a2020b` had 175 billion. Ours has 134.") == ["134"]


def test_code_carries_too_and_pictures_must_be_carried() -> None:
    shown = {"figure": {"caption": "At 4.25."}, "image": {"alt": "Near 66.5."}}
    assert left("", source="x = 4.25", mystnb=shown) == ["66.5"]
    assert left("Of 758_602 no, of 758,602 words", source="n = 758_602") == []


class Cache:
    """Stands for the jupyter-cache: one execution."""

    def __init__(self, executed: Any) -> None:
        self.nb, self.pk = executed, 0

    def match_cache_notebook(self, notebook: Any) -> Any:
        if [c.source for c in notebook.cells if c.cell_type == "code"] != ["pass"]:
            raise KeyError("not there")
        return self

    def get_cache_bundle(self, pk: int) -> Any:
        assert pk == self.pk
        return self


def test_excuses(tmp_path: Path) -> None:
    bare = chapter("It is 3.14 or 2.72.")
    path = tmp_path / "pi.ipynb"
    nbformat.write(bare, path)
    cache = Cache(chapter("", "2.718"))
    assert [line[:23] for line in tool.check([path], {}, cache)] == ["pi: cell prose: '3.14' "]
    excuse = {"pi": {"prose": {"3.14": "everybody knows it"}}}
    assert list(tool.check([path], excuse, cache)) == []
    excuse["pi"]["prose"]["2.72"] = "so do they"
    (line,) = tool.check([path], excuse, cache)
    assert line == "pi: cell prose: no excuse is needed for '2.72'"


def test_a_chapter_that_was_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "new.ipynb"
    nbformat.write(chapter("3.14", source="1 + 1"), path)
    (line,) = tool.check([path], {}, Cache(chapter("")))
    assert line == "new: has no outputs yet; run make book"

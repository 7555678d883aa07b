"""The lists of chapters say what the chapters and `_toc.yml` say, and cannot drift apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from minillm import results
from tools import contents
from tools.project import ROOT, chapters


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that the lists are made of and stand in."""
    for path in (ROOT / "_toc.yml", ROOT / "README.md", ROOT / "book/index.md",
                 ROOT / "book/planned.yml", *chapters()):  # fmt: skip
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_lists_are_up_to_date() -> None:
    assert not contents.changed(), "run `python -m tools.contents`"


def test_every_chapter_is_finished_or_planned_and_never_both() -> None:
    parts = contents.read_parts()
    finished = [chapter.number for part in parts for chapter in part.chapters]
    planned = [number for part in parts for number in part.planned]
    assert len(finished) == len(chapters())
    assert sorted(finished + planned) == list(range(1, 24))
    listed = yaml.safe_load((ROOT / "book/planned.yml").read_text(encoding="utf-8"))
    assert sum(map(len, listed.values())) == len(planned), "a part of planned.yml has no chapter"
    for part in parts:  # in order, and no part reaches into another
        own = [*(chapter.number for chapter in part.chapters), *part.planned]
        assert [c.number for c in part.chapters] == sorted(c.number for c in part.chapters)
        assert sorted(own) == list(range(min(own), max(own) + 1))


def test_a_chapter_that_is_finished_leaves_the_plan(copy: Path) -> None:
    toc = (copy / "_toc.yml").read_text(encoding="utf-8")
    cut = toc.replace("      - file: book/attention/order\n        title: 7 · Order\n", "")
    assert cut != toc
    (copy / "_toc.yml").write_text(cut, encoding="utf-8")
    assert {path.name for path in contents.changed(copy)} == {"index.md", "README.md"}


def test_another_promise_or_length_changes_both_lists(copy: Path) -> None:
    path = copy / "book/transformer/the-block.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace(
        contents.OPENING, contents.OPENING + "sing and "
    )
    nbformat.write(notebook, path)
    found = contents.changed(copy)
    assert {path.name for path in found} == {"index.md", "README.md"}
    assert all("sing and " in text for text in found.values())


def test_titles_that_disagree_are_refused(copy: Path) -> None:
    toc = (copy / "_toc.yml").read_text(encoding="utf-8")
    (copy / "_toc.yml").write_text(toc.replace("8 · The block", "8 · Blocks"), encoding="utf-8")
    with pytest.raises(ValueError, match="Blocks"):
        contents.changed(copy)


def test_marks_must_be_there_once() -> None:
    assert contents.between_marks("a\n% contents: begin\nold\n% contents: end\n", "new") == (
        "a\n% contents: begin\n\nnew\n\n% contents: end\n"
    )
    with pytest.raises(ValueError, match="one pair"):
        contents.between_marks("a\n% contents: begin\n", "new")


CARDS = sorted((ROOT / "models").glob("story-gpt*/README.md"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_cards_say_what_was_measured(path: Path) -> None:
    rows = {row["model"]: row for row in results.load("story_models")["rows"]}
    own, text = rows[path.parent.name], path.read_text(encoding="utf-8")
    assert f"{own['flawless']:.0%} have no fault".replace("%", " %") in text
    assert f"at temperature 0.5 it is {own['cool']['flawless']:.0%}".replace("%", " %") in text
    new, known = (
        {name: f"{rows[name][key]:.3f}" for name in ("story-gpt", "story-gpt-nano")}
        for key in ("loss_on_new_pairs", "loss")
    )
    for figures in (new, known):
        assert all(figure in text for figure in figures.values())
    assert new["story-gpt"] > new["story-gpt-nano"]  # "the larger model is the worse one"
    assert known["story-gpt"] < known["story-gpt-nano"]

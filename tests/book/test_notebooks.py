"""The house rules hold for every chapter, and each rule can fail."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebook_rules as rules
from tools.project import ROOT, chapters
from tools.strip_outputs import strip

TEXT = """# Title

:::{admonition} About this chapter
:class: chapter-facts
*5 minutes to read · 5 seconds on a CPU*

You will learn nothing {cite:p}`shannon1948mathematical`.
:::
"""
PARTS = {name: name.lower().replace(" ", "-") for name in rules.HEADINGS}  # heading -> cell
EXERCISE = """```{exercise}
:label: ex-a
```

```{solution} ex-a
:class: dropdown
```"""


def good() -> Any:
    figure = {"figure": {"caption": "A line.", "name": "fig-a"}, "image": {"alt": "A line."}}
    checked = new_code_cell("print(1)", id="checked", execution_count=1)
    checked.metadata.tags = ["nbval-check-output", "keep_output"]
    checked.outputs = [new_output("stream", name="stdout", text="1\n")]
    cells = [
        new_markdown_cell(TEXT, id="title"),
        new_code_cell("plot.use_book_style()", id="setup"),
        new_code_cell("plt.plot([1, 2])", id="draw", metadata={"mystnb": figure}),
        checked,
        *(new_markdown_cell(f"## {name}", id=cell_id) for name, cell_id in PARTS.items()),
        new_markdown_cell(EXERCISE, id="exercise"),
    ]
    notebook = new_notebook(cells=cells)
    notebook.nbformat_minor = 5
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata.minillm = {"cpu_seconds": 5, "gpu_seconds": 2}
    return nbformat.from_dict(notebook)


def test_every_chapter_keeps_the_rules() -> None:
    broken = rules.check(chapters())
    assert not broken, "\n".join(broken)


def test_every_notebook_is_in_the_contents() -> None:
    assert chapters()
    assert not list(rules.contents_are_complete(ROOT))


@pytest.mark.parametrize("rule", rules.NOTEBOOK_RULES)
def test_good_notebook_keeps_the_rule(rule: rules.Rule) -> None:
    assert not list(rule(good()))


def cell(notebook: Any, name: str) -> Any:
    return next(c for c in notebook.cells if c.id == name)


def append(text: str) -> Callable[[Any], None]:
    return lambda nb: nb.cells.append(new_markdown_cell(text, id="more"))


def replace(name: str, old: str, new: str) -> Callable[[Any], None]:
    def change(notebook: Any) -> None:
        source = cell(notebook, name).source
        assert old in source
        cell(notebook, name).source = source.replace(old, new)

    return change


def drop(section: str, key: str) -> Callable[[Any], None]:
    return lambda nb: cell(nb, "draw").metadata.mystnb[section].pop(key)


def put(name: str, key: str, value: Any) -> Callable[[Any], None]:
    return lambda nb: cell(nb, name).__setitem__(key, value)


def hidden(first: str, later: str) -> Callable[[Any], None]:
    """Append a hidden cell and a visible one."""

    def change(notebook: Any) -> None:
        tags = {"tags": ["hide-input"]}
        notebook.cells.append(new_code_cell(first, id="hidden", metadata=tags))
        notebook.cells.append(new_code_cell(later, id="more"))

    return change


BAD: list[tuple[rules.Rule, Callable[[Any], None], str]] = [
    (rules.format_is_current, lambda nb: nb.__setitem__("nbformat_minor", 4), "4.4"),
    (rules.format_is_current, lambda nb: nb.metadata.pop("kernelspec"), "kernelspec"),
    (rules.times_are_stated, lambda nb: nb.metadata.minillm.pop("gpu_seconds"), "gpu_seconds"),
    (rules.times_are_stated, lambda nb: nb.metadata.pop("minillm"), "cpu_seconds"),
    (rules.outputs_are_stripped, put("draw", "execution_count", 3), "cell draw"),
    (rules.outputs_are_stripped, put("checked", "execution_count", 7), "cell checked"),
    (rules.outputs_are_stripped, put("checked", "outputs", []), "no output"),
    (rules.outputs_are_stripped, lambda nb: nb.metadata.update(widgets={"a": {}}), "widget"),
    (rules.tags_go_together, lambda nb: cell(nb, "checked").metadata.tags.pop(), "go together"),
    (rules.ids_are_readable, put("draw", "id", "0badf00d"), "by hand"),
    (rules.ids_are_readable, put("draw", "id", "abad1dea"), "by hand"),
    (rules.ids_are_readable, put("draw", "id", "Draw_it"), "by hand"),
    (rules.ids_are_readable, put("draw", "id", "setup"), "twice"),
    (rules.sizes_are_kept, put("draw", "source", "x = 1\n" * 26), "26 lines"),
    (rules.lines_are_short, put("draw", "source", "x = " + "1" * 97), "101 characters"),
    (rules.minutes_are_computed, replace("title", "*5 min", "*10 min"), "states 10"),
    (rules.minutes_are_computed, append("word " * 8900), "computed are 60"),
    (rules.minutes_are_computed, append("word " * 9000), "65 minutes, more than 60"),
    (rules.hidden_cells_only_draw, hidden("kept = 1", "print(kept)"), "more needs its kept"),
    (rules.hidden_cells_only_draw, hidden("kept = 1", "def f():\n    return kept"), "its kept"),
    (rules.hidden_cells_only_draw, hidden("kept = 1", "[kept for _ in ()]"), "its kept"),
    (rules.hidden_cells_only_draw, hidden("results.load('a')", "pass"), "loads something"),
    (rules.sections_start_cells, append("Seen.\n\n## Next"), "'## Next' begins in the middle"),
    (rules.sections_start_cells, append("Seen.\n\n(a)=\n### Next"), "'### Next' begins"),
    (rules.self_check_stands_whole, put("further-reading", "source", "2. Why?"), "goes on with"),
    (rules.fences_close_in_their_cell, append("```{exercise}\n:label: ex-b"), "not closed"),
    (rules.fences_close_in_their_cell, append(":::{dropdown} Answer\nYes."), "not closed"),
    (rules.parts_are_present, replace("title", "# Title", "Title"), "one title"),
    (rules.parts_are_present, append("# Second title"), "one title"),
    (rules.parts_are_present, replace("title", "chapter-facts", "note"), "facts"),
    (rules.parts_are_present, replace("title", "You will learn", "Here is"), "goals"),
    (rules.parts_are_present, replace("title", "{cite:p}`", "`"), "citation"),
    (rules.parts_are_present, replace("exercise", "{exercise}", "{note}"), "an exercise"),
    (rules.parts_are_present, replace("exercise", "{solution}", "{note}"), "a solution is"),
    (rules.parts_are_present, replace("exercise", "dropdown", "tip"), "folds"),
    (rules.parts_are_present, put("setup", "id", "start"), "setup"),
    *(
        (rules.parts_are_present, replace(PARTS[name], f"## {name}", "## Other"), name)
        for name in rules.HEADINGS
    ),
    (rules.figures_are_described, drop("figure", "caption"), "figure.caption"),
    (rules.figures_are_described, drop("figure", "name"), "figure.name"),
    (rules.figures_are_described, drop("image", "alt"), "image.alt"),
    (rules.figures_are_described, put("draw", "metadata", nbformat.from_dict({})), "caption"),
    (rules.images_are_described, append("![](a.svg)"), "alt text"),
    (rules.images_are_described, append('<img src="a.svg">'), "alt text"),
    (rules.images_are_described, append("```{figure} a.svg\n:name: b\n\nSay.\n```"), "alt text"),
]


@pytest.mark.parametrize(("rule", "damage", "message"), BAD)
def test_bad_notebook_breaks_the_rule(
    rule: rules.Rule, damage: Callable[[Any], None], message: str
) -> None:
    notebook = good()
    damage(notebook)
    assert any(message in broken for broken in rule(notebook))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("x = 1", "x = 2\nprint(x)"),
        ("import math", "print(math.pi)"),
        ("x = 1", "[x for x in (1, 2)]"),
        ("x = 1", "f = lambda x: x"),
    ],
)
def test_a_name_that_is_made_anew_is_nobodys_need(first: str, later: str) -> None:
    notebook = good()
    hidden(first, later)(notebook)
    assert not list(rules.hidden_cells_only_draw(notebook))


def test_a_described_figure_in_the_text_is_fine() -> None:
    notebook = good()
    append("```{figure} a.svg\n:alt: A tree.\n\nSay.\n```\n![A line](b.svg)")(notebook)
    assert not list(rules.images_are_described(notebook))


def test_unknown_citation_is_found() -> None:
    assert not list(rules.citations_resolve(good(), {"shannon1948mathematical"}))
    (broken,) = rules.citations_resolve(good(), {"other"})
    assert "shannon1948mathematical" in broken


def test_different_setup_cells_are_found() -> None:
    other = good()
    cell(other, "setup").source += "\nx = 1"
    assert not list(rules.setups_are_identical({"a": good(), "b": good()}))
    assert list(rules.setups_are_identical({"a": good(), "b": other}))


def test_figure_names_used_twice_are_found() -> None:
    assert not list(rules.figure_names_are_unique({"a": good()}))
    assert list(rules.figure_names_are_unique({"a": good(), "b": good()}))


def test_notebook_outside_of_the_contents_is_found(tmp_path: Any) -> None:
    (tmp_path / "book").mkdir()
    toc = "root: book/index\nparts:\n- caption: A\n  chapters:\n  - file: book/one\n"
    (tmp_path / "_toc.yml").write_text(toc)
    for name in ("index.md", "one.ipynb", "two.ipynb"):
        (tmp_path / "book" / name).write_text("")
    assert list(rules.contents_are_complete(tmp_path)) == ["book/two.ipynb is not in _toc.yml"]


def test_strip_keeps_checked_outputs_alone() -> None:
    notebook = good()
    before = copy.deepcopy(notebook)
    cell(notebook, "draw").outputs = [new_output("stream", name="stdout", text="noise")]
    cell(notebook, "draw").execution_count = 4
    cell(notebook, "draw").metadata["execution"] = {"time": "now"}
    cell(notebook, "checked").execution_count = 9
    notebook.metadata["widgets"] = {"state": {}}
    strip(notebook)
    assert notebook == before

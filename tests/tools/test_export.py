"""Exported notebooks hold plain Markdown, and whatever has no plain form is an error."""

from __future__ import annotations

import copy
import re
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import export_notebooks
from tools.myst.index import Index, Target, build
from tools.myst.plain import plain
from tools.myst.prose import Place
from tools.project import chapters, repository_url

SITE, RAW = "https://s.io", "https://r.io"


@pytest.fixture
def place() -> Place:
    index = Index(SITE)
    index.documents["book/attention/maps"] = Target("Maps", f"{SITE}/book/attention/maps.html")
    index.labels["why"] = Target("Why", f"{SITE}/p.html#why")
    index.equations["eq-a"] = Target("(3)", f"{SITE}/p.html#equation-eq-a")
    index.figures["fig-a"] = Target("Figure 2", f"{SITE}/p.html#fig-a")
    index.exercises["ex-a"] = Target("Cold softmax", f"{SITE}/p.html#ex-a")
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
        ("{term}`tokens <token>`", "[tokens](https://s.io/book/appendix/glossary.html#term-token)"),
        ("{math}`x_i`", "$x_i$"),
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
            "![A tree.](https://r.io/book/figures/t.svg)\n\n*Figure 2. Say.*",
        ),
        ("```{math}\n:label: eq-a\nx = 1\n```", "$$\nx = 1 \\tag{3}\n$$"),
        ("$$x = 1$$ (eq-a)", "$$x = 1 \\tag{3}$$"),
        ("````{solution-start} ex-a\n````\nSo.", "**Solution of *Cold softmax***\n\nSo."),
        (
            "```{exercise} Cold softmax\n:label: ex-a\n\nDo.\n```",
            "**Exercise: Cold softmax**\n\nDo.",
        ),
        ("````{solution-start} ex-a\n:class: dropdown\n````", "**Solution of *Cold softmax***"),
        ("````{solution-end}\n````", "*End of the solution.*"),
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
    ],
)
def test_what_has_no_plain_form_is_named(place: Place, myst: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        plain(myst, place)


def test_figures_keep_their_captions_and_code_stays(place: Place) -> None:
    figure = {"figure": {"caption": "See {term}`token`.", "name": "fig-a"}}
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("plt.plot()", id="draw", metadata={"mystnb": figure}),
    ]
    install = export_notebooks.install_cell("https://repo")
    done = export_notebooks.export(new_notebook(cells=cells), place, [install])
    assert [cell.id for cell in done.cells] == ["install", "title", "draw", "draw-caption"]
    assert done.cells[2].source == "plt.plot()"
    assert done.cells[3].source.startswith("*Figure 2. See [token](")
    assert '"minillm[plot,widgets,data,weights,views] @ git+https://repo"' in done.cells[0].source


def test_error_names_the_cell(place: Place) -> None:
    notebook = new_notebook(cells=[new_markdown_cell("{ref}`none`", id="bad-cell")])
    with pytest.raises(ValueError, match=r"book/attention/first: cell 'bad-cell'.*'none'"):
        export_notebooks.export(notebook, place, [])


@pytest.fixture(scope="module")
def index() -> Index:
    return build()


def code_of(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_chapter_can_be_exported(path: Any, index: Index) -> None:
    original = nbformat.read(path, as_version=4)
    exported = export_notebooks.export_chapter(path, index)
    nbformat.validate(copy.deepcopy(exported))
    install, *rest = code_of(exported)
    assert rest == code_of(original)
    assert f"git+{repository_url()}" in install
    for cell in exported.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
            assert not re.search(r":::|^\([\w-]+\)=|\]\((?!https?:|#)", text, re.MULTILINE)
            assert not re.search(r"\{[\w:-]+\}`", cell.source)

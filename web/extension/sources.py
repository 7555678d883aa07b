"""*The sources, checked*: its tables are made from the data file while the book is built."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.project import ROOT

from .cells import label
from .tables import chapter_pages, row, table

DATA = ROOT / "book" / "appendix" / "sources.yml"
PAGE = "book/appendix/sources-checked"
ARTICLES = "ABCDE"
VERDICTS = {
    "true": "true",
    "care": "true with care",
    "wrong": "wrong",
    "does-not-run": "does not run",
    "outdated": "outdated",
    "uncheckable": "cannot be checked",
}
SAID = VERDICTS | {"true": "are true", "does-not-run": "do not run", "outdated": "are outdated"}
SPECIAL = re.compile(r"([\\*_<>\[\]#$|~^])")
CODE = re.compile(r"((?:\{[\w:]+\})?`[^`]+`)")


@dataclass(frozen=True)
class Entry:
    """One claim and what became of it.

    Attributes:
        where: the article's letter and section, such as ``C3.2``.
        claim: what the article says, in our words.
        verdict: a key of `VERDICTS`.
        chapter: the chapter whose cell shows it, or None.
        cell: the id of that cell, or None.
        note: what is to be said about it.
        also: further cells, each as ``chapter/cell``.
        cite: keys of works that show it.
        test: a test of the repository that shows it, or None.
    """

    where: str
    claim: str
    verdict: str
    chapter: str | None
    cell: str | None
    note: str
    also: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()
    test: str | None = None

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Every cell that shows the verdict, as chapter and id."""
        first = [(self.chapter, self.cell)] if self.chapter and self.cell else []
        further = (name.split("/") for name in self.also)
        return [*first, *((chapter, cell) for chapter, cell in further)]

    @property
    def place(self) -> list[int | str]:
        """A key that sorts claims as they stand in their article."""
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", self.where)]


def read(path: Path = DATA) -> list[Entry]:
    """The entries of the data file, in the order of the articles."""
    raw: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for item in raw:
        item |= {key: tuple(item[key]) for key in ("also", "cite") if key in item}
    entries = [Entry(**item) for item in raw]
    return sorted(entries, key=lambda entry: entry.place)


def _several(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def sentence(entries: list[Entry]) -> str:
    """The counts by verdict in one sentence, as MyST."""
    counts = Counter(entry.verdict for entry in entries)
    named = [f"{counts[key]} {words}" for key, words in SAID.items() if counts[key]]
    return (
        "Five introductory articles on large language models were read claim by claim: of "
        f"{len(entries)} claims {_several(named)}. {{doc}}`The sources, checked </{PAGE}>` "
        "gives each with the cell or the work that shows it."
    )


def escaped(text: str) -> str:
    r"""Plain text as MyST that means it; code and roles stay.

    >>> escaped("a_ij * `x_j` {cite:p}`he2016deep`")
    'a\\_ij \\* `x_j` {cite:p}`he2016deep`'
    """
    parts = CODE.split(text)
    return "".join(part if i % 2 else SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


class _FromData(SphinxDirective):
    def entries(self) -> list[Entry]:
        self.env.note_dependency(str(DATA))
        return read()

    def inline(self, text: str) -> list[nodes.Node]:
        return self.parse_inline(text)[0]


class Sentence(_FromData):
    """``{sources-sentence}``: the counts in one sentence."""

    def run(self) -> list[nodes.Node]:
        """One paragraph."""
        return [nodes.paragraph("", "", *self.inline(sentence(self.entries())))]


class Counts(_FromData):
    """``{sources-counts}``: how many claims of each article got which verdict."""

    def run(self) -> list[nodes.Node]:
        """One table."""
        entries = self.entries()
        counts = Counter((e.where[0], e.verdict) for e in entries)
        rows = [self.line(a, [counts[a, v] for v in VERDICTS]) for a in ARTICLES]
        sums = [sum(counts[a, v] for a in ARTICLES) for v in VERDICTS]
        heads = ["article", *VERDICTS.values(), "claims"]
        return [table(heads, [*rows, self.line("all", sums)], ["sources-counts"])]

    def line(self, name: str, counts: list[int]) -> nodes.row:
        """The row of one article, and of all."""
        numbers = [[nodes.Text(str(count))] for count in (*counts, sum(counts))]
        return row([nodes.Text(name)], *numbers)


class Claims(_FromData):
    """``{sources-claims} C``: the claims of one article with their verdicts."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """One table."""
        own = [entry for entry in self.entries() if entry.where[0] == self.arguments[0]]
        heads = ["section", "claim, in our words", "verdict", "why, and what shows it"]
        return [table(heads, [self.line(entry) for entry in own], ["sources-claims"])]

    def line(self, entry: Entry) -> nodes.row:
        """The row of one claim."""
        badge = nodes.inline("", VERDICTS[entry.verdict], classes=["verdict"])
        note = entry.note
        if entry.cite:
            note += f" {{cite:p}}`{','.join(entry.cite)}`"
        return row(
            [nodes.Text(entry.where[1:])],
            self.inline(escaped(entry.claim)),
            [badge],
            [*self.inline(escaped(note)), *self.evidence(entry)],
            classes=(f"verdict-{entry.verdict}",),
        )

    def evidence(self, entry: Entry) -> list[nodes.Node]:
        """Links to cells, to the chapter where there is no cell, and the name of a test."""
        links = [self.link(chapter, cell) for chapter, cell in entry.cells]
        if entry.chapter and not links:
            links = [self.link(entry.chapter, None)]
        if entry.test:
            links.append(f"test `{entry.test}`")
        text = " " + escaped(" · ".join(links))
        return [nodes.inline("", "", *self.inline(text), classes=["shown-by"])] if links else []

    def link(self, chapter: str, cell: str | None) -> str:
        """A link as MyST, or its words where the page is not in this build."""
        document, number = chapter_pages()[chapter]
        words = f"chapter {number}, {cell}" if cell else f"chapter {number}"
        if document not in self.env.found_docs:
            return words
        return (
            f"{{ref}}`{words} <{label(chapter, cell)}>`"
            if cell
            else f"{{doc}}`{words} </{document}>`"
        )


def add_script(
    app: Sphinx,
    _page: str,
    _template: str,
    _context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """The page with the claims gets the script that filters them; no other does."""
    if doctree and any(
        "sources-claims" in node["classes"] for node in doctree.findall(nodes.table)
    ):
        app.add_js_file("sources.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Add the directives and the script."""
    app.add_directive("sources-sentence", Sentence)
    app.add_directive("sources-counts", Counts)
    app.add_directive("sources-claims", Claims)
    app.connect("html-page-context", add_script)

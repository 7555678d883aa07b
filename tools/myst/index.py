"""What the labels, terms, pages and citations of the book stand for, for use outside of Sphinx."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from pybtex.database import parse_file
from pybtex.richtext import Text
from sphinx.util.nodes import _make_id

from tools.myst.blocks import Directive, split
from tools.project import ROOT, pages, site_url

LABEL = re.compile(r"^\(([\w-]+)\)=\n+#+ +(.+)$", re.MULTILINE)
MATH = re.compile(r"\{math\}[^\n]*\n:label: *([\w-]+)|\$\$ *\(([\w-]+)\)")
FIGURE = re.compile(r"\{figure\}[^\n]*\n(?::[^\n]*\n)*?:name: *([\w-]+)")
WEB = {"url": "", "doi": "https://doi.org/", "eprint": "https://arxiv.org/abs/"}
EXERCISE = re.compile(r"\{exercise(?:-start)?\} *([^\n]*)\n(?::[^\n]*\n)*?:label: *([\w-]+)")


@dataclass(frozen=True)
class Target:
    """Something that text refers to: how it is called and where it is published."""

    text: str
    url: str


@dataclass(frozen=True)
class Exercise(Target):
    """An exercise; its text is its number, as in *Exercise 3*."""

    title: str = ""


@dataclass
class Index:
    """Everything that text can refer to, by label."""

    site: str
    documents: dict[str, Target] = field(default_factory=dict)
    labels: dict[str, Target] = field(default_factory=dict)
    equations: dict[str, Target] = field(default_factory=dict)
    figures: dict[str, Target] = field(default_factory=dict)
    exercises: dict[str, Exercise] = field(default_factory=dict)
    citations: dict[str, Target] = field(default_factory=dict)
    terms: dict[str, Target] = field(default_factory=dict)

    def term(self, name: str) -> str:
        """Where the glossary explains a term, which like Sphinx it finds in small letters too.

        Raises:
            ValueError: the glossary does not have it.
        """
        name = re.sub(r"\s+", " ", name.strip())
        small = {term.lower(): target for term, target in reversed(self.terms.items())}
        found = self.terms.get(name) or small.get(name.lower())
        if found is None:
            raise ValueError(f"term {name!r} is not in the glossary")
        return found.url


def _cells(path: Path) -> list[Any]:
    if path.suffix == ".ipynb":
        return list(nbformat.read(path, as_version=4).cells)
    return [nbformat.v4.new_markdown_cell(path.read_text(encoding="utf-8"))]


def _add_text(index: Index, text: str, url: str) -> None:
    for name, title in LABEL.findall(text):
        index.labels[name] = Target(title, f"{url}#{name}")
    for match in MATH.finditer(text):
        name = match[1] or match[2]
        index.equations[name] = Target(f"({len(index.equations) + 1})", f"{url}#equation-{name}")
    for name in FIGURE.findall(text):
        _add_figure(index, name, url)
    for title, name in EXERCISE.findall(text):
        number = f"Exercise {len(index.exercises) + 1}"
        index.exercises[name] = Exercise(number, f"{url}#{name}", title.strip())
    for part in split(text):
        if isinstance(part, Directive) and part.name == "glossary":
            _add_terms(index, part.body, url)


def _add_terms(index: Index, body: str, url: str) -> None:
    # A term is a line that is not indented; its anchor is what Sphinx makes of it.
    for line in body.splitlines():
        if line and not line[0].isspace():
            term = line.strip()
            index.terms[term] = Target(term, f"{url}#{_make_id(f'term-{term}')}")


def _add_figure(index: Index, name: str, url: str) -> None:
    index.figures[name] = Target(f"Figure {len(index.figures) + 1}", f"{url}#{name}")


def _add_page(index: Index, path: Path, root: Path) -> None:
    relative = path.relative_to(root).with_suffix("")
    url = f"{index.site}/{relative.as_posix()}.html"
    cells = _cells(path)
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    title = re.search(r"^# +(.+)$", text, re.MULTILINE)
    index.documents[relative.as_posix()] = Target(title[1] if title else relative.name, url)
    for cell in cells:
        if cell.cell_type == "markdown":
            _add_text(index, cell.source, url)
            continue
        index.labels[f"{path.stem}:{cell.id}"] = Target(cell.id, f"{url}#cell-{cell.id}")
        if name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
            _add_figure(index, name, url)


def _authors(entry: Any) -> str:
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join([*person.prelast_names, *person.last_names]) for person in people]
    names = [str(Text.from_latex(name)) for name in names]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names) or str(
        Text.from_latex(entry.fields.get("organization", entry.fields.get("title", "")))
    )


def _citation(entry: Any, fallback: str) -> Target:
    fields = entry.fields
    url = next((base + fields[name] for name, base in WEB.items() if name in fields), fallback)
    return Target(f"{_authors(entry)}, {fields.get('year', 'undated')}", url)


def build(root: Path = ROOT) -> Index:
    """Read every page and the bibliography."""
    index = Index(site_url(root))
    for page in pages(root):
        _add_page(index, page, root)
    fallback = f"{index.site}/book/appendix/bibliography.html"
    entries = parse_file(str(root / "book" / "references.bib"), "bibtex").entries
    index.citations = {key: _citation(entry, fallback) for key, entry in entries.items()}
    return index

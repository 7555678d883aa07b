"""What exported notebooks say of the published pages is there on the built ones."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools import export_notebooks
from tools.myst.index import Index, build
from tools.project import ROOT, chapters, site_url

ID = re.compile(r'\bid="([^"]+)"')
NUMBER = re.compile(r'<span class="caption-number">(Fig\.|Exercise) (\d+) ?</span>')
EQUATION = re.compile(r'<span class="eqno">\((\d+)\)')


@pytest.fixture(scope="module")
def index() -> Index:
    return build()


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def missing(links: set[str], html: Path) -> list[str]:
    """Links into the book that lead to no page, or to no place on it."""
    lost = []
    for link in sorted(links):
        path, _, anchor = link.removeprefix(site_url()).lstrip("/").partition("#")
        page = html / (path or "index.html")
        if not page.is_file() or (anchor and anchor not in ID.findall(text_of(page))):
            lost.append(link)
    return lost


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_every_link_into_the_book_leads_somewhere(path: Path, index: Index, html: Path) -> None:
    notebook, _ = export_notebooks.export_chapter(path, export_notebooks.Source(index, "main"))
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = set(re.findall(rf"\(({re.escape(site_url())}[^)\s]*)\)", text))
    assert len(links) > 5
    assert missing(links, html) == []


def test_every_drawing_is_in_the_repository(index: Index) -> None:
    raw = re.compile(r"!\[[^\]]+\]\([^)]*/raw/main/([^)]+)\)")  # with a text, always
    found = set()
    for path in chapters():
        notebook, _ = export_notebooks.export_chapter(path, export_notebooks.Source(index, "main"))
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                found |= set(raw.findall(cell.source))
                assert cell.source.count("![") == len(raw.findall(cell.source)), cell.id
    assert len(found) > 10
    assert [name for name in found if not (ROOT / name).is_file()] == []


def test_every_term_has_its_place(index: Index, html: Path) -> None:
    assert len(index.terms) > 150
    assert missing({target.url for target in index.terms.values()}, html) == []


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_numbers_are_those_of_the_page(path: Path, index: Index, html: Path) -> None:
    page = path.relative_to(ROOT).with_suffix(".html")
    url = f"{site_url()}/{page.as_posix()}#"

    def numbers(table: dict[str, Any]) -> list[str]:
        here = (target for target in table.values() if target.url.startswith(url))
        return re.findall(r"\d+", " ".join(target.text for target in here))

    shown = NUMBER.findall(text_of(html / page))
    assert numbers(index.figures) == [number for kind, number in shown if kind == "Fig."]
    assert numbers(index.exercises) == [number for kind, number in shown if kind == "Exercise"]
    assert numbers(index.equations) == EQUATION.findall(text_of(html / page))

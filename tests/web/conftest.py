"""A browser that reaches the built book and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import browser
from tools.project import HTML, ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def html() -> Path:
    """The built book: `make book` has to come first."""
    folder = Path(os.environ.get("BOOK_HTML", HTML))
    assert (folder / "index.html").exists(), f"{folder} holds no built book: run `make book`"
    return folder


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    with browser.serve(html) as url:
        yield url


@pytest.fixture(scope="session")
def axe() -> str:
    return AXE.read_text(encoding="utf-8")

"""Formulas are rendered while the book is built, and a wrong one is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools import build_book
from web.extension.formulas import Renderer


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    build_book.use_node()
    running = Renderer()
    yield running
    running.close()


def test_formula_becomes_html_and_mathml(renderer: Renderer) -> None:
    inline = renderer.render(r"\mathbf{z} \in \mathbb{R}^V", display=False)["html"]
    assert 'class="katex"' in inline
    assert "<math" in inline
    assert "katex-display" in renderer.render("x", display=True)["html"]


def test_wrong_formula_is_explained_and_does_not_stop_the_next(renderer: Renderer) -> None:
    assert "undefined" in renderer.render(r"\nosuch{x}", display=False)["error"].lower()
    assert "html" in renderer.render("é = mc^2", display=False)

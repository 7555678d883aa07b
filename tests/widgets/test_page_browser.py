"""A page of its own, far larger than a part of the book: a browser opens it from a file."""

import numpy as np

from minillm.widgets import AttentionExplorer, standalone_page
from minillm.widgets.base import MAX_STATE
from minillm.widgets.page import MAX_PAGE

LAYERS, HEADS, COUNT = 30, 9, 90


def test_a_large_page_from_a_file(chromium, tmp_path):
    powers = np.exp(np.random.default_rng(0).normal(size=(LAYERS, HEADS, COUNT, COUNT)) * 3)
    powers = np.tril(powers)
    maps = powers / powers.sum(-1, keepdims=True)
    tokens = [*(f" t{i}" for i in range(COUNT - 1)), "-" * 100]  # vocabularies have such tokens
    view = AttentionExplorer({"a long text": (tokens, maps)}, head=(20, 3), limit=MAX_PAGE)
    html = standalone_page(view, title="Attention of a <model>")
    assert len(html) > 8 * MAX_STATE
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    page, problems = chromium.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: problems.append(r.url) if r.url.startswith("http") else None)
    page.goto(path.as_uri())
    page.wait_for_selector("[role=grid] button")
    assert page.title() == "Attention of a <model>"
    assert page.locator("[role=grid] button").count() == LAYERS * HEADS
    best = maps[20, 3, -1].argmax()
    assert f"t{best}" in page.inner_text("#view")
    weight = 100 * maps[20, 3, -1, best]
    assert f"{weight:.0f}" in page.inner_text("#view")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    page.locator("[role=grid] button").first.click()
    assert "0.0" in page.inner_text("#view")
    page.close()
    assert problems == []

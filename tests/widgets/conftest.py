"""Shared by the tests of explorables: a page in a browser that must not complain."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open HTML as a file and wait for its explorables; every fault of a page fails the test."""
    faults: list[str] = []
    pages: list[Page] = []

    def visit(html: str, *, mounted: int = 1, width: int = 1000, javascript: bool = True) -> Page:
        file = tmp_path / f"{len(pages)}.html"
        file.write_text(html, encoding="utf-8")
        page = chromium.new_page(
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        pages.append(page)
        page.set_default_timeout(10_000)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: faults.append(r.url) if r.url.startswith("http") else None)
        page.goto(file.as_uri())
        if javascript:
            page.wait_for_function(
                "n => document.querySelectorAll('[data-mounted]').length === n", arg=mounted
            )
        return page

    yield visit
    for page in pages:
        page.close()
    assert faults == []

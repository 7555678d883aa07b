"""The playground on the built pages: it loads late, writes as `minillm` does, and says faults."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

import minillm
from tests.web.visit import visit, watch
from tools import browser

PAGE = "book/playground.html"
FIRST = "book/index.html"
SECONDS = 60_000


def story(text: str) -> str:
    """The text and what the model writes after it, always the likeliest token."""
    loaded = minillm.load("story-gpt-nano")
    start = loaded.tokenizer.special["<|endoftext|>"]
    ids = torch.tensor([[start, *loaded.tokenizer.encode(text)]])
    out = minillm.generate(loaded.model, ids, max_new_tokens=200, stop=[start])[0].tolist()[1:]
    return loaded.tokenizer.decode(out[: out.index(start)] if start in out else out)


def ready(page: Page) -> None:
    page.wait_for_selector(".pg[data-ready]", timeout=SECONDS)


def test_it_writes_the_text_of_minillm_by_keyboard_alone(chromium: Browser, address: str) -> None:
    with visit(chromium, address, PAGE) as seen:
        page = seen.page
        ready(page)
        area = page.get_by_label("Your text")
        area.fill("Yewande asked Imran for")
        page.get_by_label("Temperature").press("Home")
        page.get_by_label("Pace").select_option("as fast as it can")
        page.get_by_role("button", name="Write on").press("Enter")
        expect(area).to_have_value(story("Yewande asked Imran for"), timeout=SECONDS)
        page.get_by_role("button", name="Write on").wait_for(timeout=SECONDS)
        assert not seen.faults


def test_the_first_page_loads_the_model_when_it_is_used(chromium: Browser, address: str) -> None:
    asked: list[str] = []
    with visit(chromium, address, FIRST) as seen:
        page = seen.page
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(500)
        assert not any("models" in url for url in asked)
        before = page.locator(".pg-next").inner_text()
        page.get_by_label("Your text").press_sequentially(" was")
        ready(page)
        assert sum("_static/models/" in url for url in asked) == 1
        expect(page.locator(".pg-next")).not_to_have_text(before)
        assert not seen.faults


def test_both_pages_share_one_file_within_the_budget(html: Path) -> None:
    files = sorted((html / "_static" / "models").iterdir())
    assert [file.suffix for file in files] == [".bin", ".js"]  # a reader loads one of them
    state = html / PAGE.replace(".html", ".widgets.js")
    assert max(file.stat().st_size for file in files) + state.stat().st_size < 2_500_000


def test_it_runs_from_a_disk(chromium: Browser, html: Path) -> None:
    page, faults = chromium.new_page(), list[str]()
    watch(page, html.as_uri(), faults)
    page.goto((html / PAGE).as_uri())
    ready(page)
    expect(page.locator(".pg-next tbody th button").first).to_have_text("·wanted")
    page.close()
    assert not [fault for fault in faults if "models" in fault or "page error" in fault]


@pytest.fixture
def copy(html: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A copy of the book in a folder of a folder: itself, and the address of the page."""
    folder = tmp_path / "some" / "where"
    shutil.copytree(html / "book", folder / "book", ignore=shutil.ignore_patterns("*.ipynb"))
    shutil.copytree(html / "_static", folder / "_static")
    with browser.serve(tmp_path) as address:
        yield folder, address + "some/where/" + PAGE


def test_it_works_from_any_folder(chromium: Browser, copy: tuple[Path, str]) -> None:
    page = chromium.new_page()
    page.goto(copy[1])
    ready(page)
    page.close()


@pytest.mark.parametrize("fault", ["cut", "other", "gone"])
@pytest.mark.parametrize("kind", ["bin", "js"])
def test_a_faulty_file_is_told_and_can_be_repaired(
    chromium: Browser, copy: tuple[Path, str], fault: str, kind: str
) -> None:
    folder, address = copy
    (model,) = (folder / "_static" / "models").glob(f"*.{kind}")
    url = address if kind == "bin" else (folder / PAGE).as_uri()
    whole = model.read_bytes()
    half = whole[: len(whole) // 2]
    if fault == "gone":
        model.unlink()
    elif fault == "cut":
        model.write_bytes(half)
    else:
        model.write_bytes(half + b'");\n' if kind == "js" else whole[::-1])
    page = chromium.new_page()
    page.goto(url)
    words = "could not be loaded" if fault == "gone" else "damaged or incomplete"
    expect(page.get_by_role("alert")).to_contain_text(words, timeout=SECONDS)
    assert page.get_by_label("Your text").is_editable()
    model.write_bytes(whole)
    page.reload()
    ready(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()

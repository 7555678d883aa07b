"""The runtime that shows interactive parts without a kernel."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tools import browser
from tools.project import ROOT

STATIC = ROOT / "web" / "static"
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
COUNTER = """
export default { render({ model, el }) {
  const button = document.createElement("button");
  const show = () => { button.textContent = `${model.get("value")}`; };
  model.on("change:value", show);
  button.addEventListener("click", () => {
    model.set("value", model.get("value") + 1);
    model.save_changes();
  });
  show();
  el.append(button);
} };
"""
BYTES = """
export default () => ({ render({ model, el }) {
  const raw = model.get("nested").raw;
  el.textContent = [...new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)].join(" ");
} });
"""
OFF = """
export default { render({ model, el }) {
  let calls = 0;
  const count = () => { calls += 1; };
  model.on("change:value change", count);
  model.set({ value: 5 });
  model.set("value", 5);
  model.off("change:value", count);
  model.set("value", 6);
  model.off("change");
  model.set("value", 7);
  el.textContent = `${calls} ${model.get("value")}`;
} };
"""
BROKEN = 'export default { render() { throw new Error("boom"); } };'


def document(models: dict[str, Any]) -> str:
    views = "".join(
        f'<div class="output"><script type="{VIEW}">{json.dumps({"model_id": name})}</script>'
        f'<div class="widget-fallback"><p>Picture of {name}.</p></div></div>'
        for name in models
    )
    state = json.dumps({"state": models}).replace("</", "<\\/")
    return (
        '<!doctype html><html lang="en"><link rel="stylesheet" href="book.css">'
        f'<script defer src="anywidget-static.js"></script>{views}'
        f'<script type="{STATE}">{state}</script>'
    )


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Page]]:
    for name in ("anywidget-static.js", "book.css"):
        (tmp_path / name).write_text((STATIC / name).read_text())
    page = chromium.new_page()
    with browser.serve(tmp_path) as address:

        def opened(models: dict[str, Any]) -> Page:
            (tmp_path / "page.html").write_text(document(models))
            page.goto(address + "page.html")
            page.wait_for_timeout(200)
            return page

        yield opened
    page.close()


def test_traits_change_without_a_kernel(show: Callable[[dict[str, Any]], Page]) -> None:
    page = show({"a": {"state": {"_esm": COUNTER, "_css": "button { color: red }", "value": 3}}})
    button = page.get_by_role("button")
    assert button.inner_text() == "3"
    button.click()
    assert button.inner_text() == "4"
    assert not page.locator(".widget-fallback").is_visible()
    assert button.evaluate("e => getComputedStyle(e).color") == "rgb(255, 0, 0)"


@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_binary_traits_arrive(show: Callable[[dict[str, Any]], Page], encoding: str) -> None:
    raw = bytes([1, 2, 250])
    data = base64.b64encode(raw).decode() if encoding == "base64" else raw.hex()
    buffers = [{"path": ["nested", "raw"], "encoding": encoding, "data": data}]
    page = show({"a": {"state": {"_esm": BYTES, "nested": {}}, "buffers": buffers}})
    assert page.locator(".anywidget-static").inner_text() == "1 2 250"


def test_listeners_come_and_go(show: Callable[[dict[str, Any]], Page]) -> None:
    page = show({"a": {"state": {"_esm": OFF, "value": 0}}})
    assert page.locator(".anywidget-static").inner_text() == "3 7"


def test_failing_part_shows_its_fallback_and_harms_no_other(
    show: Callable[[dict[str, Any]], Page],
) -> None:
    page = show(
        {
            "bad": {"state": {"_esm": BROKEN}},
            "syntax": {"state": {"_esm": "export default {"}},
            "core": {"state": {"value": 1}},
            "good": {"state": {"_esm": COUNTER, "value": 1}},
        }
    )
    assert page.get_by_role("button").inner_text() == "1"
    for name in ("bad", "syntax", "core"):
        assert page.get_by_text(f"Picture of {name}.").is_visible()
    assert not page.get_by_text("Picture of good.").is_visible()
    assert page.locator(".anywidget-static").count() == 1

"""Visit a page as a reader does, and note what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from playwright.sync_api import Browser, BrowserContext, Page


@dataclass
class Visit:
    """An open page and the faults seen while it loaded."""

    page: Page
    faults: list[str] = field(default_factory=list)


@cache
def reader(chromium: Browser, theme: str, width: int, javascript: bool) -> BrowserContext:
    """A reader with a theme and a screen, who comes back for other pages."""
    return chromium.new_context(
        color_scheme=theme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
        java_script_enabled=javascript,
    )


def watch(page: Page, address: str, faults: list[str]) -> None:
    """Note every request to another host (the browser cannot reach one) and every error."""

    def request(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            faults.append(f"request to another host: {url}")

    page.on("request", lambda r: request(r.url))
    page.on("console", lambda m: m.type == "error" and faults.append(f"console: {m.text}"))
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("response", lambda r: r.status >= 400 and faults.append(f"{r.status}: {r.url}"))


@contextmanager
def visit(
    chromium: Browser,
    address: str,
    name: str,
    *,
    theme: str = "light",
    width: int = 1280,
    javascript: bool = True,
) -> Iterator[Visit]:
    """Open a page of the book and note what goes wrong."""
    page = reader(chromium, theme, width, javascript).new_page()
    seen = Visit(page)
    watch(page, address, seen.faults)
    page.goto(address + name, wait_until="load")
    if javascript:
        settle(page)
    yield seen
    page.close()


WALK = """async () => {
  const style = document.createElement('style');  // what is laid out late is judged as well
  style.textContent = 'article section { content-visibility: visible !important; }';
  document.head.append(style);
  for (let y = 0; y < document.documentElement.scrollHeight; y += 1200) {
    scrollTo(0, y);
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  }
  scrollTo(0, 0);
}"""
MOUNTED = """() => !document.querySelector('meta[name="widget-state"]')
  || (document.querySelector('.anywidget-static')
      && [...document.querySelectorAll('.anywidget-static')].every(e => e.dataset.mounted))"""


def settle(page: Page) -> None:
    """Read the page to its end: what is loaded as it comes near is there, and every image."""
    page.evaluate(WALK)
    page.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    page.wait_for_function(MOUNTED)

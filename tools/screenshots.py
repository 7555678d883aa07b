"""Take a picture of every page in both themes, at desktop and phone width."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tools import browser
from tools.project import HTML

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
SKIP = ("genindex.html", "search.html", "index.html")
DRAW_ALL = "article section { content-visibility: visible !important; }"
LOAD_ALL = "document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })"


def page_files(html: Path, only: str | None = None) -> list[Path]:
    """The pages of a built book that a reader reads."""
    files = sorted(path.relative_to(html) for path in html.rglob("*.html"))
    files = [path for path in files if "_static" not in path.parts and str(path) not in SKIP]
    return [path for path in files if only in (None, path.stem)]


def shoot(chromium: Browser, address: str, page_file: Path, folder: Path) -> None:
    """Write the pictures of one page."""
    for theme in THEMES:
        for width in WIDTHS:
            context = chromium.new_context(
                color_scheme=theme,  # type: ignore[arg-type]
                viewport={"width": width, "height": 900},
            )
            page = context.new_page()
            page.goto(address + page_file.as_posix(), wait_until="load")
            page.add_style_tag(content=DRAW_ALL)  # else what is far below stays blank
            page.evaluate(LOAD_ALL)
            page.wait_for_function("[...document.images].every(i => i.complete)")
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"{page_file.stem}-{theme}-{width}.png", full_page=True)
            context.close()


def main() -> int:
    """Write one PNG per page, theme and width; fail where there is no page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--html", type=Path, default=HTML, help="the built book")
    parser.add_argument("--only", metavar="PAGE", help="this page alone")
    options = parser.parse_args()
    files = page_files(options.html, options.only)
    if not files:
        print(f"{options.html} holds no such page; build it first.", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    path = browser.require()
    with browser.serve(options.html) as address, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=browser.ARGUMENTS)
        for page_file in files:
            print(page_file, flush=True)
            shoot(chromium, address, page_file, options.folder)
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Take the picture of a page that the README shows.

Run ``python -m tools.page_picture`` after ``make book``. The page scrolls to an element, by default
the first figure of the chapter on attention; what a reader then sees in a window of 1280 × 860
becomes ``book/figures/page.png``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools import browser
from tools.project import HTML, ROOT
from tools.screenshots import LOAD_ALL

PAGE = "book/attention/attention-from-first-principles.html"
OUT = ROOT / "book" / "figures" / "page.png"
LARGEST = 250_000


def main() -> int:
    """Write the picture; complain if it is too large for a README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, default=HTML)
    parser.add_argument("--page", default=PAGE)
    parser.add_argument("--at", default="figure", help="CSS selector of what to scroll to")
    options = parser.parse_args()
    path = browser.require()
    with browser.serve(options.html) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1280, "height": 860})
        page.goto(address + options.page, wait_until="load")
        page.evaluate(LOAD_ALL)
        page.wait_for_function("[...document.images].every(i => i.complete)")
        page.locator(options.at).first.evaluate("e => e.scrollIntoView({block: 'center'})")
        page.wait_for_timeout(500)
        page.screenshot(path=OUT)
        chromium.close()
    size = OUT.stat().st_size
    print(f"{OUT.relative_to(ROOT)}: {size / 1000:.0f} kB")
    return int(size > LARGEST)


if __name__ == "__main__":
    sys.exit(main())

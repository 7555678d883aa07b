"""Libraries that pages load, copied from ``node_modules`` into the built book."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]
VENDOR = "_static/vendor/"
SOCIAL = "page.png"  # a picture of a page, for link previews
FILES = {  # path in node_modules -> path in the book's vendor folder
    "d3/dist/d3.min.js": "d3.min.js",
    "jquery/dist/jquery.min.js": "jquery.min.js",
    "katex/dist/katex.min.css": "katex/katex.min.css",
    "katex/dist/fonts": "katex/fonts",
}
CDN = "https://cdnjs.cloudflare.com/ajax/libs/"
BERTVIZ = {  # what bertviz loads -> our copy; longest first
    CDN + "require.js/2.3.6/require.min.js": "require-shim.js",
    CDN + "jquery/2.0.0/jquery.min": "vendor/jquery.min",
    CDN + "d3/5.7.0/d3.min": "vendor/d3.min",
}
LABELS = {  # parts of a bertviz view -> what a screen reader needs to know about them
    '<select id="layer">': 'aria-label="Layer"',
    '<select id="filter">': 'aria-label="Attention"',
    "<div id='vis'>": 'role="img" aria-label="Attention weights drawn as lines from each token to '
    'the tokens it looks at. Made by bertviz, for the mouse."',
}


def copy(app: Sphinx) -> None:
    """Copy the libraries, before Sphinx computes the checksums of the style sheets."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "book" / "figures" / SOCIAL, static / SOCIAL)
    for source, target in FILES.items():
        origin, goal = ROOT / "node_modules" / source, Path(app.outdir) / VENDOR / target
        if not origin.exists():
            raise ExtensionError(f"{origin} is missing: run `make book`, or `npm ci` in {ROOT}")
        goal.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(
                origin, goal, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.ttf", "*.woff")
            )
        else:
            shutil.copyfile(origin, goal)


def localise(body: str, link: Callable[[str], str]) -> str:
    """Point the scripts of a bertviz view at the book's own copies, and name its parts.

    Args:
        body: HTML of one page.
        link: Turns a path under ``_static`` into one relative to the page.
    """
    for url, name in BERTVIZ.items():
        body = body.replace(url, link(name))
    for part, label in LABELS.items():
        body = body.replace(part, f"{part[: part.index('>')]} {label}{part[part.index('>') :]}")
    return body

"""One style sheet a page: all sheets in one, without the rules and icons that no page uses.

Sphinx, the theme and its helpers bring a dozen sheets of 500 KB together, and the browser shows
nothing before it has read them. What is used is a tenth of that.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import subprocess
from pathlib import Path

from fontTools import subset
from sphinx.errors import ExtensionError

from .vendor import ROOT

SHEET = re.compile(r'\s*<link\b[^>]*\brel="stylesheet"[^>]*>')
IMPORT = re.compile(r'@import\s+(?:url\()?"([^"]+)"\)?;')
URL = re.compile(r"url\(([^)]+)\)")
TRUETYPE = re.compile(r',\s*url\([^)]*\.ttf\)\s*format\("truetype"\)')
ICON = re.compile(r'"\\([0-9a-f]{4})"|([\ue000-\uf8ff])')
PURGE = Path(__file__).with_name("purge.cjs")
ICONS = "vendor/fontawesome/webfonts"


def sheets(page: str) -> list[str]:
    """The paths of a page's style sheets under ``_static``, in their order.

    >>> sheets('<link rel="stylesheet" href="../_static/a.css?v=1" />')
    ['a.css']
    """
    tags = (match[0] for match in SHEET.finditer(page))
    found = (re.search(r'href="[^"]*_static/([^"?]+)', tag) for tag in tags)
    return [match[1] for match in found if match]


def read_sheet(static: Path, name: str) -> str:
    """A sheet with what it imports, its addresses relative to ``_static``."""
    folder = posixpath.dirname(name)

    def goal(url: str) -> str:
        return posixpath.normpath(posixpath.join(folder, url))

    def address(match: re.Match[str]) -> str:
        url = match[1].strip("\"'")
        outside = url.startswith(("data:", "#", "http:", "https:"))
        return match[0] if outside else f"url({goal(url)})"

    text = (static / name).read_text(encoding="utf-8").replace('@charset "UTF-8";', "")
    imported = "".join(read_sheet(static, goal(m[1])) for m in IMPORT.finditer(text))
    return imported + URL.sub(address, IMPORT.sub("", text)) + "\n"


def purge(css: str, folder: Path) -> str:
    """The rules that a page or script of the folder can use, minified."""
    request = json.dumps({"css": css, "folder": str(folder)})
    done = subprocess.run(
        ["node", str(PURGE), str(ROOT / "node_modules")],
        input=request,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise ExtensionError(f"the style sheets could not be put together: {done.stderr.strip()}")
    return done.stdout


def icons(css: str) -> set[int]:
    r"""The code points of the icons that a style sheet draws.

    >>> sorted(icons('a:before{content:"\\f002"}'))
    [61442]
    """
    return {int(m[1], 16) if m[1] else ord(m[2]) for m in ICON.finditer(css)}


def subset_icons(static: Path, used: set[int]) -> None:
    """Cut the icon fonts down to the glyphs that are used, and drop the other formats."""
    folder = static / ICONS
    options = subset.Options(flavor="woff", notdef_outline=True)
    for path in sorted(folder.glob("*.ttf")):
        font = subset.load_font(path, options)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=used)
        cutter.subset(font)
        subset.save_font(font, path.with_suffix(".woff"), options)
        path.unlink()
        path.with_suffix(".woff2").unlink()


def bundle(out: Path, pages: list[Path]) -> str:
    """Write the one sheet; return its name under ``_static``, with a mark of its content."""
    static = out / "_static"
    names = dict.fromkeys(n for page in pages for n in sheets(page.read_text(encoding="utf-8")))
    css = "".join(read_sheet(static, name) for name in names)
    css = css.replace("summary>p.", "summary>span.")  # as `finish` writes it
    css = purge(TRUETYPE.sub("", css), out)
    subset_icons(static, icons(css))
    css = re.sub(r'(fa-\w+-\d+)\.woff2\) ?format\("woff2"\)', r'\1.woff)format("woff")', css)
    (static / "all.css").write_text(css, encoding="utf-8")
    for name in names:
        (static / name).unlink()
    return f"all.css?v={hashlib.sha256(css.encode()).hexdigest()[:8]}"


def use(page: str, sheet: str, root: str) -> str:
    """The page with the one sheet instead of its own."""
    page = SHEET.sub("", page)
    tag = f'<link rel="stylesheet" href="{root}_static/{sheet}" />'
    return page.replace("<title>", f"{tag}\n    <title>", 1)

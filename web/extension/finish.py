"""Last pass over the built HTML: lighter scripts, sized images, figures for both themes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from . import feed, styles
from .figures import make_twins, svg_size
from .widget_state import move_out

IMAGE = re.compile(r"<img\b[^>]*>")
SCRIPT = re.compile(r'<script [^>]*\bsrc="[^"]*(?:_static/|searchindex\.js)[^"]*"[^>]*>')
THEME = """(() => {
    const root = document.documentElement.dataset;
    const stored = () => { try { return localStorage.getItem("mode"); } catch { return null; } };
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.mode = stored() || "auto";
    root.theme = root.mode === "auto" ? (dark ? "dark" : "light") : root.mode;
  })()"""
SUMMARY = r'<span class="\1 admonition-title">\2</span>'
REPAIRS = (  # of the theme's pages: pattern, replacement
    # The icon font is loaded anyway; the script draws the same icons again and weighs half a page.
    (r"\s*<(?:script|link)\b[^>]*scripts/fontawesome\.js[^>]*>(?:</script>)?", ""),
    # What is loaded anyway needs no announcement, which would come before the style sheet.
    (r'\s*<link rel="preload" as="script"[^>]*>', ""),
    # Thebe is not used.
    (r"\s*<link [^>]*sphinx-thebe\.css[^>]*>", ""),
    (r'(?s)\s*<script type="text/x-thebe-config">.*?</script>', ""),
    # One line is there twice.
    (r"(\s*<script>var togglebuttonSelector = [^<]*</script>)(?=(?s:.*)\1)", ""),
    # The theme is known before anything is drawn.
    (r'(?s)<script data-cfasync="false">.*?</script>', f"<script>{THEME}</script>"),
    (r'(<html\b[^>]*)data-theme="auto"', r'\1data-theme="light"'),
    # Invalid or doubled HTML.
    (r'<meta name="viewport"[^>]*>\s*(?=(?s:.*)<meta name="viewport")', ""),
    (r'<p class="(collapsed|expanded) admonition-title">(.*?)</p>', SUMMARY),
    (r' id="(?:exercise|solution)-content"', ""),
    (r'(<div id="jb-print-docs-body"[^>]*>\s*)<h1>(.*?)</h1>', r'\1<p class="title">\2</p>'),
    (r"<h2> Contents </h2>", r"<p>Contents</p>"),
    (r'(<a\b(?![^>]*\brel=)[^>]*target="_blank")', r'\1 rel="noopener"'),
    # Each formula is there for the eye and as MathML; its source is a third time.
    (r'(?s)<annotation encoding="application/x-tex">.*?</annotation>', ""),
    # The exported notebooks, which install the package, are on a branch of their own.
    (r'(="https://colab\.research\.google\.com/github/[^"]+?/blob)/[^/"]+/', r"\1/notebooks/"),
    # A label that hides the visible text from voice control.
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # The bibliography is a list, so its entries are list items.
    (r'role="doc-biblioentry"', 'role="listitem"'),
)
PASS = re.compile(
    r'function (\w+)\(\)\{const e=\(\)=>\{document\.querySelectorAll\(\["pre".*?e\(\)\}function '
)
OWN = ("anywidget-static.js", "book.js")  # scripts that each page loads
UNUSED = ("*webpack-macros.html", "**/*.map", "**/fontawesome.js*", "locales", "sphinx-thebe.*")
FRONT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={target}">
<title>Inside Large Language Models</title>
</head>
<body><p><a href="{target}">Inside Large Language Models</a></p></body>
</html>
"""
MISSING = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page · Inside Large Language Models</title>
<link rel="icon" href="data:image/svg+xml,{icon}">
<style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText; }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; margin: 15vh auto; max-width: 34rem;
  padding: 0 1rem; }}
</style>
</head>
<body>
<h1>No such page</h1>
<p>The book has no page at this address; it may have been renamed.
<a href="{base}book/index.html">The contents</a> list all chapters, and
<a href="{base}search.html">the search</a> finds words in them.</p>
</body>
</html>
"""
SEARCH = "searchtools|language_data|searchindex"
KEEP_BLOCKING = ("documentation_options", "require-shim", " defer", " async", 'type="module"')


def attribute(tag: str, name: str) -> str:
    """The value of an attribute in a tag, or the empty string."""
    match = re.search(rf'\b{name}="([^"]*)"', tag)
    return match[1] if match else ""


def with_class(tag: str, name: str) -> str:
    """The tag with one class more."""
    if ' class="' in tag:
        return tag.replace(' class="', f' class="{name} ', 1)
    return tag.replace("<img", f'<img class="{name}"', 1)


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture in pixels, or None where it does not say."""
    if not path.is_file():
        return None
    if path.suffix == ".svg":
        return svg_size(path.read_text(encoding="utf-8"))
    with Image.open(path) as picture:
        return picture.size


def sized(tag: str, size: tuple[int, int] | None) -> str:
    """The tag with its size, so that the page does not jump, and loaded only when needed."""
    loading = "" if "loading=" in tag else ' loading="lazy"'
    if size is None or attribute(tag, "width") or "width:" in attribute(tag, "style"):
        return tag.replace("<img", f"<img{loading}", 1)
    style = f"{attribute(tag, 'style')}; height: auto".lstrip("; ")
    tag = re.sub(r' style="[^"]*"', "", tag)
    extra = f'{loading} width="{size[0]}" height="{size[1]}" style="{style}"'
    return tag.replace("<img", f"<img{extra}", 1)


def render_image(tag: str, folder: Path, twins: set[str]) -> str:
    """An image as the page shows it: sized, and doubled where it exists for both themes."""
    source = attribute(tag, "src")
    if not source or source.startswith(("data:", "http:", "https:")):
        return tag
    tag = sized(tag, image_size((folder / source).resolve()))
    if Path(source).name not in twins:
        return tag
    light = with_class(tag, "only-light")
    dark = with_class(tag.replace(source, source.removesuffix(".svg") + "-dark.svg"), "only-dark")
    # The span keeps the theme from hiding the caption together with the picture it follows.
    return f'<span class="themed">{light}{dark}</span>'


def _defer(match: re.Match[str]) -> str:
    tag = match[0]
    keep = any(mark in tag for mark in KEEP_BLOCKING)
    return tag if keep else tag.replace("<script", "<script defer", 1)


def without_idle_scripts(text: str) -> str:
    """Search and tabs are loaded where there are some."""
    if 'id="search-results"' not in text:
        text = re.sub(rf"\s*<script\b[^>]*(?:{SEARCH})\.js[^>]*></script>", "", text)
    if 'class="sd-tab' not in text:
        text = re.sub(r"\s*<script\b[^>]*design-tabs\.js[^>]*></script>", "", text)
    return text


def render_page(text: str, folder: Path, twins: set[str]) -> str:
    """One page of HTML after the last pass."""
    for pattern, replacement in REPAIRS:
        text = re.sub(pattern, replacement, text)
    text = without_idle_scripts(text)
    text = SCRIPT.sub(_defer, text)
    return IMAGE.sub(lambda match: render_image(match[0], folder, twins), text)


def lighten(out: Path, pages: list[Path]) -> None:
    """Move and merge what a page need not load before it can be read."""
    for path in pages:
        text = move_out(path.read_text(encoding="utf-8"), path, out)
        path.write_text(text, encoding="utf-8")
    sheet = styles.bundle(out, pages)
    for path in pages:
        root = "../" * (len(path.relative_to(out).parts) - 1)
        text = styles.use(path.read_text(encoding="utf-8"), sheet, root)
        path.write_text(text, encoding="utf-8")


def simplify_theme(static: Path) -> None:
    """Leave out the theme's pass over every block of code, at load and after every change.

    `book.js` marks what scrolls, as it comes near. The theme's files that no page loads go.

    Raises:
        ExtensionError: the theme's script is another than the one that is known.
    """
    script = static / "scripts" / "pydata-sphinx-theme.js"
    text, count = PASS.subn(r"function \1(){}function ", script.read_text(encoding="utf-8"))
    if count != 1:
        raise ExtensionError(f"{script.name} has changed: web/extension/finish.py has to follow")
    script.write_text(text, encoding="utf-8")
    for pattern in UNUSED:
        for path in static.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def without_comments(script: str) -> str:
    """A script of the book's own without its first comment and those in lines of their own."""
    return re.sub(r"(?m)^[ \t]*//.*\n", "", re.sub(r"(?s)\A/\*.*?\*/\n", "", script))


def run(app: Sphinx, exception: Exception | None) -> None:
    """Apply the last pass to every page of a finished HTML build."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    twins = make_twins(out / "_images")
    simplify_theme(out / "_static")
    for script in (out / "_static" / name for name in OWN):
        script.write_text(without_comments(script.read_text(encoding="utf-8")), encoding="utf-8")
    pages = sorted(path for path in out.rglob("*.html") if "_static" not in path.parts)
    for path in pages:
        text = path.read_text(encoding="utf-8")
        path.write_text(render_page(text, path.parent, twins), encoding="utf-8")
    front = out / "index.html"
    front.write_text(FRONT.format(target=front_target(front)), encoding="utf-8")
    lighten(out, [path for path in pages if path != front])
    base = app.config.html_baseurl
    if base:
        (out / "sitemap.xml").write_text(sitemap(out, pages, base), encoding="utf-8")
        write_feed(app, out)
        icon = quote((out / "_static" / "favicon.svg").read_text(encoding="utf-8"))
        # It is shown at any address, so whatever it needs is in it.
        (out / "404.html").write_text(MISSING.format(base=base, icon=icon), encoding="utf-8")


def write_feed(app: Sphinx, out: Path) -> None:
    """The feed of changes, which every page names."""
    changelog = Path(app.srcdir) / "CHANGELOG.md"
    found = feed.releases(changelog.read_text(encoding="utf-8"), feed.last_change(changelog))
    config = app.config
    names = {"title": config.project, "author": config.author, "base": config.html_baseurl}
    (out / feed.NAME).write_text(feed.atom(found, **names), encoding="utf-8")


def sitemap(out: Path, pages: list[Path], base: str) -> str:
    """The addresses of the pages that a search engine should know."""
    own = [path for path in pages if path.parent != out]
    rows = (f"<url><loc>{base}{path.relative_to(out).as_posix()}</loc></url>" for path in own)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        + "\n".join(rows)
        + "\n</urlset>\n"
    )


def front_target(front: Path) -> str:
    """Where Jupyter Book's page in the root leads."""
    match = re.search(r"url=([^\"\s]+)", front.read_text(encoding="utf-8"))
    if not match:
        raise ExtensionError(f"{front.name} leads nowhere")
    return match[1]

"""Last pass over the built HTML: lighter scripts, sized images, figures for both themes."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx

from .figures import make_twins, svg_size

IMAGE = re.compile(r"<img\b[^>]*>")
SCRIPT = re.compile(r'<script [^>]*\bsrc="[^"]*(?:_static/|searchindex\.js)[^"]*"[^>]*>')
REPAIRS = (  # of the theme's pages: pattern, replacement
    # The icon font is loaded anyway; the script draws the same icons again and weighs half a page.
    (r"\s*<(?:script|link)\b[^>]*scripts/fontawesome\.js[^>]*>(?:</script>)?", ""),
    # Thebe is not used.
    (r"\s*<link [^>]*sphinx-thebe\.css[^>]*>", ""),
    (r'(?s)\s*<script type="text/x-thebe-config">.*?</script>', ""),
    # The exported notebooks, which install the package, are on a branch of their own.
    (r'(="https://colab\.research\.google\.com/github/[^"]+?/blob)/[^/"]+/', r"\1/notebooks/"),
    # A label that hides the visible text from voice control.
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # The bibliography is a list, so its entries are list items.
    (r'role="doc-biblioentry"', 'role="listitem"'),
)
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


def render_page(text: str, folder: Path, twins: set[str]) -> str:
    """One page of HTML after the last pass."""
    for pattern, replacement in REPAIRS:
        text = re.sub(pattern, replacement, text)
    text = SCRIPT.sub(_defer, text)
    return IMAGE.sub(lambda match: render_image(match[0], folder, twins), text)


def run(app: Sphinx, exception: Exception | None) -> None:
    """Apply the last pass to every page of a finished HTML build."""
    if exception or app.builder.format != "html":
        return
    twins = make_twins(Path(app.outdir) / "_images")
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(render_page(text, path.parent, twins), encoding="utf-8")

"""Two-theme figures: every SVG drawn in the book's colours gets a transparent and a dark form.

Figures are drawn with three marker colours (`minillm.plot.use_book_style`): paper, ink and faint.
Replacing them is all that a theme needs, so the picture is drawn once and its data colours stay.
"""

from __future__ import annotations

import re
from pathlib import Path

PAPER, INK, FAINT = "#fefefe", "#1f2328", "#c9cdd2"
LIGHT = {PAPER: "none", "currentcolor": INK}
DARK = {PAPER: "none", INK: "#e6e9ed", FAINT: "#4a5058", "currentcolor": "#e6e9ed"}
MARKED = re.compile(rf"{PAPER}|{INK}|currentcolor", re.IGNORECASE)
COLOUR = re.compile(rf"{PAPER}|{INK}|{FAINT}|currentcolor", re.IGNORECASE)
PIXELS = {"pt": 4 / 3, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "px": 1.0, "": 1.0}


def recolour(svg: str, colours: dict[str, str]) -> str:
    """Replace the marker colours.

    >>> recolour('<path style="fill: #FEFEFE; stroke: #1f2328"/>', DARK)
    '<path style="fill: none; stroke: #e6e9ed"/>'
    """
    return COLOUR.sub(lambda m: colours.get(m[0].lower(), m[0]), svg)


def make_twins(folder: Path) -> set[str]:
    """Write the light and the dark form of every marked SVG; return the names of the light ones."""
    twins = set()
    for path in sorted(folder.glob("*.svg")):
        if path.stem.endswith("-dark"):
            continue
        svg = path.read_text(encoding="utf-8")
        if not MARKED.search(svg):
            continue
        path.with_name(path.stem + "-dark.svg").write_text(recolour(svg, DARK), encoding="utf-8")
        path.write_text(recolour(svg, LIGHT), encoding="utf-8")
        twins.add(path.name)
    return twins


def svg_size(svg: str) -> tuple[int, int] | None:
    """Width and height in CSS pixels, from the attributes or else from the view box.

    >>> svg_size('<svg width="432pt" height="288pt" viewBox="0 0 432 288">')
    (576, 384)
    >>> svg_size('<svg viewBox="0 0 300 100">')
    (300, 100)
    """
    tag = re.search(r"<svg[^>]*>", svg)
    if not tag:
        return None
    sides = []
    for name in ("width", "height"):
        match = re.search(rf'\b{name}="([\d.]+)(pt|in|cm|mm|px|)"', tag[0])
        sides.append(round(float(match[1]) * PIXELS[match[2]]) if match else 0)
    box = re.search(r'viewBox="[\d.-]+[ ,]+[\d.-]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', tag[0])
    if not all(sides) and box:
        sides = [round(float(box[1])), round(float(box[2]))]
    return (sides[0], sides[1]) if all(sides) else None

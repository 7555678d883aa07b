"""Every page of the built book in a real browser: both themes, desktop and phone."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from playwright.sync_api import Browser, Response

from tests.web.visit import visit
from tools.project import HTML, ROOT, chapters, repository_url

BUILT = Path(os.environ.get("BOOK_HTML", HTML))
PAGES = sorted(
    path.relative_to(BUILT).as_posix()
    for path in BUILT.rglob("*.html")
    if "_static" not in path.parts and path.name != "webpack-macros.html"
)
BUDGET = yaml.safe_load((ROOT / "web" / "budget.yml").read_text(encoding="utf-8"))
PAGES = [name for name in PAGES if name != "index.html"] or ["book/index.html"]
CHAPTERS = [path.relative_to(ROOT).with_suffix(".html").as_posix() for path in chapters()]

IMAGES = """() => [...document.images].filter(i => getComputedStyle(i).display !== 'none')
  .map(i => ({src: i.getAttribute('src').slice(0, 80), alt: i.alt, width: i.naturalWidth}))"""
RAW_MATH = r"""() => {
  const skip = 'pre, code, script, style, annotation, .anywidget-static';
  const math = /\\\(|\\\[|\$\$|\$[^$\s][^$]*[^$\s]\$|\\(frac|mathbf|sum|text)\b/;
  const walker = document.createTreeWalker(
    document.querySelector('article') ?? document.body, NodeFilter.SHOW_TEXT);
  const raw = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest(skip)) continue;
    if (math.test(node.data)) raw.push(node.data.slice(0, 80));
  }
  return raw; }"""
AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 160)}`
       + ` (${(v.nodes[0].any[0] || {}).message || ''})`)"""
WIDE = """() => { const wide = document.documentElement.scrollWidth - window.innerWidth;
  return wide > 1 ? [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).slice(0, 3)
    .map(e => e.outerHTML.slice(0, 120)).concat(`page is ${wide} px too wide`) : []; }"""


def image_faults(images: list[dict[str, object]]) -> list[str]:
    faults = []
    for image in images:
        alt = str(image["alt"])
        if not alt.strip() or re.search(r"\.(svg|png|jpe?g)$", alt):
            faults.append(f"image without description: {image['src']}")
        if not image["width"]:
            faults.append(f"image that does not load: {image['src']}")
    return faults


SAMPLE = """() => {  // what has the same class at the same kind of place has the same colours
  const seen = new Set();
  for (const formula of document.querySelectorAll('.katex')) formula.textContent = 'formula';
  for (const token of document.querySelectorAll('pre span')) {
    const place = token.closest('.cell_input, .cell_output, .admonition, article')?.className;
    const kind = [token.className, place, token.closest('pre').parentElement.className].join();
    if (!token.className || seen.has(kind)) token.replaceWith(...token.childNodes);
    seen.add(kind);
  }
}"""
OTHER_THEME = """() => {  // at once: a colour on its way from one theme to the other is in neither
  const style = document.createElement('style');
  style.textContent = '*, *::before, *::after { transition: none !important; }';
  document.head.append(style);
  getComputedStyle(document.body).color;
  const root = document.documentElement.dataset;
  root.mode = root.theme = root.theme === 'dark' ? 'light' : 'dark';
}"""


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_page(chromium: Browser, address: str, axe: str, name: str, width: int, theme: str) -> None:
    """As it comes, and, for colours, after the reader has changed the theme."""
    with visit(chromium, address, name, theme=theme, width=width) as seen:
        page, faults = seen.page, seen.faults
        faults += image_faults(page.evaluate(IMAGES))
        faults += [f"math is not rendered: {text}" for text in page.evaluate(RAW_MATH)]
        faults += [
            f"KaTeX: {e.get_attribute('title')}" for e in page.query_selector_all(".katex-error")
        ]
        faults += [f"wider than the screen: {text}" for text in page.evaluate(WIDE)]
        page.evaluate(SAMPLE)
        page.evaluate(axe)
        faults += [f"axe {text}" for text in page.evaluate(AXE)]
        page.evaluate(OTHER_THEME)
        faults += [f"axe, in the other theme: {text}" for text in page.evaluate(AXE)]
        assert not faults, f"{name}, {theme}, {width} px:\n" + "\n".join(faults)


def test_long_names_in_the_text_wrap(chromium: Browser, address: str) -> None:
    with visit(chromium, address, "book/appendix/notation.html", width=390) as seen:
        add = """name => { document.querySelector('article').innerHTML +=
          `<p>Here <code class="docutils literal"><span class="pre">${name}</span></code></p>`; }"""
        seen.page.evaluate(add, "minillm.transformer." * 5)
        assert not seen.page.evaluate(WIDE)


def links(text: str) -> list[str]:
    """Every address in a page's tags, without those inside scripts and code."""
    text = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    return re.findall(r'\s(?:href|src)="([^"]*)"', text) + re.findall(
        r'<script\b[^>]*\bsrc="([^"]*)"', text
    )


def has_anchor(path: Path, anchor: str) -> bool:
    text = path.read_text(encoding="utf-8")
    return bool(re.search(rf'\b(?:id|name)="{re.escape(anchor)}"', text))


def broken_links(path: Path, html: Path) -> list[str]:
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:|//|#$|$", link):
            continue
        target, _, anchor = link.partition("#")
        target = target.partition("?")[0]
        goal = (path.parent / target).resolve() if target else path
        if goal.is_dir():
            goal /= "index.html"
        inside = goal.exists() and goal.is_relative_to(html.resolve())
        if not inside or (anchor and goal.suffix == ".html" and not has_anchor(goal, anchor)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", [*PAGES, "index.html"])
def test_links(html: Path, name: str) -> None:
    assert not broken_links(html / name, html)


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_elsewhere(html: Path, name: str) -> None:
    text = (html / name).read_text(encoding="utf-8")
    loads = re.findall(
        r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(https?:[^"]*)"|'
        r'<link\b[^>]*rel="(?:stylesheet|preload|icon)"[^>]*href="(https?:[^"]*)"|'
        r"https?://(?:cdn|cdnjs|unpkg|fonts)[^\"'\s]*",
        text,
    )
    assert not loads


@pytest.mark.parametrize("name", PAGES)
def test_first_load_keeps_to_the_budget(chromium: Browser, address: str, name: str) -> None:
    """What a reader waits for, compressed as a server does it, without figures."""
    sizes: Counter[str] = Counter()
    loaded: list[Response] = []

    def note(response: Response) -> None:
        loaded.append(response)

    page = chromium.new_page(viewport={"width": 390, "height": 900})
    page.on("response", note)
    page.goto(address + name, wait_until="load")
    for response in tuple(loaded):  # what comes later, nobody waits for
        kind = response.request.resource_type
        if kind in BUDGET["page"] and response.url.startswith(address):
            body = response.body()
            sizes[kind] += len(body if kind == "font" else gzip.compress(body, 6)) / 1024
    page.close()
    sizes["all"] = sum(sizes.values())
    budget = BUDGET["search" if name == "search.html" else "page"]
    over = {kind: (round(sizes[kind]), most) for kind, most in budget.items() if sizes[kind] > most}
    assert not over, f"{name}: KB loaded and allowed: {over}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_is_described(html: Path, name: str) -> None:
    text = (html / name).read_text(encoding="utf-8")
    assert re.search(r'<meta name="description" content="[^"]{40,160}"', text)
    assert "fontawesome.js" not in text
    assert "thebe" not in "".join(re.findall(r"<(?:script|link)[^>]*>", text)).lower()


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_names_the_feed_of_changes(html: Path, name: str) -> None:
    page = html / name
    found = re.search(
        r'<link rel="alternate" type="application/atom\+xml" href="([^"]+)"',
        page.read_text(encoding="utf-8"),
    )
    assert found
    feed = ElementTree.parse(page.parent / found[1]).getroot()
    titles = [entry.findtext("{*}title") for entry in feed.findall("{*}entry")]
    assert "0.1.0" in titles


@pytest.mark.parametrize("name", CHAPTERS)
def test_rocket_opens_the_exported_notebook(html: Path, name: str) -> None:
    colab = repository_url().replace("github.com", "colab.research.google.com/github")
    notebook = f"{colab}/blob/notebooks/{name.removesuffix('.html')}.ipynb"
    assert f'href="{notebook}"' in (html / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("source", chapters(), ids=lambda path: path.stem)
def test_cells_are_there(html: Path, source: Path) -> None:
    text = (html / source.relative_to(ROOT).with_suffix(".html")).read_text(encoding="utf-8")
    hidden = {"remove-input", "remove-cell"}
    cells = [
        c
        for c in nbformat.read(source, as_version=4).cells
        if c.cell_type == "code" and c.source and not hidden & set(c.metadata.get("tags", []))
    ]
    assert len(re.findall(r'class="[^"]*\bcell_input\b', text)) >= len(cells)
    figures = sum("figure" in cell.metadata.get("mystnb", {}) for cell in cells)
    assert len(re.findall(r"<figcaption", text)) >= figures


def views(path: Path) -> int:
    """How many interactive parts a page has."""
    text, models = path.read_text(encoding="utf-8"), {}
    for name in re.findall(r'<meta name="widget-state" content="([^"]+)"', text):
        script = path.with_name(name).read_text(encoding="utf-8")
        states = json.loads("[" + script.removeprefix("bookWidgets(").removesuffix(");\n") + "]")
        models |= {key: value for state in states for key, value in state["state"].items()}
    ids = re.findall(r'widget-view\+json">\s*\{.*?"model_id": *"(\w+)"', text)
    return sum("_esm" in models[name]["state"] for name in ids)


@pytest.mark.parametrize("name", CHAPTERS)
def test_interactive_parts(chromium: Browser, address: str, html: Path, name: str) -> None:
    expected = views(html / name)
    with visit(chromium, address, name) as seen:
        page = seen.page
        assert page.locator(".anywidget-static[data-mounted]").count() == expected
        assert page.locator(".widget-fallback.replaced").count() == expected
    with visit(chromium, address, name, javascript=False) as seen:
        fallbacks = seen.page.locator(".widget-fallback")
        assert fallbacks.count() == expected
        for index in range(expected):
            assert fallbacks.nth(index).is_visible()
            assert len(fallbacks.nth(index).text_content() or "") > 20


def bertviz_views(text: str) -> list[str]:
    """The names of the bertviz views of a page."""
    return re.findall(r'<div id="(bertviz-\w+)"', text)


VIEWS = {
    name: found
    for name in CHAPTERS
    if (BUILT / name).exists() and (found := bertviz_views((BUILT / name).read_text("utf-8")))
}


def test_bertviz_is_used() -> None:
    assert VIEWS, "no chapter has a view of bertviz: the test below sees nothing"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_bertviz_views_draw(chromium: Browser, address: str, name: str, theme: str) -> None:
    with visit(chromium, address, name, theme=theme) as seen:
        for view in VIEWS[name]:
            picture = seen.page.locator(f"#{view}")
            picture.locator("svg line").first.wait_for(state="attached")
            assert picture.locator("#vis[role=img]").get_attribute("aria-label")
            assert picture.locator("text").count() > 2
            for layer in picture.get_by_label("Layer").all():
                drawn = picture.locator("#vis").inner_html()
                layer.select_option(index=0)
                assert picture.locator("#vis").inner_html() != drawn
                assert picture.locator("svg line").count() > 10
        assert not seen.faults


def test_other_hosts_are_refused_and_noted(chromium: Browser, address: str) -> None:
    with visit(chromium, address, "search.html") as seen:
        assert not seen.faults
        refused = "fetch('https://example.org/x.js').then(() => false, () => true)"
        assert seen.page.evaluate(refused)
        assert any("another host: https://example.org/x.js" in fault for fault in seen.faults)

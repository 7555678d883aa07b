"""The page extension: figures for both themes, sized images, local scripts."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document

import minillm
from minillm.widgets import Playground
from web.extension import (
    explorables,
    figures,
    finish,
    page,
    styles,
    vendor,
    widget_state,
    widgets,
)

SVG = (
    '<svg width="432pt" height="216pt"><rect style="fill: #FEFEFE"/>'
    '<path stroke="#1f2328"/><path stroke="#c9cdd2"/><path stroke="#0072b2"/></svg>'
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "_images"
    folder.mkdir()
    (folder / "plot.svg").write_text(SVG)
    (folder / "plain.svg").write_text('<svg viewBox="0 0 30 10"><path fill="red"/></svg>')
    return folder


def test_marked_figure_gets_two_forms(images: Path) -> None:
    assert figures.make_twins(images) == {"plot.svg"}
    light, dark = (images / "plot.svg").read_text(), (images / "plot-dark.svg").read_text()
    assert 'fill: none"' in light
    assert "#1f2328" in light
    assert 'fill: none"' in dark
    assert "#1f2328" not in dark
    assert "#c9cdd2" not in dark
    assert "#0072b2" in light
    assert "#0072b2" in dark
    assert not (images / "plain-dark.svg").exists()


def test_current_colour_is_a_marker(images: Path) -> None:
    (images / "drawn.svg").write_text('<svg viewBox="0 0 30 10" fill="currentColor"/>')
    assert "drawn.svg" in figures.make_twins(images)
    assert "#e6e9ed" in (images / "drawn-dark.svg").read_text()


def test_twins_share_size_and_description(images: Path, tmp_path: Path) -> None:
    tag = '<img alt="A line." src="_images/plot.svg" />'
    done = finish.render_image(tag, tmp_path, figures.make_twins(images))
    assert done.startswith('<span class="themed"><img')
    assert done.count('alt="A line."') == 2
    assert done.count('width="576" height="288"') == 2
    assert done.count("height: auto") == 2
    assert done.count('loading="lazy"') == 2
    assert 'class="only-light"' in done
    assert 'class="only-dark"' in done
    assert 'src="_images/plot-dark.svg"' in done


def test_plain_image_is_sized_and_not_doubled(images: Path, tmp_path: Path) -> None:
    tag = '<img class="a" style="width: 50%" src="_images/plain.svg">'
    assert finish.render_image(tag, tmp_path, set()).count("<img") == 1
    done = finish.render_image('<img src="_images/plain.svg">', tmp_path, set())
    assert 'width="30" height="10"' in done
    assert finish.render_image('<img src="data:x">', tmp_path, set()) == '<img src="data:x">'
    assert images.exists()


def test_scripts_are_deferred_and_the_unused_dropped(tmp_path: Path) -> None:
    text = (
        '<script src="../_static/scripts/fontawesome.js?digest=1"></script>'
        '<script src="../_static/doctools.js"></script>'
        '<script src="../_static/documentation_options.js"></script>'
        '<link rel="stylesheet" href="../_static/sphinx-thebe.css?v=4" />'
    )
    done = finish.render_page(text, tmp_path, set())
    assert done == (
        '<script defer src="../_static/doctools.js"></script>'
        '<script src="../_static/documentation_options.js"></script>'
    )


def test_colab_opens_the_exported_notebook(tmp_path: Path) -> None:
    link = '<a href="https://colab.research.google.com/github/o/r/blob/main/book/a.ipynb">'
    assert "/o/r/blob/notebooks/book/a.ipynb" in finish.render_page(link, tmp_path, set())


def test_bertviz_loads_local_copies() -> None:
    body = f'<script src="{vendor.CDN}require.js/2.3.6/require.min.js"></script>'
    body += f"d3: '{vendor.CDN}d3/5.7.0/d3.min' <select id=\"layer\">"
    body += "<select id=\"filter\"><div id='vis'></div>"
    done = vendor.localise(body, lambda name: "../_static/" + name)
    assert "cdnjs" not in done
    assert '"../_static/require-shim.js"' in done
    assert "'../_static/vendor/d3.min'" in done
    assert '<select id="layer" aria-label="Layer">' in done
    assert '<select id="filter" aria-label="Attention">' in done
    assert '<div id=\'vis\' role="img" aria-label="Attention weights' in done


def test_description_is_the_first_real_paragraph() -> None:
    document = new_document("a")
    text = "This chapter builds a language model from counts. " * 5
    section = nodes.section("", nodes.paragraph("", "Short."), nodes.paragraph("", text))
    document += nodes.note(
        "", nodes.paragraph("", "A note that is long enough to be one, but is not it.")
    )
    document += section
    done = page.description(document)
    assert done.startswith("This chapter builds")
    assert len(done) <= page.DESCRIPTION_LENGTH
    assert done.endswith("…")


def test_link_previews_name_the_page_and_its_place() -> None:
    base = "https://example.org/book/"
    done = page.cards('A "b"', "What it does.", base + "a.html", base)
    assert '<meta property="og:title" content="A &quot;b&quot;" />' in done
    assert f'<meta property="og:url" content="{base}a.html" />' in done
    assert f'content="{base}_static/{vendor.SOCIAL}"' in done
    assert (vendor.ROOT / "book" / "figures" / vendor.SOCIAL).exists()
    assert "og:image" not in page.cards("A", "B", None, base)


def test_html_of_the_theme_is_made_valid(tmp_path: Path) -> None:
    view = '<meta name="viewport" content="width=device-width" />'
    text = (
        f'<html data-theme="auto">{view}{view}\n{view}\n'
        '<summary>\n<p class="collapsed admonition-title">Show</p></summary>'
        '<section id="exercise-content"><section id="solution-content">'
        '<div id="jb-print-docs-body" class="onlyprint">\n    <h1>Order</h1>'
        '<a href="x" target="_blank"><a rel="me" target="_blank">'
    )
    done = finish.render_page(text, tmp_path, set())
    assert 'data-theme="light"' in done
    assert done.count("viewport") == 1
    assert '<span class="collapsed admonition-title">Show</span>' in done
    assert "-content" not in done
    assert '<p class="title">Order</p>' in done
    assert '<a href="x" target="_blank" rel="noopener"><a rel="me" target="_blank">' in done


def test_search_and_tabs_are_loaded_where_they_are(tmp_path: Path) -> None:
    scripts = "".join(
        f'<script src="_static/{name}.js"></script>'
        for name in ("searchtools", "language_data", "design-tabs")
    )
    assert finish.render_page(scripts, tmp_path, set()) == ""
    for mark, count in (('<div id="search-results">', 2), ('<div class="sd-tab-set">', 1)):
        assert finish.render_page(scripts + mark, tmp_path, set()).count("<script") == count


def test_states_of_explorables_move_to_a_file(tmp_path: Path) -> None:
    kind = "application/vnd.jupyter.widget-state+json"
    view = f'<script type="{widget_state.VIEW}">{{}}</script>'
    text = f'<title>A</title><script type="{kind}">{{"state": {{}}}}</script>{view}'
    done = widget_state.move_out(text, tmp_path / "a.html", tmp_path)
    meta = '<meta name="widget-state" content="a.widgets.js" />'
    assert done == f"{meta}\n    <title>A</title>{view}"
    assert (tmp_path / "a.widgets.js").read_text() == 'bookWidgets({"state": {}});\n'
    assert widget_state.move_out("<p>B</p>", tmp_path / "b.html", tmp_path) == "<p>B</p>"
    assert not (tmp_path / "b.widgets.js").exists()


def test_a_page_that_shows_no_widget_needs_no_state(tmp_path: Path) -> None:
    state = f'<script type="{explorables.STATE}">{{"state": {{"a": {{}}}}}}</script>'
    text = f"<title>A</title>{state}<p>x</p>"
    done = widget_state.move_out(text, tmp_path / "a.html", tmp_path)
    assert done == "<title>A</title><p>x</p>"
    assert not list(tmp_path.iterdir())


def test_large_values_of_a_state_have_files_of_their_own(tmp_path: Path) -> None:
    weights, small = bytes(range(256)) * 400, b"few"
    buffers = [
        {"path": [name], "encoding": "base64", "data": base64.b64encode(data).decode()}
        for name, data in (("weights", weights), ("small", small))
    ]
    state = json.dumps({"state": {"a": {"state": {"text": "x"}, "buffers": buffers}}})
    view = f'<script type="{widget_state.VIEW}">{{}}</script>'
    text = f'<title>A</title><script type="{explorables.STATE}">{state}</script>{view}'
    (tmp_path / "book").mkdir()
    for name in ("a.html", "b.html"):
        widget_state.move_out(text, tmp_path / "book" / name, tmp_path)
    files = sorted((tmp_path / "_static" / "models").iterdir())  # of one, though two pages want it
    bare, file = files
    assert (bare.suffix, file.suffix, bare.stem) == (".bin", ".js", file.stem)
    script = (tmp_path / "book" / "a.widgets.js").read_text()
    moved = json.loads(script.removeprefix("bookWidgets(").removesuffix(");\n"))["state"]["a"]
    assert moved["state"]["weights"] == {
        "bookBytes": file.stem,
        "file": f"../_static/models/{file.stem}",
    }
    assert [buffer["path"] for buffer in moved["buffers"]] == [["small"]]
    packed = file.read_text().removeprefix(f'bookBytes("{file.stem}", "').removesuffix('");\n')
    assert gzip.decompress(base64.b64decode(packed)) == weights
    assert gzip.decompress(bare.read_bytes()) == weights


def test_an_explorable_of_a_page_without_code() -> None:
    config = minillm.ModelConfig(vocab_size=4, context_length=4, d_model=4, n_layers=1, n_heads=1)
    model, tokenizer = minillm.CausalLM(config), minillm.CharTokenizer("</a>")
    html = explorables.html_of(Playground(model, tokenizer, text="</a>"), "playground0")
    view = re.search(rf'<script type="{re.escape(widgets.VIEW)}">(.*?)</script>', html)
    state = re.search(rf'<script type="{re.escape(explorables.STATE)}">(.*?)</script>', html)
    assert view
    assert state
    assert json.loads(view[1])["model_id"] == "playground0"
    saved = json.loads(state[1])["state"]["playground0"]
    assert saved["state"]["text"] == "</a>"
    assert saved["buffers"][0]["path"] == ["weights"]
    assert 'class="widget-fallback"' in html


def test_sheets_become_one_with_their_addresses_in_order(tmp_path: Path) -> None:
    static = tmp_path / "_static"
    (static / "styles").mkdir(parents=True)
    (static / "styles" / "a.css").write_text('@import "../b.css";\np{background:url(../i.png)}')
    (static / "b.css").write_text("q{background:url('data:x')}")
    page_ = '<link rel="stylesheet" href="../_static/styles/a.css?v=1" /><title>T</title>'
    assert styles.sheets(page_) == ["styles/a.css"]
    css = styles.read_sheet(static, "styles/a.css")
    assert css.index("q{") < css.index("p{")
    assert "url(i.png)" in css
    assert "url('data:x')" in css
    done = styles.use(page_, "all.css?v=2", "../")
    assert done == '<link rel="stylesheet" href="../_static/all.css?v=2" />\n    <title>T</title>'


@pytest.mark.parametrize("name", finish.OWN)
def test_own_scripts_lose_comments_and_nothing_else(name: str) -> None:
    script = (vendor.ROOT / "web" / "static" / name).read_text(encoding="utf-8")
    done = finish.without_comments(script)
    assert len(done) < 0.95 * len(script)
    left = [line for line in script.splitlines() if not line.strip().startswith("//")]
    assert done.splitlines() == left[-len(done.splitlines()) :]
    assert finish.without_comments("/* a */\n  // b\nc; // d\n") == "c; // d\n"


def test_sitemap_lists_the_pages_of_the_book(tmp_path: Path) -> None:
    pages = [tmp_path / "search.html", tmp_path / "book" / "a.html"]
    done = finish.sitemap(tmp_path, pages, "https://example.org/")
    assert "<loc>https://example.org/book/a.html</loc>" in done
    assert "search" not in done

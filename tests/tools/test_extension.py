"""The page extension: figures for both themes, sized images, local scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils import new_document

from web.extension import figures, finish, page, vendor

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

"""Sphinx extension of the book: self-hosted libraries, two-theme figures, static widgets.

Notebooks stay standard, so that they run unchanged in Jupyter and in Colab; only the built page is
rewritten. Nothing that a page loads comes from another host.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from tools.project import site_url

from . import cells, explorables, finish, formulas, headlines, page, sources, vendor, widgets

STATIC = Path(__file__).resolve().parents[1] / "static"


def _configure(_app: Sphinx, config: Config) -> None:
    config.html_baseurl = site_url() + "/"
    # Not a root `_static/`: Jupyter Book links every script and style found there on every page.
    config.html_static_path.append(str(STATIC))


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the parts to the events of a Sphinx build."""
    app.connect("config-inited", _configure)
    app.connect("builder-inited", vendor.copy)
    app.connect("doctree-read", cells.give_anchors)
    app.add_directive("playground", explorables.Playground)
    app.add_directive("headlines", headlines.Headlines)
    app.connect("html-page-context", explorables.add_runtime)
    app.connect("html-page-context", page.rewrite, priority=901)
    app.connect("build-finished", finish.run, priority=999)
    formulas.setup(app)
    sources.setup(app)
    app.add_post_transform(widgets.KeepFallback)
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}

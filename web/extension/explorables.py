"""Explorables on pages that run no code: the directive ``playground``.

    ```{playground} story-gpt-nano
    :text: Omar wanted a kite.
    :size: small

    Another beginning to choose from.
    ```

It writes what MyST-NB writes for a cell with an explorable: the view, the saved state, and the
fallback. The model is one of the book's own, by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .widgets import VIEW

STATE = "application/vnd.jupyter.widget-state+json"


class Playground(SphinxDirective):
    """A model of the book that runs in the page; each line of the content is an example."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {
        "text": directives.unchanged_required,
        "size": lambda value: directives.choice(value, ("full", "small")),
    }

    def run(self) -> list[nodes.Node]:
        """The view with its fallback, and the state."""
        import minillm  # noqa: PLC0415 -- costs torch, which pages without a model do not need
        from minillm import widgets  # noqa: PLC0415

        name = self.arguments[0]
        loaded: Any = minillm.load(name)
        view = widgets.Playground(
            loaded.model,
            loaded.tokenizer,
            name=name,
            text=self.options.get("text", ""),
            size=self.options.get("size", "full"),
            examples=[line for line in self.content if line],
        )
        self.env.metadata[self.env.docname]["explorables"] = True
        number = self.env.new_serialno("explorable")
        return [nodes.raw("", html_of(view, f"playground{number}"), format="html")]


def html_of(view: Any, name: str) -> str:
    """The HTML of an explorable for a page without a kernel.

    Args:
        view: the explorable.
        name: its own in the page, instead of the random one that a kernel gives.
    """
    from ipywidgets.embed import dependency_state  # noqa: PLC0415

    state = {"version_major": 2, "version_minor": 0}
    state["state"] = dependency_state([view], drop_defaults=False)
    saved, shown = (
        json.dumps(value).replace(view.model_id, name).replace("</", "<\\/")
        for value in (state, {"version_major": 2, "version_minor": 0, "model_id": view.model_id})
    )
    return (
        f'<div class="explorable-place"><script type="{VIEW}">{shown}</script>'
        f'<div class="widget-fallback">{view.fallback().html()}</div></div>'
        f'<script type="{STATE}">{saved}</script>'
    )


def add_runtime(
    app: Sphinx, pagename: str, _template: str, _context: dict[str, Any], _doctree: object
) -> None:
    """The page's runtime, which MyST-NB adds to notebooks alone."""
    if app.env.metadata.get(pagename, {}).get("explorables"):
        app.add_js_file("anywidget-static.js", loading_method="defer")

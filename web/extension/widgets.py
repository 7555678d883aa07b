"""The fallback of an interactive part: for paper, and for pages without JavaScript."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

VIEW = "application/vnd.jupyter.widget-view+json"
VIEW_SCRIPT = re.compile(rf'<script type="{re.escape(VIEW)}">.*?</script>', re.DOTALL)


def _without_view(node: nodes.Node) -> nodes.Node:
    # A fallback may bring its own mount point; the page has one already.
    if isinstance(node, nodes.raw):
        return nodes.raw("", VIEW_SCRIPT.sub("", node.astext()), format="html")
    return node


def _alternative(bundle: nodes.Element) -> list[nodes.Node]:
    by_type = {child["mime_type"]: child for child in bundle if isinstance(child, nodes.container)}
    if "text/html" in by_type:
        return [_without_view(child) for child in by_type["text/html"]]
    if "text/plain" in by_type:
        return [nodes.paragraph("", by_type["text/plain"].astext())]
    return []


class KeepFallback(SphinxPostTransform):
    """Place a widget's HTML or text beside its view, before MyST-NB throws all but one away."""

    default_priority = 3  # MyST-NB selects the mime type at 4

    def run(self, **_kwargs: Any) -> None:
        """Move the alternative of every widget into a ``widget-fallback`` container."""
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            views = [n for n in bundle if isinstance(n, nodes.container) and n["mime_type"] == VIEW]
            for view in views:
                fallback = nodes.container("", *_alternative(bundle), classes=["widget-fallback"])
                view.append(fallback)

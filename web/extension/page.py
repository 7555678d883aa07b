"""Changes to one page while Sphinx renders it."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from . import vendor

DESCRIPTION_LENGTH = 160


def description(doctree: nodes.document) -> str:
    """The page's first real paragraph, cut at a word, for search engines and link previews."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = re.sub(r"\s+", " ", paragraph.astext()).strip()
        if isinstance(paragraph.parent, nodes.section) and len(text) > 40:
            break
    else:
        return ""
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[: DESCRIPTION_LENGTH - 1].rsplit(" ", 1)[0] + "…"


def _is_thebe(script: Any) -> bool:
    # sphinx-thebe is not used here, and declares its constants twice, which is a page error.
    source = str(getattr(script, "filename", script) or "")
    body = (getattr(script, "attributes", None) or {}).get("body") or ""
    return "thebe" in source or "THEBE_JS_URL" in body


def rewrite(
    _app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Drop unused scripts, serve bertviz from the book and describe the page."""
    scripts = context.get("script_files", [])
    scripts[:] = [script for script in scripts if not _is_thebe(script)]
    if context.get("body"):
        context["body"] = vendor.localise(
            context["body"], lambda name: context["pathto"]("_static/" + name, resource=True)
        )
    text = description(doctree) if doctree else ""
    has_own = 'name="description"' in context.get("metatags", "")
    if text and not has_own:
        tag = f'<meta name="description" content="{html.escape(text)}" />'
        context["metatags"] = context.get("metatags", "") + tag

"""Changes to one page while Sphinx renders it."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from . import feed, vendor

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


def cards(title: str, text: str, address: str | None, base: str) -> str:
    """What link previews and the browser's frame show of a page.

    Args:
        title: the page's own.
        text: its description.
        address: where it is published, or None.
        base: where the book is published, or the empty string.
    """
    named = {"og:type": "article", "og:title": title, "og:description": text}
    if address:
        named |= {"og:url": address, "og:image": f"{base}_static/{vendor.SOCIAL}"}
    tags = [f'<meta property="{k}" content="{html.escape(v)}" />' for k, v in named.items() if v]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    for scheme, colour in (("light", "#ffffff"), ("dark", "#14181e")):
        tags.append(
            f'<meta name="theme-color" content="{colour}" '
            f'media="(prefers-color-scheme: {scheme})" />'
        )
    return "\n".join(tags)


def rewrite(
    app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document
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
    title = re.sub(r"<[^>]+>", "", context.get("title", ""))
    base = app.config.html_baseurl
    found = cards(html.unescape(title), text, context.get("pageurl"), base)
    if base:
        address = context["pathto"](feed.NAME, resource=True)
        found += f'\n<link rel="alternate" type="application/atom+xml" href="{address}" />'
    context["metatags"] = f"{context.get('metatags', '')}\n{found}"

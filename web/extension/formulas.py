"""Formulas, rendered by KaTeX while the book is built: pages carry no mathematics script."""

from __future__ import annotations

import html
import json
import subprocess
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from .vendor import ROOT

logger = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_name("katex-lines.cjs")
KATEX = ROOT / "node_modules" / "katex" / "dist" / "katex.js"


class Renderer:
    """A KaTeX process that is started with the first formula and ended with the build."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._done: dict[tuple[str, bool], dict[str, str]] = {}

    def _start(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                ["node", str(SCRIPT), str(KATEX)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
        except FileNotFoundError as error:
            raise ExtensionError("Node.js is missing: build with `make book`") from error

    def _ask(self, tex: str, display: bool) -> dict[str, str]:
        self._process = self._process or self._start()
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ExtensionError("KaTeX was started without pipes")
        stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise ExtensionError(f"KaTeX ended early; is {KATEX} there? Run `make book`")
        return dict(json.loads(answer))

    def render(self, tex: str, *, display: bool) -> dict[str, str]:
        """The formula as ``{"html": ...}``, or ``{"error": ...}`` if KaTeX does not know it."""
        key = (tex, display)
        if key not in self._done:
            self._done[key] = self._ask(tex, display)
        return self._done[key]

    def close(self, *_: object) -> None:
        """End the process."""
        if self._process:
            self._process.communicate()
            self._process = None


RENDERER = Renderer()


def lines_as_split(tex: str) -> str:
    r"""Display math of several lines needs an environment, as Sphinx gives it elsewhere.

    >>> lines_as_split(r"a &= b \\ c &= d")
    '\\begin{split}a &= b \\\\ c &= d\\end{split}'
    """
    if r"\\" not in tex or r"\begin" in tex:
        return tex
    return rf"\begin{{split}}{tex}\end{{split}}"


def _formula(node: nodes.Element, *, display: bool) -> str:
    tex = lines_as_split(node.astext()) if display else node.astext()
    answer = RENDERER.render(tex, display=display)
    if "error" in answer:
        logger.warning("formula %r: %s", tex, answer["error"], location=node)
        return f"<code>{html.escape(tex)}</code>"
    return answer["html"]


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(translator.starttag(node, "span", "", CLASS="math"))
    translator.body.append(_formula(node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(translator: Any, node: nodes.math_block) -> None:
    """Write a formula that stands alone, with its number."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(_formula(node, display=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Make this the way in which pages show formulas."""
    app.add_html_math_renderer("prerendered", (visit_inline, None), (visit_display, None))
    app.add_css_file("vendor/katex/katex.min.css")
    app.connect("build-finished", RENDERER.close)

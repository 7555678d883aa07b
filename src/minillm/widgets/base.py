"""What all explorables share: one base class and the bundling of their JavaScript.

An explorable is an ES module written to the anywidget contract
(`export default { render({ model, el }) }`). In Jupyter and Colab anywidget loads it; in the
built page a small runtime mounts it from the widget state that the page embeds. Both want
one self-contained text, so `bundle` puts `js/shared.js` in front of the widget's own files
and drops the import lines: no build step, no request to another site. Left out on purpose:
messages to the kernel. Everything that an explorable shows is computed in the page.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError('explorables need anywidget: pip install "minillm[widgets]"') from error

MAX_STATE = 150_000
_JS = Path(__file__).parent / "js"


def bundle(*names: str) -> str:
    """The text of `js/shared.js` and of the named modules as one module without imports."""
    *helpers, own = ("shared.js", *names)
    return join(*helpers) + _without_imports(own)


def join(*names: str) -> str:
    """The texts of modules that import each other as one text without imports and exports."""
    return "".join(re.sub(r"^export ", "", _without_imports(n), flags=re.MULTILINE) for n in names)


def _without_imports(name: str) -> str:
    text = (_JS / name).read_text(encoding="utf-8")
    return re.sub(r'^import [^;]*? from "\.{1,2}/[^"]+";\n', "", text, flags=re.MULTILINE)


def style(*names: str) -> str:
    """The style sheet of all explorables, and those of the named files."""
    return "".join((_JS / n).read_text(encoding="utf-8") for n in ("explorable.css", *names))


@dataclass(frozen=True)
class Fallback:
    """What remains of an explorable without JavaScript: a sentence and a small table.

    Args:
        sentence: what the explorable shows and what there is to see.
        header: the names of the columns.
        rows: the results that the explorable shows first, as text.
    """

    sentence: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """The sentence and the table in plain text, columns aligned."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        table = (
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
        )
        return "\n".join([self.sentence, *(row.rstrip() for row in table)])

    def html(self) -> str:
        """The same for a page.

        The class `dataframe` is a request to the theme: tables of that class keep the page's
        own background in dark mode.
        """
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return (
            f'<div class="explorable-fallback"><p>{html.escape(self.sentence)}</p>'
            f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            "</div>"
        )


class Explorable(anywidget.AnyWidget):
    """An interactive figure that needs no kernel.

    A subclass names its module (`_esm = bundle("name.js")`), puts everything that the module
    needs into `data`, and says in `fallback` what a reader without JavaScript gets.

    Args:
        data: what the page must carry.
        limit: the largest number of characters that the data may take as JSON.
        controls: the first values of the subclass's own traits, such as sliders.

    Raises:
        ValueError: If the data are larger than `limit`.
    """

    _css = style()
    data = traitlets.Dict().tag(sync=True)
    # Widgets of ipywidgets 7, Colab's, display themselves, which would leave the fallback out.
    _ipython_display_ = None

    def __init__(self, data: dict[str, Any], *, limit: int = MAX_STATE, **controls: Any) -> None:
        size = len(json.dumps(data, separators=(",", ":")))
        if size > limit:
            name = type(self).__name__
            raise ValueError(
                f"{name} would put {size:,} characters into the page, the limit is {limit:,}: "
                "give it fewer or shorter data"
            )
        super().__init__(data=data, **controls)

    def fallback(self) -> Fallback:
        """The sentence and the table that stand in for the explorable."""
        raise TypeError(f"{type(self).__name__} does not say what to show without JavaScript")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        content, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        fallback = self.fallback()
        content["text/plain"] = fallback.text()
        content["text/html"] = fallback.html()
        return content, metadata


def within(name: str, value: float, low: float, high: float) -> float:
    """The value, if it lies between the limits; else a ValueError that names all three."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, but must lie between {low} and {high}")
    return float(value)


def member(name: str, value: str, options: Sequence[str]) -> str:
    """The value, if it is one of the options; else a ValueError that names both."""
    if value not in options:
        raise ValueError(
            f"{name} is {value!r}, but the choices are {', '.join(map(repr, options))}"
        )
    return value

"""Turn MyST prose, its roles and its links into the plain Markdown of Jupyter and Colab."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tools.myst.index import Index, Target

Found = TypeVar("Found", bound=Target)
ROLE = re.compile(r"\{([\w:-]+)\}(`+)(.+?)\2(?!`)", re.DOTALL)
INLINE_MATH = r"(?<!\\)\$(?![\s$])(?:[^$\n]|\n(?!\s*\n))+?(?<![\s\\])\$(?!\d)"
PROTECTED = re.compile(rf"(?<![`}}])(`+)(?!`).+?(?<!`)\1(?!`)|\$\$.+?\$\$|{INLINE_MATH}", re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)(\{[^}\n]*\})?")
TITLED = re.compile(r"(.+?)\s*<([^<>]+)>", re.DOTALL)
LABELLED = re.compile(r"\$\$((?:(?!\$\$).)+)\$\$ *\(([\w-]+)\)", re.DOTALL)
TARGET_LINE = re.compile(r"^\([\w-]+\)=\n?|^%.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """Where the text stands.

    Attributes:
        page: Path of the page in the repository without its ending.
        index: What the labels of the book stand for.
        raw: Address under which the repository's files are served.
    """

    page: str
    index: Index
    raw: str

    def resolve(self, link: str) -> str:
        """A path relative to the page, seen from the repository's root."""
        if link.startswith("/"):
            return link.lstrip("/")
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.page), link))


def _titled(text: str) -> tuple[str | None, str]:
    match = TITLED.fullmatch(text.strip())
    return (match[1], match[2]) if match else (None, text.strip())


def find(kind: str, table: Mapping[str, Found], name: str) -> Found:
    """What a label stands for, or a ValueError that names it."""
    if name not in table:
        raise ValueError(f"{kind} {name!r} does not exist in the book")
    return table[name]


def _cite(text: str, place: Place, *, in_sentence: bool) -> str:
    found = [find("citation", place.index.citations, key.strip()) for key in text.split(",")]
    if not in_sentence:
        return "(" + "; ".join(f"[{target.text}]({target.url})" for target in found) + ")"
    parts = [target.text.rpartition(", ") for target in found]
    named = zip(parts, found, strict=True)
    return "; ".join(f"{who} ([{year}]({target.url}))" for (who, _, year), target in named)


def _refer(text: str, place: Place) -> str:
    title, name = _titled(text)
    index = place.index
    everything: dict[str, Target] = {**index.figures, **index.exercises, **index.labels}
    target = find("label", everything, name)
    return f"[{title or target.text}]({target.url})"


def _numbered(text: str, place: Place) -> str:
    name = _titled(text)[1]
    return f"[{find('figure', place.index.figures, name).text}]({place.index.figures[name].url})"


def _equation(text: str, place: Place) -> str:
    target = find("equation", place.index.equations, text.strip())
    return f"[{target.text}]({target.url})"


def _document(text: str, place: Place) -> str:
    title, name = _titled(text)
    target = find("page", place.index.documents, place.resolve(name))
    return f"[{title or target.text}]({target.url})"


def _term(text: str, place: Place) -> str:
    title, name = _titled(text)
    return f"[{title or name}]({place.index.term(name)})"


ROLES: dict[str, Callable[[str, Place], str]] = {
    "cite": lambda text, place: _cite(text, place, in_sentence=False),
    "cite:p": lambda text, place: _cite(text, place, in_sentence=False),
    "cite:t": lambda text, place: _cite(text, place, in_sentence=True),
    "ref": _refer,
    "prf:ref": _refer,
    "numref": _numbered,
    "eq": _equation,
    "math:numref": _equation,
    "doc": _document,
    "term": _term,
    "math": lambda text, _place: f"${formula(text)}$",
    "kbd": lambda text, _place: f"`{text}`",
    "sub": lambda text, _place: f"<sub>{text}</sub>",
    "sup": lambda text, _place: f"<sup>{text}</sup>",
    "abbr": lambda text, _place: text,
}


def _role(match: re.Match[str], place: Place) -> str:
    name, text = match[1], match[3]
    if name not in ROLES:
        raise ValueError(f"the role {{{name}}} has no plain form (tools/myst/prose.py)")
    return ROLES[name](text, place)


def _link(match: re.Match[str], place: Place) -> str:
    image, text, address = match[1], match[2], match[3]
    if re.match(r"[a-z]+:|#", address):
        return f"{image}[{text}]({address})"
    path, mark, anchor = address.partition("#")
    goal = place.resolve(path)
    stem = posixpath.splitext(goal)[0]
    if not image and stem in place.index.documents:
        return f"[{text}]({place.index.documents[stem].url}{mark}{anchor})"
    return f"{image}[{text}]({place.raw}/{goal}{mark}{anchor})"


def _numbered_formula(match: re.Match[str], place: Place) -> str:
    number = find("equation", place.index.equations, match[2]).text.strip("()")
    return f"$${match[1].rstrip()} \\tag{{{number}}}$$"


def formula(tex: str) -> str:
    r"""A formula as notebooks show it: Markdown takes `<t` for the beginning of a tag.

    >>> formula("x_{<t}")
    'x_{\\lt t}'
    """
    return re.sub(r"< *", r"\\lt ", tex)


def _protected(text: str) -> str:
    if text.startswith("`"):
        return text
    # Jupyter and Colab look for the end of a formula on its own line.
    return formula(text if text.startswith("$$") else re.sub(r"\s*\n\s*", " ", text))


def prose(text: str, place: Place) -> str:
    """Prose without MyST roles, targets and comments, its links made absolute."""
    text = ROLE.sub(lambda match: _role(match, place), TARGET_LINE.sub("", text))
    text = LABELLED.sub(lambda match: _numbered_formula(match, place), text)
    kept: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(_protected(match[0]))
        return f"\0{len(kept) - 1}\0"

    text = LINK.sub(lambda match: _link(match, place), PROTECTED.sub(hide, text))
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], text)
    return text

"""The lists of chapters on the first page and in the README, made from the chapters themselves.

``_toc.yml`` says which chapters there are and in which part, a chapter's first sentence ("After
this chapter you can …") what it is for, its facts how long it takes, and ``book/planned.yml`` what
is still to come. ``python -m tools.contents`` writes all this between the marks in
``book/index.md`` and ``README.md``; ``--check`` only says whether something has changed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tools.project import ROOT

BEGIN, END = "contents: begin", "contents: end"
OPENING = "After this chapter you can "
FACTS = re.compile(r"\*(\d+) minutes to read · ")
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
         "eighteen", "nineteen", "twenty", "twenty-one", "twenty-two", "twenty-three")  # fmt: skip


@dataclass(frozen=True)
class Chapter:
    """What the lists say of one chapter.

    Attributes:
        number: its place in the finished book.
        title: the notebook's own.
        path: from the root of the repository, without the suffix.
        promise: what the reader can do after it, as plain text.
        minutes: to read its core path.
    """

    number: int
    title: str
    path: str
    promise: str
    minutes: int


@dataclass(frozen=True)
class Part:
    """A part of the book: its chapters, and the numbers and titles of those that are planned."""

    title: str
    chapters: tuple[Chapter, ...]
    planned: dict[int, str]


def _plain(text: str) -> str:
    """Prose without the markup of MyST.

    >>> _plain("a {term}`softmax <softmax function>`, then  `x`")
    'a softmax, then `x`'
    """
    text = re.sub(r"\{\w+(?::\w+)?\}`([^`<]*?)(?: *<[^`]*>)?`", r"\1", text)
    return " ".join(text.split())


def read_chapter(root: Path, entry: dict[str, str]) -> Chapter:
    """Read one entry of ``_toc.yml`` and the head of its notebook.

    Raises:
        ValueError: the number or title of the entry, the first sentence or the facts are missing
            or do not agree.
    """
    path = entry["file"]
    number, _, title = entry.get("title", "").partition(" · ")
    notebook: Any = nbformat.read(root / f"{path}.ipynb", as_version=4)
    head = str(notebook.cells[0].source)
    lines = head.split("\n\n")
    if not number.isdigit() or lines[0] != f"# {title}":
        raise ValueError(f"_toc.yml calls {path} {entry.get('title')!r}, the notebook {lines[0]!r}")
    first = _plain(lines[1])
    facts = FACTS.search(head)
    if not first.startswith(OPENING) or facts is None:
        raise ValueError(f"{path} does not begin with {OPENING!r} and the facts")
    promise = re.split(r"(?<=\.) (?=[A-Z])", first.removeprefix(OPENING))[0]
    return Chapter(int(number), title, path, promise, int(facts[1]))


def read_parts(root: Path = ROOT) -> list[Part]:
    """Every part that has chapters with numbers, in reading order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    planned = yaml.safe_load((root / "book" / "planned.yml").read_text(encoding="utf-8"))
    parts = []
    for part in toc["parts"]:
        entries = [entry for entry in part["chapters"] if "title" in entry]
        chapters = tuple(read_chapter(root, entry) for entry in entries)
        if chapters:
            titles = dict(planned.get(part["caption"], {}))
            parts.append(Part(part["caption"], chapters, titles))
    return parts


def _numbered(planned: dict[int, str]) -> str:
    return " · ".join(f"{number} {title}" for number, title in sorted(planned.items()))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def for_first_page(parts: list[Part]) -> str:
    """One table a part, with links as the book writes them."""
    blocks = []
    for part in parts:
        rows = [
            f"### {part.title}",
            "",
            "| chapter | after it you can | minutes |",
            "|---|---|--:|",
        ]
        for chapter in part.chapters:
            link = chapter.path.removeprefix("book/")
            rows.append(
                f"| {{doc}}`{chapter.number} · {chapter.title} <{link}>` "
                f"| {chapter.promise} | {chapter.minutes} |"
            )
        if part.planned:
            rows += ["", f"Planned: {_numbered(part.planned)}."]
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks)


def for_readme(parts: list[Part]) -> str:
    """One table for all chapters, and a sentence on what is planned."""
    chapters = [chapter for part in parts for chapter in part.chapters]
    planned = {number: title for part in parts for number, title in part.planned.items()}
    rows = [
        f"**What is there.** {_sentence(WORDS[len(chapters)])} finished chapters:",
        "",
        "| | chapter | after it you can | minutes to read |",
        "|--:|---------|------------------|--:|",
    ]
    rows += [
        f"| {c.number} | [{c.title}]({c.path}.ipynb) | {c.promise} | {c.minutes} |"
        for c in chapters
    ]
    if planned:
        rows += ["", f"Planned are {WORDS[len(planned)]} more: {_numbered(planned)}."]
    return "\n".join(rows)


def between_marks(text: str, middle: str) -> str:
    """`text` with `middle` between the two lines that hold the marks.

    Raises:
        ValueError: there is not exactly one pair of marks.
    """
    pattern = re.compile(rf"(^[^\n]*{BEGIN}[^\n]*\n)(.*?)(^[^\n]*{END}[^\n]*$)", re.M | re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one pair of lines with {BEGIN!r} and {END!r}")
    return pattern.sub(lambda found: f"{found[1]}\n{middle}\n\n{found[3]}", text)


def changed(root: Path = ROOT) -> dict[Path, str]:
    """The files whose lists are not what the chapters say, with what they should hold."""
    parts, found = read_parts(root), {}
    for name, middle in (
        ("book/index.md", for_first_page(parts)),
        ("README.md", for_readme(parts)),
    ):
        text = (root / name).read_text(encoding="utf-8")
        wanted = between_marks(text, middle)
        if wanted != text:
            found[root / name] = wanted
    return found


def main(arguments: list[str]) -> int:
    """Write the lists, or with ``--check`` say which of them are out of date."""
    found = changed()
    for path, text in found.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)}: run `python -m tools.contents`")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return int(bool(found) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

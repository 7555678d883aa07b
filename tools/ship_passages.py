"""Make the book's own passages for retrieval again: ``python -m tools.ship_passages``.

The chapter "Question answering and retrieval" asks this book. In Colab and after an installation
there are no notebooks to read, so an extract comes with the package: the entries of the glossary,
the points of each chapter's summary, and the self-check's questions with their answers. It is a
picture of one day: stored results hold for that text, and a test only asks that nine tenths of its
passages still stand in the book. Prints the SHA-256 for `shipped.SHA256`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from minillm.corpora import shipped

BOOK = Path(__file__).parents[1] / "book"
LEFT_OUT = "question-answering"
ROLE = re.compile(r"\{[a-z:]+\}`([^`<]*?)(?:\s*<[^`>]*>)?`")
ENTRY = re.compile(r"^(\S[^\n]*\n(?:\S[^\n]*\n)*)((?:  \S[^\n]*\n)+)", re.MULTILINE)
QUESTION = re.compile(r"^\d+\. (.+?)\n\s*:::\{dropdown\} Answer\n(.+?)\n\s*:::", re.M | re.S)


def main() -> int:
    """Write the file beside the other shipped texts."""
    data = json.dumps(passages(), ensure_ascii=False).encode()
    path = Path(shipped.__file__).with_name("book_passages.json.gz")
    path.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f'    "book_passages": "{hashlib.sha256(data).hexdigest()}",')
    print(f"{path.stat().st_size:,} bytes", file=sys.stderr)
    return 0


def passages() -> list[dict[str, Any]]:
    """All passages: where each stands, its text, and the question it answers, if it has one."""
    found = list(_glossary((BOOK / "appendix" / "glossary.md").read_text("utf-8")))
    for path in sorted(BOOK.glob("*/*.ipynb")):
        if path.stem != LEFT_OUT:
            found += _chapter(path)
    return found


def plain(text: str) -> str:
    r"""A text without MyST's roles, emphasis and line breaks.

    Example:
        >>> plain("A {term}`chain <chain rule>` of *words* {cite:p}`key2020`.")
        'A chain of words.'
    """
    text = re.sub(r"\s*\{cite:[pt]\}`[^`]*`", "", text)
    text = ROLE.sub(r"\1", text)
    text = re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text))
    return " ".join(text.split())


def _glossary(text: str) -> Iterator[dict[str, Any]]:
    for block in re.findall(r"```\{glossary\}\n(.*?)```", text, re.DOTALL):
        for match in ENTRY.finditer(block):
            name = match[1].splitlines()[0]
            yield {"where": f"Glossary, {name}", "text": f"{name}: {plain(match[2])}"}


def _chapter(path: Path) -> Iterator[dict[str, Any]]:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    title = plain(text.partition("\n")[0].removeprefix("# "))
    parts = dict(re.findall(r"^## (Summary|Self-check)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for point in re.findall(r"^[-*] (.+)$", parts.get("Summary", ""), re.MULTILINE):
        yield {"where": f"{title}, Summary", "text": plain(point)}
    for question, answer in QUESTION.findall(parts.get("Self-check", "")):
        yield {
            "where": f"{title}, Self-check",
            "text": plain(answer),
            "question": plain(question),
        }


if __name__ == "__main__":
    sys.exit(main())

"""A feed of the book's changes (Atom, RFC 4287), made of CHANGELOG.md when the book is built."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

NAME = "feed.xml"
HEADING = re.compile(r"^## \[?([^\]\s]+)\]?(?: - (\d{4}-\d\d-\d\d))?[ \t]*$", re.MULTILINE)


class Release(NamedTuple):
    """A section of the changelog: its name, its moment as Atom wants it, its Markdown."""

    name: str
    updated: str
    text: str


def releases(changelog: str, changed: str | None) -> list[Release]:
    """The sections of a changelog, newest first.

    Args:
        changelog: in the form of *Keep a Changelog*.
        changed: when it was last changed, for what is not released; without it that is left out.
    """
    places = list(HEADING.finditer(changelog))
    ends = [place.start() for place in places[1:]] + [len(changelog)]
    found = []
    for place, end in zip(places, ends, strict=True):
        updated = f"{place[2]}T00:00:00Z" if place[2] else changed
        if updated:
            found.append(Release(place[1], updated, changelog[place.end() : end].strip()))
    return found


def last_change(path: Path) -> str | None:
    """When a file was last committed, or None outside a repository."""
    command = ["git", "log", "-1", "--format=%cI", "--", path.name]
    try:
        found = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() or None


def atom(found: list[Release], *, title: str, author: str, base: str) -> str:
    """The feed.

    Args:
        found: at least one release.
        title: of the book.
        author: of the book.
        base: where it is published, with a slash at the end.
    """
    render = MarkdownIt("commonmark").render
    entries = "".join(
        f"<entry><title>{html.escape(one.name)}</title><id>{base}{NAME}#{html.escape(one.name)}"
        f'</id><updated>{one.updated}</updated><link href="{base}"/>'
        f'<content type="html">{html.escape(render(one.text))}</content></entry>\n'
        for one in found
    )
    newest = max(one.updated for one in found)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<title>{html.escape(title)}: changes</title><id>{base}{NAME}</id>"
        f"<updated>{newest}</updated><author><name>{html.escape(author)}</name></author>"
        f'<link rel="self" href="{base}{NAME}"/><link href="{base}"/>\n{entries}</feed>\n'
    )

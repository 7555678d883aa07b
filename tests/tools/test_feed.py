"""The feed of changes: what is in it, and that any text of the changelog leaves it well formed."""

import subprocess
from pathlib import Path
from xml.etree import ElementTree

from tools.project import ROOT
from web.extension import feed

ATOM = "{http://www.w3.org/2005/Atom}"
NAMES = {"title": "Books & <more>", "author": "A. & B.", "base": "https://example.org/"}
CHANGELOG = """# Changelog

Words at its beginning.

## [Unreleased]

### Added

- `a < b && c` and *more* ]]>

## [0.2.0] - 2026-11-22

- second

## 0.1.0 - 2026-01-02

- first
"""


def entries(text):
    root = ElementTree.fromstring(text)
    return [
        {part: entry.findtext(ATOM + part) for part in ("title", "id", "updated", "content")}
        for entry in root.findall(ATOM + "entry")
    ]


def test_each_release_is_an_entry_with_its_day():
    found = feed.releases(CHANGELOG, "2026-12-01T10:00:00+01:00")
    told = entries(feed.atom(found, **NAMES))
    assert [e["title"] for e in told] == ["Unreleased", "0.2.0", "0.1.0"]
    assert [e["updated"] for e in told] == [
        "2026-12-01T10:00:00+01:00", "2026-11-22T00:00:00Z", "2026-01-02T00:00:00Z",
    ]  # fmt: skip
    assert len({e["id"] for e in told}) == 3
    assert "<li>first</li>" in told[2]["content"]
    assert "second" not in told[2]["content"]
    assert "Words at its" not in told[0]["content"]
    assert "<code>a &lt; b &amp;&amp; c</code> and <em>more</em> ]]&gt;" in told[0]["content"]


def test_the_feed_itself_has_what_atom_asks_for():
    root = ElementTree.fromstring(feed.atom(feed.releases(CHANGELOG, None), **NAMES))
    assert root.findtext(ATOM + "title") == "Books & <more>: changes"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "A. & B."
    assert root.findtext(ATOM + "updated") == "2026-11-22T00:00:00Z"
    links = {link.get("rel"): link.get("href") for link in root.findall(ATOM + "link")}
    assert links == {"self": "https://example.org/feed.xml", None: "https://example.org/"}


def test_outside_a_repository_what_is_not_released_is_left_out(tmp_path: Path):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    assert feed.last_change(tmp_path / "CHANGELOG.md") is None
    assert [r.name for r in feed.releases(CHANGELOG, None)] == ["0.2.0", "0.1.0"]


def test_the_moment_of_the_last_commit(tmp_path: Path):
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert feed.last_change(path)[:2] == "20"
    assert "T" in feed.last_change(path)


def test_the_book_has_something_to_tell():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    names = [r.name for r in feed.releases(text, "2026-12-01T00:00:00Z")]
    assert names[0] == "Unreleased"
    assert "0.1.0" in names

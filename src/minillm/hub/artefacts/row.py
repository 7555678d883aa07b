"""What a row of the table of artefacts says.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file to keep: its path in the archive, its size in bytes and its SHA-256.

    Attributes:
        path: empty for the archive itself, which is kept where it holds thousands of small files.
        saved_as: its name in the cache, where the name in the archive is not unique.
    """

    path: str
    size: int
    sha256: str
    saved_as: str = ""

    @property
    def name(self) -> str:
        """The file name without folders, as it appears in the cache."""
        return self.saved_as or self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One row of the table: what it is, whose it is, and where exactly it is published.

    Attributes:
        requirement: `package==version` on the Python package index, or on npm's.
        sdist: the files are only in the source archive, not in the wheel.
        npm: the package is one of npm, not of Python.
        nested: path of an archive inside the archive that holds the members, if any.
    """

    name: str
    what: str
    licence: str
    origin: str
    requirement: str
    archive_size: int
    archive_sha256: str
    members: tuple[Member, ...]
    sdist: bool = False
    npm: bool = False
    nested: str = ""

    @property
    def size(self) -> int:
        """Bytes on disk after unpacking."""
        return sum(member.size for member in self.members)

    @property
    def folder(self) -> bool:
        """True when `fetch` returns a folder because several files belong together."""
        return len(self.members) > 1

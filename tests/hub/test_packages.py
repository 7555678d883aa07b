"""The hub with a real pip and a local index: what is kept, what is refused, what is said."""

import errno
import io
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from minillm.hub import artefacts
from minillm.hub import packages as hub
from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.artefacts.row import Artefact
from minillm.hub.cache import HubError, cache_dir
from minillm.hub.packages import fetch
from tests.hub.conftest import TEXTS, files, member


def change(monkeypatch, artefact: Artefact, **values) -> None:
    monkeypatch.setitem(ARTEFACTS, artefact.name, replace(artefact, **values))


@pytest.mark.usefixtures("toy")
def test_fetch_unpacks_the_members_and_nothing_else(tmp_path, caplog, monkeypatch):
    with caplog.at_level("INFO"):
        folder = fetch("toy", quiet=True)
    assert folder == tmp_path / "cache" / "toy"
    assert files(tmp_path) == ["toy/poem.txt", "toy/prose.txt"]
    assert (folder / "poem.txt").read_bytes() == TEXTS["toy_text/poem.txt"]
    (line,) = caplog.messages
    assert all(part in line for part in ("toy", "two small texts", "CC0", "toy-text==1.0"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    caplog.clear()
    assert fetch("toy") == folder, "the second time nothing is downloaded"
    assert not caplog.messages


def test_a_single_member_is_returned_as_a_file(toy, tmp_path, monkeypatch):
    change(monkeypatch, toy, members=toy.members[1:])
    assert fetch("toy", quiet=True) == tmp_path / "cache" / "toy" / "prose.txt"


def test_members_of_one_name_are_saved_under_two(toy, tmp_path, monkeypatch):
    members = (toy.members[0], replace(toy.members[1], saved_as="toy-prose.txt"))
    change(monkeypatch, toy, members=members)
    folder = fetch("toy", quiet=True)
    assert files(tmp_path) == ["toy/poem.txt", "toy/toy-prose.txt"]
    assert (folder / "toy-prose.txt").read_bytes() == TEXTS["toy_text/prose.txt"]
    assert fetch("toy") == folder


@pytest.mark.usefixtures("toy")
def test_the_bar_ends_full(capsys):
    fetch("toy")
    assert "toy: 100%" in capsys.readouterr().err


@pytest.mark.usefixtures("toy")
def test_a_truncated_file_in_the_cache_is_replaced():
    poem = fetch("toy", quiet=True) / "poem.txt"
    poem.write_bytes(b"roses")
    assert (fetch("toy", quiet=True) / "poem.txt").read_bytes() == TEXTS["toy_text/poem.txt"]
    assert poem.stat().st_size == 700


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"archive_sha256": "0" * 64}, "wrong hash"),
        ({"members": (member("toy_text/poem.txt", b"violets"),)}, "expected 7 bytes"),
        ({"members": (member("toy_text/absent.txt", b""),)}, "cannot be read.*absent"),
        ({"requirement": "toy-text==2.0"}, "could not download toy-text==2.0.*network"),
        ({"sdist": True}, "could not download"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(toy, tmp_path, monkeypatch, values, message):
    change(monkeypatch, toy, **values)
    with pytest.raises(HubError, match=f"(?s){message}"):
        fetch("toy", quiet=True)
    assert files(tmp_path) == []
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("toy")
def test_a_byte_changed_on_the_way_is_found(tmp_path):
    archive = tmp_path / "index" / "toy_text-1.0-py3-none-any.whl"
    data = bytearray(archive.read_bytes())
    data[60] ^= 1
    archive.write_bytes(data)
    with pytest.raises(HubError, match="wrong hash"):
        fetch("toy", quiet=True)


@pytest.mark.usefixtures("toy")
def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub, "_copy_checked", full)
    with pytest.raises(HubError, match=r"no space left in .*cache"):
        fetch("toy", quiet=True)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("toy")
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match="cannot write to"):
        fetch("toy", quiet=True)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "no space left"),
        ("python: No module named pip", "ensurepip"),
        ("", "without a message"),
    ],
)
def test_reasons_from_the_log_of_pip(toy, log, message):
    assert message in hub._reason(toy, log)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("smollm2", "smollm2-135m-instruct"),
        ("bible", "bible-kjv"),
        ("vader-review", "vader-reviews"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"no artefact is called '{name}'.*'{near}'"):
        fetch(name)


def test_a_hopeless_name_lists_all():
    with pytest.raises(ValueError, match=r"minilm-l6.*bible-kjv"):
        artefacts.find("%%%")


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_a_source_archive_with_an_archive_inside(toy, tmp_path):
    inner = tar_of({"data/poem.txt": b"violets are blue"})
    (tmp_path / "outer.tar.gz").write_bytes(tar_of({"toy-1.0/more/data.tar.gz": inner}))
    artefact = replace(
        toy,
        nested="toy-1.0/more/data.tar.gz",
        members=(member("data/poem.txt", b"violets are blue"),),
    )
    hub._unpack(tmp_path / "outer.tar.gz", artefact, tmp_path)
    assert (tmp_path / "members" / "poem.txt").read_bytes() == b"violets are blue"


def test_main_reports_success_and_failure(toy, monkeypatch, caplog):
    for name in set(ARTEFACTS) - {"toy"}:
        monkeypatch.delitem(ARTEFACTS, name)
    assert hub.main() == 0
    monkeypatch.setenv("MINILLM_CACHE", str(hub.cache_dir() / "new"))
    change(monkeypatch, toy, archive_sha256="0" * 64)
    assert hub.main() == 1
    assert "wrong hash" in caplog.text


@pytest.mark.usefixtures("toy")
def test_fetch_all_returns_paths_by_name():
    assert hub.fetch_all(["toy"]) == {"toy": hub.cache_dir() / "toy"}


@pytest.mark.parametrize("artefact", list(ARTEFACTS.values()), ids=lambda a: a.name)
def test_the_table_is_complete(artefact):
    assert re.fullmatch(r"(@[a-z]+/)?[A-Za-z0-9-]+==\d[\d.]+", artefact.requirement)
    assert artefact.npm == artefact.requirement.startswith("@")
    for digest in (artefact.archive_sha256, *(m.sha256 for m in artefact.members)):
        assert re.fullmatch("[0-9a-f]{64}", digest)
    assert artefact.what
    assert artefact.licence
    assert artefact.origin
    assert len({m.name for m in artefact.members}) == len(artefact.members)


def test_a_missing_home_is_named(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINILLM_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(HubError, match="set MINILLM_CACHE"):
        cache_dir()

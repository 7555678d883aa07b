"""Where fetched artefacts lie, and what is raised when one cannot be had."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HubError(RuntimeError):
    """An artefact could not be fetched; the message says why and what to do."""


def cache_dir() -> Path:
    """Folder that holds fetched artefacts: `MINILLM_CACHE`, or `~/.cache/minillm`.

    Book: chapter "A GPT, and the real thing".
    """
    if given := os.environ.get("MINILLM_CACHE"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "minillm"
    except RuntimeError as error:
        raise HubError(f"no home folder ({error}): set MINILLM_CACHE to a folder") from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder beside the artefacts (hence on the same disk) that is removed in every case."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=cache_dir()) as folder:
        yield Path(folder)

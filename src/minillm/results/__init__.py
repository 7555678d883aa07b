"""Results of runs that are too long for a chapter: stored once, replotted every time.

Each file is JSON: the numbers, and under ``"provenance"`` what one needs to make them again: the
command, the versions of Python, PyTorch and the package, the seeds, the seconds, and a fingerprint
of every text that was read. Where a file holds more than that command makes (runs of another day,
pieces put together, numbers written down by hand), its ``"note"`` says so. The scripts stand in
`experiments/`; ``make experiments NAME=...`` runs one. A chapter that draws a stored result
computes at least one of its values again.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch


def _folder() -> Path:
    return Path(str(files(__name__)))


def fingerprint(text: str | bytes) -> str:
    """The first 16 hexadecimal digits of a text's SHA-256.

    Example:
        >>> fingerprint("the cat")
        '70a48cc5ea382e9b'
    """
    data = text.encode("utf-8") if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]


def store(
    name: str,
    result: Mapping[str, Any],
    *,
    command: str,
    seeds: Sequence[int],
    seconds: float,
    data: Mapping[str, str | bytes],
) -> Path:
    """Write the result of one experiment together with what makes it again.

    Args:
        name: the file's name without ".json".
        result: whatever JSON can hold.
        command: the exact command, from the root of the repository.
        seeds: all that were used.
        seconds: how long the runs took.
        data: the texts that were read, by name; their fingerprints are stored.

    Raises:
        ValueError: If `result` has a key "provenance", or a number is not finite.
    """
    if "provenance" in result:
        raise ValueError("result has a key 'provenance', which is the place of the record itself")
    record = {
        "command": command,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "minillm": version("minillm"),
        "seeds": list(seeds),
        "seconds": round(seconds),
        "data": {key: fingerprint(text) for key, text in data.items()},
    }
    whole = {"provenance": record, **result}
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False)
    path = _folder() / f"{name}.json"
    path.write_text(text + "\n", encoding="utf-8")
    return path


def load(name: str, *, data: Mapping[str, str | bytes] | None = None) -> dict[str, Any]:
    """Read the stored results of one experiment.

    Args:
        name: the file's name without ".json".
        data: the texts that the caller is about to compare with, by the names under which their
            fingerprints are stored.

    Raises:
        ValueError: If there is no such file (the message lists those that exist), or if a text is
            another one than the experiment read.

    Book: chapter "Pretraining".
    """
    known = sorted(path.stem for path in _folder().glob("*.json"))
    if name not in known:
        raise ValueError(f"no stored results {name!r}; there are {known}")
    result: dict[str, Any] = json.loads((_folder() / f"{name}.json").read_text(encoding="utf-8"))
    stored = result.get("provenance", {}).get("data", {})
    for key, text in (data or {}).items():
        if stored.get(key) != fingerprint(text):
            raise ValueError(
                f"results {name!r} were made with another text {key!r}: its fingerprint is "
                f"{stored.get(key)}, that of the text at hand {fingerprint(text)}"
            )
    return result

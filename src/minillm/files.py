"""Files that are whole or not there, and readable or refused with the reason."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file aside, then give it its name, so that it is never there by half.

    Raises:
        OSError: If it cannot be written; a file that was there stays as it was.

    Book: chapter "Pretraining".
    """
    aside = path.with_name(f".{path.name}.tmp")
    try:
        write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system allows it.

    Book: chapter "Pretraining".
    """
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: If the file holds anything else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return values


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file, without the byte order mark that some editors put before it.

    Raises:
        ValueError: If it is not UTF-8 (names the byte) or empty.
        OSError: If it cannot be read.

    Book: chapter "From text to tokens".
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: byte {error.start} is invalid") from None
    if not text.strip():
        raise ValueError(f"{path} is empty: there is nothing to read")
    return text

"""Results of runs that are too long for a chapter: stored once, replotted every time.

Each file is JSON with the command that made it, the package version, the seconds it took and the
numbers. The scripts stand in `benchmarks/` and can be run again by anyone.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def load(name: str) -> dict[str, Any]:
    """Read the stored results of one experiment.

    Args:
        name: the file's name without ".json".

    Raises:
        ValueError: If there is no such file; the message lists those that exist.

    Book: chapter "Pretraining".
    """
    folder = files(__name__)
    known = sorted(
        f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json")
    )
    if name not in known:
        raise ValueError(f"no stored results {name!r}; there are {known}")
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

"""Told stories on disk, so that they are told once and not in every process.

A file lies in the cache of `hub` and is named after all that determines the stories: their number,
the seed, and a hash of this package's own files. A change of a sentence or a rule gives another
name, so a stale file is never read.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import astuple
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from minillm.corpora.stories.story import Question, Story, tell
from minillm.corpora.stories.world import Fact
from minillm.hub.cache import HubError, cache_dir, scratch_folder

logger = logging.getLogger(__name__)

FEWEST = 1000
"""Fewer stories than this are told faster than a file is worth."""


def told(n: int, seed: int) -> list[Story]:
    """The first `n` stories of a seed, from the disk if they were told before.

    A damaged file is replaced, with a warning in the log. Where nothing can be written, the stories
    are told all the same.

    Book: chapter "Pretraining".
    """
    if n < FEWEST:
        return _tell(n, seed)
    try:
        path = shelf_path(n, seed)
    except HubError as error:
        logger.info("the stories cannot be kept: %s", error)
        return _tell(n, seed)
    if path.is_file():
        try:
            return read_stories(path, n)
        except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
            logger.warning("%s is damaged and is made again: %s", path, error)
    stories = _tell(n, seed)
    try:
        write_stories(path, stories)
    except OSError as error:
        logger.info("the stories cannot be kept in %s: %s", path.parent, error)
    return stories


def _tell(n: int, seed: int) -> list[Story]:
    return [tell(seed, i) for i in range(n)]


def shelf_path(n: int, seed: int) -> Path:
    """The file in which the first `n` stories of a seed are kept."""
    return cache_dir() / "stories" / f"{n}-{seed}-{_digest()}.jsonl.gz"


def write_stories(path: Path, stories: Sequence[Story]) -> None:
    """Write one story a line, aside first, so that no half-written file gets the name.

    Raises:
        OSError: If nothing can be written there.
    """
    with scratch_folder() as scratch:
        aside = scratch / path.name
        with gzip.open(aside, "wt", compresslevel=1, encoding="utf-8") as file:
            file.writelines(json.dumps(vars(story), default=astuple) + "\n" for story in stories)
        path.parent.mkdir(exist_ok=True)
        os.replace(aside, path)


def read_stories(path: Path, n: int) -> list[Story]:
    """The `n` stories of a file; gzip compares its contents with their checksum.

    Raises:
        ValueError: If the file has another number of stories, or holds something else.
        OSError: If it cannot be read or its checksum is wrong; EOFError: if its end is missing.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        stories = [_story(**json.loads(line)) for line in file]
    if len(stories) != n:
        raise ValueError(f"{len(stories)} stories where {n} are expected")
    return stories


def _story(facts: Any, questions: Any, seed: Any, **plain: Any) -> Story:
    """A story from what JSON made of it: tuples and facts became lists."""
    return Story(
        facts=tuple(_fact(*fact) for fact in facts),
        questions=tuple(Question(*question) for question in questions),
        seed=tuple(seed),
        **plain,
    )


@cache
def _digest() -> str:
    """A hash of the sources and tables of this package."""
    parts = [part for part in files(__package__).iterdir() if part.name.endswith((".py", ".txt"))]
    digest = hashlib.sha256()
    for part in sorted(parts, key=lambda part: part.name):
        digest.update(part.name.encode() + b"\0" + part.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def _fact(relation: str, subject: str, value: str) -> Fact:
    """One object for equal facts: most stories share theirs."""
    return Fact(relation, subject, value)

"""Short dialogues that people wrote for a chatbot, in English and in Chinese.

Book: chapter "Chat".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from minillm.corpora.core import Card, Corpus, distinct, optional, parts_by, sizes
from minillm.hub.packages import fetch

Language = Literal["en", "zh"]

_FOLDERS: dict[Language, str] = {"en": "english", "zh": "chinese"}
_FAULTS: dict[Language, str] = {
    "en": "tech support is ten dialogues, which the original repeats a thousand times; computers "
    "and emotion list several replies to a turn, each of which is a dialogue here",
    "zh": "most of it is a poor machine translation of the English part",
}
_UNFIT = re.compile(
    r"\b(die|dies|deathless|kill\w*|suicide|shot dead|assassinated|testicles|mate|bend over"
    r"|pleasure bot|sinsemillia|boyfriend|stupid|drunk|intoxicated|illuminat\w+|south was right)\b"
    "|死|交配|弯腰|快感|蠢|男朋友|醉|疯了|南方|遇刺|光明|Sinsemillia",
    re.IGNORECASE,
)
_ALTERNATIVES = {"computers", "emotion"}  # a first turn, and then several replies to it


class Dialogue(NamedTuple):
    """What two speakers say in turn, and the topic; the first turn is the first speaker's."""

    topic: str
    turns: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line for each turn."""
        return "\n".join(self.turns)


@cache
def chatterbot_dialogues(language: Language = "en") -> Corpus[Dialogue]:
    """Dialogues by topics: greetings, food, money, robots and others; most have two turns.

    Dialogues that share a turn go to the same part, also by way of a third one, so that nothing
    said in the test part is said in training.

    Args:
        language: "en" or "zh".

    Raises:
        ValueError: If there is no such language.
        HubError: If the dialogues are not in the cache and cannot be fetched.
        ImportError: If PyYAML is not installed.

    Book: chapter "Chat".
    """
    if language not in _FOLDERS:
        raise ValueError(f"language {language!r} is not one of {sorted(_FOLDERS)}")
    paths = sorted(fetch("chatterbot-dialogues").glob(f"{_FOLDERS[language]}-*.yml"))
    found = list(chain.from_iterable(map(_read, paths)))
    fit = [d for d in found if not any(map(_UNFIT.search, d.turns))]
    kept = distinct(fit, lambda d: d.turns)
    parts = parts_by(zip(_groups(kept), kept, strict=True))
    card = Card(
        what=f"dialogues in {_FOLDERS[language].title()} on {len(paths)} topics, for a chatbot",
        origin="ChatterBot corpus by Gunther Cox and contributors, package chatterbot-corpus",
        licence="BSD (package)",
        size=f"{len(kept):,} dialogues, {sum(len(d.turns) for d in kept):,} turns, "
        f"{sum(len(d.text) for d in kept):,} characters",
        split=f"by shared turns; train, validation, test: {sizes(parts)} dialogues",
        faults=f"{len(fit) - len(kept):,} repeated dialogues were removed, "
        f"{len(found) - len(fit)} with unfit words, and the topics coding, gossip, humor, politics "
        "and psychology (broken code, remarks about named people, insults); some facts are wrong, "
        f"some replies only repeat a question; {_FAULTS[language]}",
    )
    return Corpus(*parts, card)


def _read(path: Path) -> Iterator[Dialogue]:
    """The dialogues of a file; one entry of the trivia is not a list and is left out."""
    topic = path.stem.partition("-")[2].replace("_", " ")
    entries: list[Any] = optional("yaml", "PyYAML").safe_load(path.read_text("utf-8"))[
        "conversations"
    ]
    for entry in entries:
        if not isinstance(entry, list):
            continue
        first, *rest = (" ".join(turn.split()) for turn in entry)
        for turns in ([turn] for turn in rest) if topic in _ALTERNATIVES else [rest]:
            yield Dialogue(topic, (first, *turns))


def _plain(turn: str) -> str:
    """A turn without case and punctuation, by which it is recognised."""
    return re.sub(r"[\W_]+", " ", turn.lower()).strip()


def _groups(dialogues: Sequence[Dialogue]) -> Iterable[str]:
    """For each dialogue the name of its group: those that are linked by shared turns."""
    leader: dict[str, str] = {}

    def leading(turn: str) -> str:
        while leader.setdefault(turn, turn) != turn:
            turn = leader[turn]
        return turn

    for dialogue in dialogues:
        first, *rest = map(_plain, dialogue.turns)
        for turn in rest:
            one, other = sorted((leading(first), leading(turn)))
            leader[other] = one
    return (f"dialogues/{leading(_plain(dialogue.turns[0]))}" for dialogue in dialogues)

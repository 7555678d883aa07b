"""The truth test: reads any text in the language of the world and finds what cannot be.

The reader uses the templates that the teller uses, the other way round. It goes through the
text from left to right, takes the longest template that fits (among equals the most charitable:
the one with the fewest contradictions), and lets the event happen in a world of its own. It
knows nothing of the generator's facts, so it can judge what a trained model writes.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from minillm.corpora.stories.events import Event, Kind, happen, kinds
from minillm.corpora.stories.reading import Listener
from minillm.corpora.stories.templates import Template
from minillm.corpora.stories.world import World

_END = re.compile(r'[.!?]"?(?=\s|$)')


class Reading(NamedTuple):
    """A piece of text, the event that it tells (None if it fits no template) and its faults."""

    text: str
    event: Event | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A text piece by piece, and the world at its end."""

    readings: tuple[Reading, ...]
    world: World

    @property
    def contradictions(self) -> list[str]:
        """Every fault with the words that contain it."""
        return [f"{r.text!r}: {fault}" for r in self.readings for fault in r.faults]

    @property
    def unparsed(self) -> float:
        """Share of the characters that fit no template, 0 for an empty text."""
        lengths = [len(reading.text) for reading in self.readings]
        unread = sum(len(reading.text) for reading in self.readings if reading.event is None)
        return unread / max(sum(lengths), 1)


def check(text: str) -> Check:
    """Read a text as a story and test it against the rules of the world.

    What fits no template is skipped up to the end of the sentence and counts as unparsed.

    Example:
        >>> found = check("One fine morning, Mira was at the market. Omar thanked Mira.")
        >>> for fault in found.contradictions:
        ...     print(fault)
        'Omar thanked Mira.': Omar was never introduced
        'Omar thanked Mira.': helper(Omar) is unknown, not Mira
        'Omar thanked Mira.': at(Omar) is unknown, not market

    Book: chapter "Pretraining".
    """
    readings: list[Reading] = []
    world, listener = World(), Listener()
    rest = text.strip()
    while rest:
        found = _best(rest, world, listener)
        if found is None:
            end = _END.search(rest)
            reading = Reading(rest[: end.end() if end else len(rest)], None, ())
        else:
            reading, world, listener = found
        readings.append(reading)
        rest = rest[len(reading.text) :].lstrip()
    return Check(tuple(readings), world)


def contradictions(text: str) -> list[str]:
    """What in a text cannot be, by the rules of the world; see `check`.

    Book: chapter "Pretraining".
    """
    return check(text).contradictions


def _best(text: str, world: World, listener: Listener) -> tuple[Reading, World, Listener] | None:
    """The longest, then most charitable, event at the beginning of a text."""
    best: tuple[Reading, World, Listener] | None = None
    for kind, template in _by_first_letter().get(text[0], []) + _by_first_letter()[""]:
        match = template.pattern.match(text)
        if match is None or (best and match.end() < len(best[0].text)):
            continue
        hearing = listener.hear(template, match)
        if hearing is None:
            continue
        after = world.copy()
        event = hearing.event(kind)
        faults = (*hearing.faults, *happen(after, event))
        reading = Reading(match[0], event, faults)
        if best is None or (-len(match[0]), len(faults)) < (
            -len(best[0].text),
            len(best[0].faults),
        ):
            best = reading, after, hearing.listener.after(event)
    return best


@cache
def _by_first_letter() -> dict[str, list[tuple[Kind, Template]]]:
    """All templates under the letter that they begin with, "" if a slot comes first."""
    found: dict[str, list[tuple[Kind, Template]]] = {"": []}
    for kind in kinds().values():
        for _, template in kind.sentences:
            first = template.parts[0]
            assert isinstance(first, str)
            found.setdefault(first[:1], []).append((kind, template))
    return found

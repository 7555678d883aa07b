"""The kinds of events, read from events.txt: what they need, what they make, how they are told.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

from minillm.corpora.stories.templates import PEOPLE, THINGS, Template
from minillm.corpora.stories.vocabulary import PRONOUN
from minillm.corpora.stories.world import Statement, World

STYLES = {"P": "plain", "L": "lively", "T": "terse", "D": "diary", "E": "letter"}
FIRST_PERSON = frozenset("DE")
_TAGS = {"*": "PLTDE", "3": "PLT", "1": "DE"}


@dataclass(frozen=True)
class Kind:
    """A kind of event; `new` are the parameters that enter the story with it."""

    name: str
    parameters: tuple[str, ...]
    new: frozenset[str]
    needs: tuple[Statement, ...]
    makes: tuple[Statement, ...]
    sentences: list[tuple[str, Template]] = field(default_factory=list)
    questions: list[tuple[Template, Template]] = field(default_factory=list)

    @cached_property
    def templates(self) -> dict[str, list[Template]]:
        """The templates of each style."""
        return {
            style: [template for styles, template in self.sentences if style in styles]
            for style in STYLES
        }


class Event(NamedTuple):
    """Something that happened: a kind and a value for each of its parameters."""

    kind: str
    names: dict[str, str]

    def people(self) -> list[str]:
        """Everybody who takes part, in order."""
        return [name for slot, name in self.names.items() if slot in PEOPLE]


@cache
def kinds() -> dict[str, Kind]:
    """All kinds of events by name, in the order of the file."""
    text = files(__package__).joinpath("events.txt").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in text.split("\n\n")]
    first = [line for line in blocks[0] if not line.startswith("#")]
    read = [_kind(lines) for lines in (first, *blocks[1:])]
    return {kind.name: kind for kind in read}


def _kind(lines: list[str]) -> Kind:
    head, needs, makes = (part.split() for part in lines[0].split("|"))
    kind = Kind(
        head[0],
        tuple(word.lstrip("+") for word in head[1:]),
        frozenset(word[1:] for word in head[1:] if word.startswith("+")),
        tuple(map(Statement.read, needs)),
        tuple(map(Statement.read, makes)),
    )
    for line in lines[1:]:
        tag, _, text = line.partition(" ")
        if tag == "?":
            question, _, answer = text.partition(" = ")
            kind.questions.append((Template(question), Template(answer)))
        else:
            kind.sentences.append((_TAGS.get(tag, tag), Template(text)))
    return kind


def happen(world: World, event: Event) -> list[str]:
    """Let an event change the world, and return everything that speaks against it.

    Besides its own needs, an event must not speak of somebody or something that never came up,
    nor bring in as new what is there already, nor come after the end of the story.

    Example:
        >>> world = World()
        >>> happen(world, Event("go", {"a": "Mira", "p": "market"}))
        ['Mira was never introduced']
    """
    kind = kinds()[event.kind]
    over = world.get("stage", "story") == "over"
    complaints = ["the story was over already"] if over else []
    complaints += _strangers(world, kind, event)
    needed = [world.complaint(statement, event.names) for statement in kind.needs]
    complaints += [complaint for complaint in needed if complaint]
    for slot in kind.new:
        world.set("is", event.names[slot], "person" if slot in PEOPLE else "thing")
    for effect in kind.makes:
        world.make(effect, event.names)
    return complaints


def _strangers(world: World, kind: Kind, event: Event) -> list[str]:
    """What is wrong with the cast of an event."""
    complaints = []
    values = list(event.names.values())
    for slot, name in event.names.items():
        if values.count(name) > 1:
            complaints.append(f"{name} cannot be two at once")
        if slot not in PEOPLE + THINGS:
            continue
        known = world.get("is", name) is not None
        if slot in kind.new and known:
            complaints.append(f"{name} is introduced twice")
        if slot not in kind.new and not known:
            complaints.append(f"{name} was never introduced")
    return complaints


def antecedent(events: Sequence[Event], pronoun: str, narrator: str | None) -> str | None:
    """Whom "he" or "she" means: the one such person of the last event with anybody in it.

    Args:
        events: everything told so far.
        pronoun: "he" or "she".
        narrator: the person called I, who is never meant, or None.
    """
    last = next((event.people() for event in reversed(events) if event.people()), [])
    found = [name for name in last if name != narrator and PRONOUN.get(name) == pronoun]
    return found[0] if len(found) == 1 else None


def unspoken(kind: Kind, slot: str, events: Sequence[Event]) -> str | None:
    """Whom or what an event involves without a word: the hero, or the thing spoken of last."""
    if slot in kind.new or not events:
        return None
    if slot in PEOPLE:
        return next(iter(events[0].people()), None)
    things = [name for e in events for key, name in e.names.items() if key in THINGS]
    return things[-1] if slot in THINGS and things else None

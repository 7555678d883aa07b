"""A tale in the making: draws a cast, lets events happen and refuses impossible ones.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Sequence

from minillm.corpora.stories.choices import Choices
from minillm.corpora.stories.events import Event, happen, kinds
from minillm.corpora.stories.vocabulary import PREPOSITION, SPOTS, WORDS, outdoors, spots
from minillm.corpora.stories.world import World

PEOPLE = WORDS["she"] + WORDS["he"]
OUTSIDE = tuple(place for place in PREPOSITION if outdoors(place))
INSIDE = tuple(place for place in PREPOSITION if not outdoors(place))
PLACES = OUTSIDE + INSIDE


class Tale:
    """The events of one story, each checked against the world when it happens.

    No person, thing, place or spot is drawn twice. `things` holds the things in the order in
    which they were drawn, with their adjectives.
    """

    def __init__(self, choices: Choices) -> None:
        self.world = World()
        self.events: list[Event] = []
        self.things: dict[str, str] = {}
        self._choices = choices
        self._used: set[str] = set()

    def person(self) -> str:
        """Somebody new."""
        return self._new(PEOPLE)

    def thing(self, kind: str) -> str:
        """Something new of a kind, with an adjective that suits it."""
        noun = self._new(WORDS[kind])
        self.things[noun] = self._choices.pick(WORDS[f"{kind}-is"])
        return noun

    def place(self, among: Sequence[str] = PLACES) -> str:
        """A new place."""
        return self._new(among)

    def either(self, first: str, second: str) -> str:
        """One of two."""
        return self._choices.pick((first, second))

    def spot(self, place: str) -> str:
        """A new spot in a place, such as "under a bench"."""
        return self._new(spots(place))

    def high_spot(self) -> str:
        """A spot out of reach."""
        return self._new([phrase for phrase, spot in SPOTS.items() if spot.high])

    def happen(self, kind: str, *names: str) -> None:
        """Let an event happen, its names in the order of the parameters in events.txt.

        Raises:
            ValueError: If the world does not allow the event.
        """
        event = Event(kind, dict(zip(kinds()[kind].parameters, names, strict=True)))
        complaints = happen(self.world, event)
        if complaints:
            raise ValueError(f"{kind} cannot happen: {'; '.join(complaints)}")
        self.events.append(event)

    def begin(self, hero: str, place: str) -> None:
        """Introduce the hero, and half of the time the scene."""
        self.happen("intro", hero, place)
        if self._choices.pick((True, False)):
            self.happen("scene" if outdoors(place) else "indoors")

    def meet(self, hero: str) -> str:
        """A new person with a trade, where the hero is."""
        name, job = self.person(), self._choices.pick(WORDS["job"])
        self.happen("meet", hero, name, job)
        return name

    def friend(self, hero: str) -> str:
        """A friend who is where the hero is."""
        name = self.person()
        self.happen("friend", hero, name)
        return name

    def _new(self, options: Sequence[str]) -> str:
        picked = self._choices.pick([word for word in options if word not in self._used])
        self._used.add(picked)
        return picked

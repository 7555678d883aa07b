"""From words in slots back to people, things and places.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from minillm.corpora.stories.events import Event, Kind, antecedent, unspoken
from minillm.corpora.stories.templates import Slot, Template
from minillm.corpora.stories.vocabulary import KIND, PREPOSITION, PRONOUN, SPOTS, WORDS, article

_ME = {"I", "me", "my"}
_SHE = {"she", "her"}


@dataclass(frozen=True)
class Listener:
    """What must be kept in mind to understand the next sentence.

    Attributes:
        narrator: the person called I, or None as long as that is not known.
        adjectives: the adjective of each thing.
        events: everything told so far.
    """

    narrator: str | None = None
    adjectives: dict[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def after(self, event: Event) -> Listener:
        """The listener who has understood one more event."""
        return replace(self, events=(*self.events, event))

    def hear(self, template: Template, match: re.Match[str]) -> Hearing | None:
        """What the slots of a matched template mean, or None if a word is not of the world."""
        own = replace(self, adjectives=dict(self.adjectives))
        hearing = Hearing(own)
        pairs = list(zip(template.slots, match.groups(), strict=True))
        # Names first, so that a pronoun can be compared with the name it stands for.
        pairs.sort(key=lambda pair: _is_pronoun(*pair))
        understood = all(hearing.take(slot, words) for slot, words in pairs)
        return hearing if understood else None


@dataclass
class Hearing:
    """The meanings of the slots of one sentence, as far as they are understood."""

    listener: Listener
    meanings: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def event(self, kind: Kind) -> Event:
        """The event that was told; who takes part without a word is understood."""
        names = {}
        for slot in kind.parameters:
            name = self.meanings.get(slot) or unspoken(kind, slot, self.listener.events)
            if name is not None:
                names[slot] = name
        return Event(kind.name, names)

    def take(self, slot: Slot, words: str) -> bool:
        """Understand one slot; False if its words are not of the world or of another kind."""
        if slot.sort == "person":
            return self._person(slot, words)
        if slot.sort == "flavour":
            return self._flavour(slot, words)
        *before, noun = words.split(" ")
        if slot.form in {"a", "an"} and article(" ".join([*before[1:], noun])) != words.lower():
            self.faults.append(f"{words!r} has the wrong article")
        if slot.sort == "spot":
            return words in SPOTS and self._mean(slot, words)
        if slot.sort == "place":
            fits = noun in PREPOSITION and before[0] in {PREPOSITION[noun], "the"}
            return fits and self._mean(slot, noun)
        if slot.sort == "job":
            return noun in WORDS["job"] and self._mean(slot, noun)
        return noun in KIND and self._adjective(noun, before) and self._mean(slot, noun)

    def _flavour(self, slot: Slot, words: str) -> bool:
        word = words.rsplit(" ", maxsplit=1)[-1]
        if slot.form == "a" and article(word) != words.lower():
            self.faults.append(f"{words!r} has the wrong article")
        return word in WORDS[slot.name[0]]

    def _adjective(self, noun: str, before: list[str]) -> bool:
        """Compare the adjective of a thing, if there is one, with what was said earlier."""
        if len(before) < 2:
            return True
        told = self.listener.adjectives.setdefault(noun, before[1])
        if told != before[1]:
            self.faults.append(f"the {noun} is {told}, not {before[1]}")
        return before[1] in WORDS[f"{KIND[noun]}-is"]

    def _person(self, slot: Slot, words: str) -> bool:
        if _is_pronoun(slot, words):
            self._pronoun(slot, words)
            return True
        name = words.removesuffix("'s")
        if name not in PRONOUN:
            return False
        if name == self.listener.narrator and slot.form != "name":
            self.faults.append(f"{name}, who tells the story, is spoken of by name")
        return self._mean(slot, name)

    def _pronoun(self, slot: Slot, words: str) -> None:
        if words in _ME or words == "My":
            self._narrator(slot)
            return
        pronoun = "she" if words.lower() in _SHE else "he"
        name = self.meanings.get(slot.name)
        if name is None:
            meant = antecedent(self.listener.events, pronoun, self.listener.narrator)
            self.meanings[slot.name] = meant or words
            if meant is None:
                self.faults.append(f"it is not clear who {words!r} is")
        elif PRONOUN.get(name, pronoun) != pronoun:
            self.faults.append(f"{name} is not {words!r}")

    def _narrator(self, slot: Slot) -> None:
        name = self.meanings.get(slot.name)
        if self.listener.narrator is None and name is not None:
            self.listener = replace(self.listener, narrator=name)
        if self.listener.narrator is None:
            self.faults.append("it is not said who tells the story")
        self._mean(slot, self.listener.narrator or "I")

    def _mean(self, slot: Slot, value: str) -> bool:
        """Let a slot mean a value; two values for one slot are a fault."""
        told = self.meanings.setdefault(slot.name, value)
        if told != value:
            self.faults.append(f"{told} and {value} stand where one is meant")
        return True


def _is_pronoun(slot: Slot, words: str) -> bool:
    return slot.sort == "person" and (slot.pronoun or words in _ME | {"He", "She"})

"""One table of sentences for both directions: a template is filled to tell and matched to read.

A slot names a parameter of an event and a form: {a} is a person as the subject, {a.o} as the
object, {a.his} a pronoun, {x} "the kite", {x.a} "a red kite", {p.in} "at the market". Slots of
one letter in `FLAVOURS` carry no fact: the teller picks any word of that category.

Book: chapter "Pretraining".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from minillm.corpora.stories.vocabulary import PREPOSITION, PRONOUN, article

PEOPLE, THINGS, PLACES, SPOTS = "abc", "xyz", "pq", "st"
_SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_STARTS = re.compile(r'(^|[.!?] )"?$')
_CASES = {
    "he": {"she": "she", "he": "he", "I": "I"},
    "him": {"she": "her", "he": "him", "I": "me"},
    "his": {"she": "her", "he": "his", "I": "my"},
}
_PATTERNS = {
    "person": "([A-Z][a-z-]+|I)",
    "person.o": "([A-Z][a-z-]+|me)",
    "person.s": "([A-Z][a-z-]+'s|my)",
    "person.name": "([A-Z][a-z-]+)",
    "person.he": "([Hh]e|[Ss]he|I)",
    "person.him": "(him|her|me)",
    "person.his": "([Hh]is|[Hh]er|[Mm]y)",
    "thing": "([Tt]he [a-z-]+)",
    "thing.a": "([Aa]n? [a-z-]+ [a-z-]+)",
    "thing.an": "([Aa]n? [a-z-]+)",
    "thing.n": "([a-z-]+)",
    "place": "(the [a-z-]+)",
    "place.in": "((?:at|in|on) the [a-z-]+)",
    "spot": "([a-z]+ an? [a-z-]+)",
    "job.a": "([Aa]n? [a-z-]+)",
    "flavour": "([A-Za-z-]+)",
    "flavour.a": "([Aa]n? [a-z-]+)",
}


class Slot(NamedTuple):
    """A gap in a template; `capital` if a sentence starts there, `opening` if the text does."""

    name: str
    form: str
    capital: bool
    opening: bool

    @property
    def sort(self) -> str:
        """Which words fill it: person, thing, place, spot, job or flavour."""
        for sort, letters in (("person", PEOPLE), ("thing", THINGS), ("place", PLACES)):
            if self.name in letters:
                return sort
        return "spot" if self.name in SPOTS else "job" if self.name == "j" else "flavour"

    @property
    def pronoun(self) -> bool:
        """Whether the form never names the person."""
        return self.form.lower() in _CASES

    @property
    def pattern(self) -> str:
        """A regular expression, with one group, for everything that can stand here."""
        form = self.form.lower()
        pattern = _PATTERNS[f"{self.sort}.{form}" if form else self.sort]
        return pattern.replace("|I)", "|I|He|She)") if self.opening and not form else pattern


@dataclass(frozen=True)
class Teller:
    """Who tells: `narrator` is the person called I (or None); `adjectives` belong to things."""

    narrator: str | None
    adjectives: Mapping[str, str]


@dataclass(frozen=True)
class Template:
    """A sentence, or a few, with slots."""

    text: str

    @cached_property
    def parts(self) -> tuple[str | Slot, ...]:
        """The text cut into literal pieces and slots."""
        parts: list[str | Slot] = []
        end = 0
        for match in _SLOT.finditer(self.text):
            parts.append(self.text[end : match.start()])
            before = self.text[: match.start()]
            capital = bool(_STARTS.search(before))
            parts.append(Slot(match[1], match[2] or "", capital, match.start() == 0))
            end = match.end()
        return (*parts, self.text[end:])

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots alone, in order."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    @cached_property
    def spoken(self) -> frozenset[str]:
        """The names of the slots."""
        return frozenset(slot.name for slot in self.slots)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A regular expression that matches every filling, one group a slot."""
        pieces = [re.escape(p) if isinstance(p, str) else p.pattern for p in self.parts]
        return re.compile("".join(pieces) + r"(?=\s|$)")

    @cached_property
    def unnamed(self) -> frozenset[str]:
        """People of whom the template has pronouns only."""
        people = [slot for slot in self.slots if slot.sort == "person"]
        return frozenset({s.name for s in people} - {s.name for s in people if not s.pronoun})

    def fill(self, names: Mapping[str, str], teller: Teller, opening: str | None = None) -> str:
        """The text with every slot filled.

        Args:
            names: a value for every slot.
            teller: who tells.
            opening: a pronoun ("He") that stands instead of the name at the very beginning.
        """
        return "".join(
            part
            if isinstance(part, str)
            else opening
            if opening and part.opening and not part.form
            else phrase(part, names[part.name], teller)
            for part in self.parts
        )


def phrase(slot: Slot, value: str, teller: Teller) -> str:
    """What stands in a slot for a value."""
    if slot.sort == "person":
        words = _person(slot.form, value, value == teller.narrator)
    else:
        words = _other(slot, value, teller)
    capital = slot.capital or slot.form[:1].isupper()
    return words[0].upper() + words[1:] if capital else words


def _person(form: str, name: str, narrator: bool) -> str:
    if form.lower() in _CASES:
        return _CASES[form.lower()]["I" if narrator else PRONOUN[name]]
    if narrator and form != "name":
        return {"": "I", "o": "me", "s": "my"}[form]
    return f"{name}'s" if form == "s" else name


def _other(slot: Slot, value: str, teller: Teller) -> str:
    if slot.sort == "thing" and slot.form == "a":
        return article(f"{teller.adjectives[value]} {value}")
    if slot.form in {"a", "an"}:
        return article(value)
    if slot.form == "in":
        return f"{PREPOSITION[value]} the {value}"
    bare = slot.form == "n" or slot.sort in {"spot", "job", "flavour"}
    return value if bare else f"the {value}"

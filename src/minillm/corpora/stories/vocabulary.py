"""The words of the world, read from words.txt: people, places, things and colour.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

# Slots whose words carry no fact, by first letter of the slot: weekday, feeling, weather and so on.
FLAVOURS = tuple("kvdrgfmenoluwihGKM")


class Spot(NamedTuple):
    """Where a thing can lie: ("under", "bench"), and whether that is out of reach."""

    preposition: str
    noun: str
    category: str

    @property
    def high(self) -> bool:
        """Whether one cannot reach it from the ground."""
        return self.category == "spot-high"


def _tables() -> dict[str, tuple[str, ...]]:
    """Category -> words, in the order of the file."""
    found: dict[str, tuple[str, ...]] = {}
    text = files(__package__).joinpath("words.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, words = line.partition(": ")
            found[name] = found.get(name, ()) + tuple(words.split())
    return found


def article(word: str) -> str:
    """The word after "a" or "an"; the vocabulary has none whose letter and sound differ but these.

    Example:
        >>> article("kite"), article("acorn"), article("honest"), article("ukulele")
        ('a kite', 'an acorn', 'an honest', 'a ukulele')
    """
    vowel = word[0] in "aeiou" and not word.startswith(("uku", "uni", "use", "one"))
    return f"an {word}" if vowel or word.startswith(("hour", "honest")) else f"a {word}"


WORDS = _tables()
PRONOUN = {name: pronoun for pronoun in ("she", "he") for name in WORDS[pronoun]}
PREPOSITION = {
    noun: category.partition("-")[0]
    for category in ("at-out", "in-out", "on-out", "at-in", "in-in")
    for noun in WORDS[category]
}
KINDS = tuple(name.removesuffix("-is") for name in WORDS if name.endswith("-is"))
KIND = {noun: kind for kind in KINDS for noun in WORDS[kind]}
SPOTS = {
    f"{preposition} {article(noun)}": Spot(preposition, noun, category)
    for category in ("spot-out", "spot-in", "spot-high")
    for preposition, _, noun in (word.partition(":") for word in WORDS[category])
}


def outdoors(place: str) -> bool:
    """Whether a place is under the sky."""
    return any(place in WORDS[f"{preposition}-out"] for preposition in ("at", "in", "on"))


def spots(place: str) -> tuple[str, ...]:
    """The phrases that say where in a place a thing can lie."""
    category = "spot-out" if outdoors(place) else "spot-in"
    return tuple(phrase for phrase, spot in SPOTS.items() if spot.category == category)

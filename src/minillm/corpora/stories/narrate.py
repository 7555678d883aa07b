"""From events to sentences, in one of five styles.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Mapping

from minillm.corpora.stories.choices import Choices
from minillm.corpora.stories.events import FIRST_PERSON, Event, antecedent, kinds, unspoken
from minillm.corpora.stories.templates import Teller, Template
from minillm.corpora.stories.vocabulary import FLAVOURS, PRONOUN, WORDS


class Narrator:
    """Tells events one after the other and remembers who was spoken of.

    Args:
        style: a letter of `events.STYLES`; in the last two the hero says "I".
        hero: the name of the hero.
        adjectives: the adjective of every thing.
        choices: where the sentences and the words without a fact are drawn from.
    """

    def __init__(
        self, style: str, hero: str, adjectives: Mapping[str, str], choices: Choices
    ) -> None:
        self._style = style
        self._teller = Teller(hero if style in FIRST_PERSON else None, adjectives)
        self._choices = choices
        self._told: list[Event] = []

    def tell(self, event: Event) -> str:
        """The event in a sentence or a few."""
        fitting = [
            template
            for template in kinds()[event.kind].templates[self._style]
            if self._understandable(template, event)
        ]
        template = self._choices.pick(fitting)
        opening = self._opening(template, event)
        names = {**event.names, **self._colour(template)}
        self._told.append(event)
        return template.fill(names, self._teller, opening)

    def _understandable(self, template: Template, event: Event) -> bool:
        """Whether the sentence says, or leaves no doubt, who and what takes part."""
        kind = kinds()[event.kind]
        return all(self._clear(event.names[slot]) for slot in template.unnamed) and all(
            unspoken(kind, slot, self._told) == name
            for slot, name in event.names.items()
            if slot not in template.spoken
        )

    def _clear(self, name: str) -> bool:
        """Whether a pronoun alone would name this person."""
        narrator = self._teller.narrator
        return name == narrator or antecedent(self._told, PRONOUN[name], narrator) == name

    def _opening(self, template: Template, event: Event) -> str | None:
        """Perhaps a pronoun for the first word, where it is clear who is meant."""
        slot = next((slot for slot in template.slots if slot.opening), None)
        if slot is None or slot.sort != "person" or slot.form:
            return None
        name = event.names[slot.name]
        if name == self._teller.narrator or not self._clear(name):
            return None
        return self._choices.pick((PRONOUN[name].capitalize(), None))

    def _colour(self, template: Template) -> dict[str, str]:
        """Words for the slots that carry no fact, no word twice."""
        words: dict[str, str] = {}
        for slot in template.slots:
            if slot.name[0] in FLAVOURS and slot.name not in words:
                free = [w for w in WORDS[slot.name[0]] if w not in words.values()]
                words[slot.name] = self._choices.pick(free)
        return words

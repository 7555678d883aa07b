"""A story with its facts, its questions and the information in its choices.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from minillm.corpora.stories import plots, plots_of_three
from minillm.corpora.stories.choices import Choices
from minillm.corpora.stories.events import STYLES, Event, kinds
from minillm.corpora.stories.narrate import Narrator
from minillm.corpora.stories.tale import Tale
from minillm.corpora.stories.templates import Teller, phrase
from minillm.corpora.stories.world import Fact

PLOTS = (
    plots.lost,
    plots.borrowed,
    plots.broken,
    plots.rescue,
    plots.birthday,
    plots.lunch,
    plots.storm,
    plots.trade,
    plots.surprise,
    plots.garden,
    plots.lesson,
    plots.locked,
    plots_of_three.quarrel,
    plots_of_three.race,
    plots_of_three.traveller,
    plots_of_three.errand,
)


class Question(NamedTuple):
    """A question about a story and its answer, words that stand in the text."""

    question: str
    answer: str


@dataclass(frozen=True)
class Story:
    """A story; `nats` is -log p of the choices that made it.

    Since the choices determine the text, p(text) is the sum of p(choices) over all choices that
    lead to it, so -log p(text) <= nats for every story, and the entropy of the texts is at most
    the mean of `nats`. The two are equal only if every text can come from one sequence of
    choices; the bound is therefore what a perfect model reaches or beats a little.

    Attributes:
        text: what happened, in 60 to 180 words.
        facts: what is true at the end.
        questions: questions with answers.
        summary: one line.
        plot: name of the plot.
        style: plain, lively, terse, diary or letter.
        seed: (seed, index) that `tell` made it from.
        key: plot and main thing; a split by key keeps whole stories apart.
        nats: information of all choices.
    """

    text: str
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]
    summary: str
    plot: str
    style: str
    seed: tuple[int, int]
    key: str
    nats: float


def tell(seed: int, index: int) -> Story:
    """Story number `index` of a seed: a pure function of the two numbers.

    Example:
        >>> story = tell(seed=0, index=0)
        >>> story == tell(seed=0, index=0), story.text == tell(seed=0, index=1).text
        (True, False)

    Book: chapter "Pretraining".
    """
    choices = Choices(seed, index)
    style = choices.pick("PLTDE")
    plot = choices.pick(PLOTS)
    tale = Tale(choices)
    summary = plot(tale)
    hero = tale.events[0].names["a"]
    tale.happen("close", hero)
    narrator = Narrator(style, hero, tale.things, choices)
    return Story(
        text=" ".join(narrator.tell(event) for event in tale.events),
        facts=tale.world.facts(),
        questions=_questions(tale.events, tale.things),
        summary=summary,
        plot=plot.__name__,
        style=STYLES[style],
        seed=(seed, index),
        key=f"{plot.__name__}/{next(iter(tale.things))}",
        nats=choices.nats,
    )


def _questions(events: list[Event], adjectives: dict[str, str]) -> tuple[Question, ...]:
    """The questions that the events raise, without those that would have two answers."""
    teller = Teller(None, adjectives)
    answers: dict[str, set[str]] = {}
    for event in events:
        for question, answer in kinds()[event.kind].questions:
            asked = question.fill(event.names, teller)
            slot = answer.slots[0]._replace(capital=False)
            answers.setdefault(asked, set()).add(phrase(slot, event.names[slot.name], teller))
    return tuple(Question(q, found.pop()) for q, found in answers.items() if len(found) == 1)

"""Ways to spoil a story on purpose; each takes a story and a source of chance."""

import random
import re

from minillm.corpora.stories.events import kinds
from minillm.corpora.stories.story import Story
from minillm.corpora.stories.truth import check
from minillm.corpora.stories.vocabulary import KIND, PREPOSITION, PRONOUN

MOVES = {"with", "at", "owner"}


def _replaced(text, words, other, chance):
    """One mention, not the first, of one of the words becomes `other(word)`."""
    pattern = r"\b(" + "|".join(map(re.escape, sorted(words))) + r")\b"
    found = list(re.finditer(pattern, text))[1:]
    if not found:
        return None
    match = chance.choice(found)
    return text[: match.start()] + other(match[0]) + text[match.end() :]


def _entities(story: Story, vocabulary):
    words = set(re.findall(r"[A-Za-z-]+", story.text))
    return sorted(words & set(vocabulary))


def _swap(story, vocabulary, chance):
    own = _entities(story, vocabulary)
    if len(own) < 2:
        return None
    return _replaced(
        story.text, own, lambda word: chance.choice([w for w in own if w != word]), chance
    )


def swap_name(story: Story, chance: random.Random):
    """Another person of the story."""
    return _swap(story, PRONOUN, chance)


def strange_name(story: Story, chance: random.Random):
    """A person who does not come up."""
    own = _entities(story, PRONOUN)
    other = chance.choice([name for name in PRONOUN if name not in own])
    return _replaced(story.text, own, lambda _: other, chance)


def swap_thing(story: Story, chance: random.Random):
    """Another thing of the story."""
    return _swap(story, KIND, chance)


def strange_thing(story: Story, chance: random.Random):
    """A thing that does not come up."""
    own = _entities(story, KIND)
    other = chance.choice([noun for noun in KIND if noun not in own])
    return _replaced(story.text, own, lambda _: other, chance)


def swap_place(story: Story, chance: random.Random):
    """Another place of the story."""
    return _swap(story, PREPOSITION, chance)


def flip_pronoun(story: Story, chance: random.Random):
    """He for she, his for her."""
    other = {"He": "She", "She": "He", "he": "she", "she": "he", "his": "her", "him": "her"}
    return _replaced(story.text, other, other.__getitem__, chance)


def drop_move(story: Story, chance: random.Random):
    """Leave out a sentence that moves a person or a thing."""
    readings = check(story.text).readings
    moving = [
        i
        for i, reading in enumerate(readings)
        if any(made.relation in MOVES for made in kinds()[reading.event.kind].makes)
    ]
    dropped = chance.choice(moving)
    return " ".join(r.text for i, r in enumerate(readings) if i != dropped)


def shuffle_two(story: Story, chance: random.Random):
    """Exchange two sentences anywhere."""
    texts = [reading.text for reading in check(story.text).readings]
    i, j = chance.sample(range(len(texts)), 2)
    texts[i], texts[j] = texts[j], texts[i]
    return " ".join(texts)


ALL = (
    swap_name,
    strange_name,
    swap_thing,
    strange_thing,
    swap_place,
    flip_pronoun,
    drop_move,
    shuffle_two,
)


def catch_rate(corrupt, stories):
    """Share of the spoiled stories in which the truth test sees something; and their number."""
    caught = total = 0
    for i, story in enumerate(stories):
        text = corrupt(story, random.Random(i))
        if text is not None and text != story.text:
            found = check(text)
            total += 1
            caught += bool(found.contradictions or found.unparsed)
    return caught / total, total

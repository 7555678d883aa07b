"""Stories as a corpus: three parts that share no (plot, main thing), and a card.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from minillm.corpora.core import Card, Corpus, distinct, parts_by, sizes
from minillm.corpora.stories.shelf import told
from minillm.corpora.stories.story import PLOTS, Story


@cache
def stories(n: int = 20_000, seed: int = 0) -> Corpus[Story]:
    """The first `n` stories of a seed, divided so that test stories are new in substance.

    All stories with the same plot and the same main thing (a lost locket, a lost marble) go to
    the same part. A test story therefore shares neither its text nor its facts with a training
    story; it shares words, sentence patterns and, in other plots, people and things.

    Telling runs at about 1 MB a second on one core. A thousand stories and more are kept in the
    cache of `hub`, from which they come about five times as fast.

    Args:
        n: how many stories are told; repeated texts are dropped.
        seed: another seed gives other stories, divided by the same rule.

    Raises:
        ValueError: If `n` is negative.

    Example:
        >>> corpus = stories(n=200)
        >>> train = {story.key for story in corpus.train}
        >>> any(story.key in train for story in corpus.test)
        False

    Book: chapter "Pretraining".
    """
    if n < 0:
        raise ValueError(f"n is {n}, but a corpus has 0 stories or more")
    made = told(n, seed)
    kept = distinct(made, lambda story: story.text)
    parts = parts_by((f"stories/{story.key}", story) for story in kept)
    return Corpus(*parts, _card(kept, seed, sizes(parts), repeated=len(made) - len(kept)))


def _card(kept: Sequence[Story], seed: int, shares: str, *, repeated: int) -> Card:
    """What to know of these stories."""
    characters = sum(len(story.text) for story in kept)
    nats = sum(story.nats for story in kept) / max(characters, 1)
    return Card(
        what=f"stories of a simulated world: {len(PLOTS)} plots, five styles, facts, questions",
        origin=f"made by minillm.corpora.stories from seed {seed}; no outside text",
        licence="CC0, no rights reserved",
        size=f"{len(kept):,} stories, {characters:,} characters; the entropy of a text is at "
        f"most {nats:.3f} nats a character",
        split=f"by plot and main thing; train, validation, test: {shares} stories",
        faults="sentence patterns repeat (with 1,500 stories, 3 % of the test part's spans of 50 "
        "characters are in the training part too, none of 175); "
        "a plot with few main things can be missing from validation or test; "
        f"{repeated} repeated texts were removed; the world is narrow and always kind",
    )

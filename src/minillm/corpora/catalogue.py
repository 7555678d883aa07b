"""Running text by the name of a corpus, or from files: what a language model trains on.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from minillm.corpora import dates
from minillm.corpora.core import Corpus, TextCorpus
from minillm.corpora.dialogues import chatterbot_dialogues
from minillm.corpora.functions import stdlib_functions
from minillm.corpora.geography import geo_facts
from minillm.corpora.mails import mails
from minillm.corpora.stories.corpus import stories
from minillm.corpora.texts import bible, python_docs, reviews
from minillm.corpora.verse_pairs import verse_pairs
from minillm.errors import did_you_mean
from minillm.files import read_text

CORPORA: dict[str, Callable[[], Corpus[Any] | TextCorpus]] = {
    "python-docs": python_docs,
    "bible-bbe": partial(bible, "bbe"),
    "bible-kjv": partial(bible, "kjv"),
    "reviews-movies": partial(reviews, "movies"),
    "reviews-products": partial(reviews, "products"),
    "reviews-editorials": partial(reviews, "editorials"),
    "reviews-tweets": partial(reviews, "tweets"),
    "chatterbot-dialogues": chatterbot_dialogues,
    "chatterbot-dialogues-zh": partial(chatterbot_dialogues, "zh"),
    "cldr-dates": dates,
    "geo-facts": geo_facts,
    "geo-facts-zh": partial(geo_facts, "zh"),
    "spam-assassin": mails,
    "stdlib-functions": stdlib_functions,
    "stories": stories,
    "verse-pairs": verse_pairs,
}
"""Every corpus that can be called by name."""


class Texts(NamedTuple):
    """Text to train on, text to measure on during training, and where they are from."""

    train: str
    validation: str
    origin: str


def find_corpus(name: str) -> Corpus[Any] | TextCorpus:
    """The corpus of this name.

    Raises:
        ValueError: If there is none; the nearest name is suggested.
        HubError: If it must be fetched and cannot be.

    Example:
        >>> find_corpus("python-doc")
        Traceback (most recent call last):
        ...
        ValueError: no corpus is called 'python-doc'; did you mean 'python-docs'?

    Book: chapter "Pretraining".
    """
    if name not in CORPORA:
        raise ValueError(f"no corpus is called {name!r}; {did_you_mean(name, CORPORA)}")
    return CORPORA[name]()


def corpus_texts(name: str) -> Texts:
    """A corpus as running text: one item a line, or with a blank line between longer items.

    Raises:
        ValueError: If there is no corpus of this name.

    Book: chapter "Pretraining".
    """
    corpus = find_corpus(name)
    if isinstance(corpus, TextCorpus):
        return Texts(corpus.train, corpus.validation, str(corpus.card))
    return Texts(_lines(corpus.train), _lines(corpus.validation), str(corpus.card))


def file_texts(paths: Sequence[str | Path], *, share: float) -> Texts:
    """The texts of files, one after the other; the last part of each is for validation.

    Args:
        paths: UTF-8 text files.
        share: how much of each file is held back, from 0 to 1.

    Raises:
        ValueError: If there is no file, a file is empty or not UTF-8, or `share` is not in [0, 1).
        OSError: If a file cannot be read.

    Book: chapter "Pretraining".
    """
    if not paths or not 0 <= share < 1:
        raise ValueError(f"{len(paths)} files with a share of {share} for validation")
    texts = [read_text(path) for path in paths]
    cuts = [round(len(text) * (1 - share)) for text in texts]
    parts = list(zip(texts, cuts, strict=True))
    train, held = "\n".join(t[:cut] for t, cut in parts), "\n".join(t[cut:] for t, cut in parts)
    origin = f"{', '.join(Path(p).name for p in paths)}; {share:.0%} of each held back"
    return Texts(train, held, origin)


def item_text(item: Any) -> str:
    """The text of an item: of a verse, a dialogue and so on, or the item itself if it is a text.

    Example:
        >>> item_text("as it is")
        'as it is'

    Book: chapter "Pretraining".
    """
    return item if isinstance(item, str) else item.text


def _lines(items: Iterable[Any]) -> str:
    texts = [item_text(item) for item in items]
    return ("\n\n" if any("\n" in text for text in texts) else "\n").join(texts)

"""Prose: Python's own manual, the Bible in two Englishes, reviews with scores.

Book: chapter "Predicting the next word".
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Literal, NamedTuple

from minillm.corpora.core import Card, Corpus, TextCorpus, distinct, parts_by, sizes
from minillm.corpora.shipped import MADE_WITH, shipped
from minillm.corpora.verses import numbered_verses
from minillm.hub.packages import fetch

Domain = Literal["movies", "products", "editorials", "tweets"]
Version = Literal["kjv", "bbe"]

_TITLES: dict[Version, str] = {"kjv": "King James Version", "bbe": "Bible in Basic English"}
_FILES: dict[Domain, str] = {
    "movies": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
    "tweets": "tweets",
}


class Verse(NamedTuple):
    """A verse; the same `id` (book · 1,000,000 + chapter · 1,000 + verse) in every version."""

    id: int
    text: str


class Review(NamedTuple):
    """A text and the mean of twenty people's scores, -4 (very negative) to 4 (very positive)."""

    text: str
    score: float


def python_topics() -> dict[str, str]:
    """What Python's `help` prints about the language, by topic, as it is: with its repetitions.

    The text is that of one version, and comes with the package: it is the same on every Python.

    Example:
        >>> topics = python_topics()
        >>> len(topics), topics["for"].splitlines()[0]
        (79, 'The "for" statement')

    Book: chapter "Pretraining".
    """
    topics: dict[str, str] = shipped("python_manual")
    return topics


@cache
def python_docs() -> TextCorpus:
    """Python's own reference manual in plain English, shipped with the package: no download.

    Example:
        >>> docs = python_docs()
        >>> len(docs.text), "for" in docs.train
        (373292, True)

    Book: chapter "Pretraining".
    """
    topics = python_topics()
    paragraphs = [(name, p) for name in sorted(topics) for p in topics[name].split("\n\n")]
    kept = distinct(paragraphs, lambda pair: pair[1].strip())
    divided = parts_by((f"python/{name}", text) for name, text in kept)
    train, validation, test = parts = ["\n\n".join(part) for part in divided]
    text = "\n\n".join(text for _, text in kept)
    card = Card(
        what="help texts of Python's language reference (pydoc_data.topics), joined in key order",
        origin=f"the standard library of Python {MADE_WITH['python']}, shipped with minillm",
        licence="PSF License (part of Python)",
        size=f"{len(text):,} characters, {len(set(text))} distinct, {len(topics)} topics",
        split=f"by topic; train, validation, test: {sizes(parts)} characters",
        faults="other versions of Python have another text; grammar rules and tables stand among "
        f"the prose; {len(paragraphs) - len(kept)} repeated paragraphs were removed",
    )
    return TextCorpus(text, train, validation, test, card)


@cache
def bible(version: Version = "bbe") -> Corpus[Verse]:
    """The Bible by verses: King James ("kjv", 1611) or Basic English ("bbe", 1949, 1,000 words).

    Args:
        version: which; both number their verses alike, so equal ids make translation pairs.

    Raises:
        ValueError: If there is no such version.
        HubError: If the text is not in the cache and cannot be fetched.

    Book: chapter "Predicting the next word".
    """
    if version not in _TITLES:
        raise ValueError(f"version {version!r} is not one of {sorted(_TITLES)}")
    numbered = numbered_verses(fetch(f"bible-{version}").read_text(encoding="utf-8"))
    verses = [Verse(i, text) for i, text in sorted(numbered.items())]
    kept = distinct([v for v in verses if re.search("[a-z]", v.text)], lambda v: v.text.lower())
    parts = parts_by((f"bible/{verse.id // 1000}", verse) for verse in kept)
    words = sum(len(verse.text.split()) for verse in kept)
    card = Card(
        what=f"{_TITLES[version]}, one item a verse",
        origin=f"Python package pythonbible-{version}",
        licence="MIT (package); the text is in the public domain in the United States",
        size=f"{len(kept):,} verses, {words:,} words",
        split=f"by chapter; train, validation, test: {sizes(parts)} verses",
        faults=f"{len(verses) - len(kept)} repeated, empty or damaged verses were removed; "
        "parallel passages in other words remain, so test text can resemble training text",
    )
    return Corpus(*parts, card)


@cache
def reviews(domain: Domain = "movies") -> Corpus[Review]:
    """Short English texts with scores given by people.

    Args:
        domain: "movies", "products", "editorials" or "tweets".

    Raises:
        ValueError: If there is no such domain.
        HubError: If the texts are not in the cache and cannot be fetched.

    Source: Hutto and Gilbert (2014), "VADER", ICWSM.
    Book: chapter "Classification, sentiment, moderation".
    """
    if domain not in _FILES:
        raise ValueError(f"domain {domain!r} is not one of {sorted(_FILES)}")
    path = fetch("vader-reviews") / f"{_FILES[domain]}_GroundTruth.txt"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    # "12_3" is the third sentence of review 12: a review is never torn apart.
    found = [
        (name.partition("_")[0], Review(_unescaped(text).strip(), float(score)))
        for name, score, text in rows
    ]
    kept = distinct(found, lambda named: re.sub(r"\W+", " ", named[1].text.lower()).strip())
    parts = parts_by((f"{domain}/{name}", review) for name, review in kept)
    card = Card(
        what=f"{domain}: sentences and snippets, each scored -4 to 4 by twenty people",
        origin="Hutto and Gilbert (2014), source archive of the Python package vaderSentiment",
        licence="MIT (package); the texts belong to their authors",
        size=f"{len(kept):,} texts, {sum(len(r.text.split()) for _, r in kept):,} words",
        split=f"by review; train, validation, test: {sizes(parts)} texts",
        faults=f"{len(found) - len(kept)} repeated texts were removed; a score near 0 means mixed "
        "as often as neutral; the texts stand in file order, which is partly sorted by class",
    )
    return Corpus(*parts, card)


def _unescaped(text: str) -> str:
    """Entities such as &quot; as characters; some texts were escaped twice."""
    return html.unescape(html.unescape(text))

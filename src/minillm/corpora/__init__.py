"""Real texts with one call: fixed splits, no repetitions, and a card that says what is wrong.

Every corpus is divided into training, validation and test by a hash of the unit that must not
be torn apart (a topic, a chapter, a country), so the division is the same on every machine and
does not move when a corpus grows. A corpus is the same on every Python: its text comes with the
package (`shipped`) or is fetched and checked by `hub`.

Source: Gebru et al. (2021), arXiv:1803.09010, for the idea of a data card.
Book: chapter "Predicting the next word".
"""

from minillm.corpora.core import Card, Corpus, Split, TextCorpus, split_of
from minillm.corpora.date_alignment import known_alignment
from minillm.corpora.dates import Pair, dates
from minillm.corpora.dialogues import Dialogue, chatterbot_dialogues
from minillm.corpora.functions import Function, stdlib_functions
from minillm.corpora.geography import Question, geo_facts
from minillm.corpora.mails import Mail, mails
from minillm.corpora.passages import Passage, book_passages
from minillm.corpora.problems import Problem, code_problems
from minillm.corpora.texts import Review, Verse, bible, python_docs, python_topics, reviews
from minillm.corpora.verse_pairs import verse_pairs

__all__ = [
    "Card",
    "Corpus",
    "Dialogue",
    "Function",
    "Mail",
    "Pair",
    "Passage",
    "Problem",
    "Question",
    "Review",
    "Split",
    "TextCorpus",
    "Verse",
    "bible",
    "book_passages",
    "chatterbot_dialogues",
    "code_problems",
    "dates",
    "geo_facts",
    "known_alignment",
    "mails",
    "python_docs",
    "python_topics",
    "reviews",
    "split_of",
    "stdlib_functions",
    "verse_pairs",
]

"""A simulated world that tells stories, knows what is true in them and finds contradictions.

`tell` makes one story, a pure function of a seed and a number; `stories` makes a corpus with a
card; `check` reads any text in the language of the world, also one that a model wrote, and says
what in it cannot be. One table of sentences (events.txt) serves telling and reading.

Book: chapter "Pretraining".
"""

from minillm.corpora.stories.corpus import stories
from minillm.corpora.stories.story import Question, Story, tell
from minillm.corpora.stories.truth import Check, check, contradictions
from minillm.corpora.stories.world import Fact

__all__ = ["Check", "Fact", "Question", "Story", "check", "contradictions", "stories", "tell"]

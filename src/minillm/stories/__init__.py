"""A simulated world that tells stories, knows what is true in them and finds contradictions.

`tell` makes one story, a pure function of a seed and a number; `stories` makes a corpus with a
card; `check` reads any text in the language of the world, also one that a model wrote, and says
what in it cannot be. One table of sentences (events.txt) serves telling and reading.

Book: chapter "Pretraining".
"""

from .corpus import stories
from .story import Question, Story, tell
from .truth import Check, check, contradictions
from .world import Fact

__all__ = ["Check", "Fact", "Question", "Story", "check", "contradictions", "stories", "tell"]

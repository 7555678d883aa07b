"""Count-based language models: n-grams with five ways of smoothing.

Counting (`counts`), what to do about what was never seen (`smoothing`), and the model that
scores and writes text with them (`model`), callable like every language model of the book.

Book: chapter "Predicting the next word".
"""

from minillm.ngram.model import NGramLM, NGramState
from minillm.ngram.smoothing import SMOOTHINGS, Smoothing

__all__ = ["SMOOTHINGS", "NGramLM", "NGramState", "Smoothing"]

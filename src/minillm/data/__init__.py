"""Batches that depend on nothing but a seed and a step.

`batch(step, size)` is a pure function: it gives the same texts whenever it is asked, so a run that
was stopped goes on exactly, and several machines take their shares of one batch without talking.
Left out: loader processes and prefetching, for tokens in memory are cut in microseconds.

Book: chapter "Pretraining".
"""

from minillm.data.batch import IGNORE, Batch
from minillm.data.labelled import LabelledTexts
from minillm.data.pairs import SequentialPairs, TokenPairs
from minillm.data.windows import SequentialWindows, TokenWindows, generator

__all__ = [
    "IGNORE",
    "Batch",
    "LabelledTexts",
    "SequentialPairs",
    "SequentialWindows",
    "TokenPairs",
    "TokenWindows",
    "generator",
]

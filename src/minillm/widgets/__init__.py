"""Explorables: interactive figures that work in Jupyter, in Colab and in the built page.

Each class takes plain data (lists, NumPy arrays, tensors), checks it, and carries it into the
page, where its JavaScript does the rest without a kernel. Importing this package needs
anywidget (`pip install "minillm[widgets]"`); `import minillm` does not.
"""

from .attention import AttentionExplorer
from .base import Explorable
from .desk import ThresholdDesk
from .merges import MergeExplorer
from .ngram import NGramExplorer
from .optimiser_path import OptimiserPath
from .page import standalone_page
from .rotary import RotaryPairs
from .runs import RunExplorer
from .soft_dictionary import SoftDictionary
from .softmax_temperature import SoftmaxTemperature

__all__ = [
    "AttentionExplorer",
    "Explorable",
    "MergeExplorer",
    "NGramExplorer",
    "OptimiserPath",
    "RotaryPairs",
    "RunExplorer",
    "SoftDictionary",
    "SoftmaxTemperature",
    "ThresholdDesk",
    "standalone_page",
]

"""Explorables: interactive figures that work in Jupyter, in Colab and in the built page.

Each class takes plain data (lists, NumPy arrays, tensors), checks it, and carries it into the
page, where its JavaScript does the rest without a kernel. Importing this package needs
anywidget (`pip install "minillm[widgets]"`); `import minillm` does not.
"""

from minillm.widgets.attention import AttentionExplorer
from minillm.widgets.base import Explorable
from minillm.widgets.beam_tree import BeamTree
from minillm.widgets.desk import ThresholdDesk
from minillm.widgets.merges import MergeExplorer
from minillm.widgets.model_size import ModelSize
from minillm.widgets.ngram import NGramExplorer
from minillm.widgets.optimiser_path import OptimiserPath
from minillm.widgets.page import standalone_page
from minillm.widgets.playground import Playground
from minillm.widgets.rank import RankExplorer
from minillm.widgets.rotary import RotaryPairs
from minillm.widgets.runs import RunExplorer
from minillm.widgets.sampler import Sampler
from minillm.widgets.soft_dictionary import SoftDictionary
from minillm.widgets.softmax_temperature import SoftmaxTemperature
from minillm.widgets.speculative import SpeculativeSteps

__all__ = [
    "AttentionExplorer",
    "BeamTree",
    "Explorable",
    "MergeExplorer",
    "ModelSize",
    "NGramExplorer",
    "OptimiserPath",
    "Playground",
    "RankExplorer",
    "RotaryPairs",
    "RunExplorer",
    "Sampler",
    "SoftDictionary",
    "SoftmaxTemperature",
    "SpeculativeSteps",
    "ThresholdDesk",
    "standalone_page",
]

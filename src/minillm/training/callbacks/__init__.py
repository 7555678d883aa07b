"""What may happen beside training: progress, samples, checkpoints, an early end.

A callback is anything that can be called with the trainer and the latest record. None of these
draws from torch's global randomness, so a run is the same with and without them.

Book: chapter "Pretraining".
"""

from minillm.notebook import in_notebook
from minillm.training.callbacks.progress import Progress
from minillm.training.callbacks.sample import SampleText
from minillm.training.callbacks.saving import Checkpoint
from minillm.training.callbacks.stopping import EarlyStopping
from minillm.training.callbacks.tensorboard import TensorBoard

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "Progress",
    "SampleText",
    "TensorBoard",
    "in_notebook",
]

"""What may happen beside training: progress, samples, checkpoints, an early end.

A callback is anything that can be called with the trainer and the latest record. None of these
draws from torch's global randomness, so a run is the same with and without them.

Book: chapter "Pretraining".
"""

from .progress import Progress, in_notebook
from .sample import SampleText
from .saving import Checkpoint
from .stopping import EarlyStopping
from .tensorboard import TensorBoard

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "Progress",
    "SampleText",
    "TensorBoard",
    "in_notebook",
]

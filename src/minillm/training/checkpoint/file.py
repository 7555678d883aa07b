"""Files that hold a training run: never half-written, never code.

A checkpoint is written beside its place, forced to disk, and then renamed, which the operating
system does at once or not at all; whoever is killed in between leaves the last good file. It holds
tensors and plain values only and is read with `weights_only=True`, so that a file from a stranger
cannot run code. Runs whose model is spread over processes are folders, see `folder`.
Chapter "Pretraining".
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from minillm.files import sync_folder
from minillm.training.ema import WeightAverage

FORMAT = 2
"""Version of the layout; raised whenever an old reader would misread a new file."""
PREFIX = "step-"
PLAIN = "run.pt"
"""In a folder that is a checkpoint: everything but the tensors of model and optimiser."""


def save_checkpoint(content: dict[str, Any], path: str | Path) -> None:
    """Write tensors and plain values to a file, all or nothing.

    Args:
        content: dicts, lists, tuples, strings, numbers, None and tensors.
        path: where to; a file that is there stays until the new one is complete.

    Raises:
        OSError: If the disk is full or the folder cannot be written; the old file is untouched.

    Book: chapter "Pretraining".
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with aside.open("wb") as file:
            torch.save({"format": FORMAT, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except (RuntimeError, OSError) as error:  # torch wraps a failed write in a RuntimeError
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise OSError(f"could not write the checkpoint {path}: {cause}") from error
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; tensors arrive on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, holds anything but tensors and plain values, or has
            another format version.

    Book: chapter "Pretraining".
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        with zipfile.ZipFile(path):  # a plain pickle is refused before anything reads it
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no checkpoint, or a damaged one") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path} has checkpoint format {found}, this package reads {FORMAT}")
    return content


def checkpoint_path(folder: str | Path, step: int) -> Path:
    """The file of a step within a folder; names sort by step.

    Example:
        >>> checkpoint_path("run", 20).name
        'step-00000020.pt'

    Book: chapter "Pretraining".
    """
    return Path(folder) / f"{PREFIX}{step:08d}.pt"


def remove_checkpoint(path: str | Path) -> None:
    """Delete a checkpoint, be it a file or a folder; if another rank was faster, well.

    Book: chapter "Pretraining".
    """
    if Path(path).is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        Path(path).unlink(missing_ok=True)


def list_checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoints in a folder, the newest last; empty if there is no such folder.

    Book: chapter "Pretraining".
    """
    return sorted(Path(folder).glob(f"{PREFIX}*.pt"))


def plain_config(config: Any) -> dict[str, Any] | None:
    """A dataclass as JSON would give it back; None for a model that has no config.

    Book: chapter "Pretraining".
    """
    if not is_dataclass(config) or isinstance(config, type):
        return None
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return plain


def require_same(kind: str, saved: dict[str, Any] | None, config: Any) -> None:
    """Compare a checkpoint's config with the present one.

    Raises:
        ValueError: If they differ; names the first field that does, and both values.

    Book: chapter "Pretraining".
    """
    theirs = saved or {}
    ours = config if isinstance(config, dict) else plain_config(config) or {}
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key):
            raise ValueError(
                f"the checkpoint is of another run: its {kind} config has "
                f"{key}={theirs.get(key)!r}, here {key}={ours.get(key)!r}"
            )


def newest_checkpoint(path: Path) -> Path:
    """The newest checkpoint of a folder; what is one itself is returned as it is.

    Raises:
        FileNotFoundError: If the folder holds none.

    Book: chapter "Pretraining".
    """
    if not path.is_dir() or (path / PLAIN).is_file():
        return path
    found = list_checkpoints(path)
    if not found:
        raise FileNotFoundError(f"no checkpoint in the folder {path}")
    return found[-1]


def rng_states() -> dict[str, Any]:
    """Where torch's random numbers are, on every device: what dropout will draw next.

    Book: chapter "Pretraining".
    """
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_rng_states(states: dict[str, Any]) -> None:
    """Put torch's random numbers back where `rng_states` found them.

    Devices that were there and are lacking now, or are new, are left alone.

    Book: chapter "Pretraining".
    """
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        for device, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
            torch.cuda.set_rng_state(state, device)
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])


@dataclass(frozen=True)
class Trained:
    """Everything large that an update changes.

    Args:
        model: its parameters may be slices (FSDP2).
        optimizer: with its memory of gradients.
        average: averaged weights, if the run keeps them.

    Book: chapter "Pretraining".
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None

    @property
    def averages(self) -> dict[str, Tensor]:
        """The averaged weights by name; none if the run does not keep them."""
        return {} if self.average is None else self.average.weights

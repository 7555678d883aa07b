"""Checkpoints of models that no single process holds: a folder in which every rank writes its part.

The files are those of `torch.distributed.checkpoint`, by names of parameters and not by ranks, so
two ranks can write what three, or one, go on with. Beside them `run.pt` holds what is no tensor of
the model; it is written last, and the folder gets its name only when all of it is there. Unlike a
single file a folder contains pickled tables: load your own only. All ranks must see one disk.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html. Chapter "Pretraining".
"""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from minillm.files import sync_folder
from minillm.training.checkpoint.file import PLAIN, Trained, remove_checkpoint, save_checkpoint
from minillm.training.optim import CombinedOptimizer, parts_of
from minillm.training.parallel import Parallel


def save_shards(plain: dict[str, Any], trained: Trained, path: Path, parallel: Parallel) -> None:
    """Write a run together with all other ranks, all or nothing.

    Args:
        plain: what `run.pt` is to hold.
        trained: model, optimiser and averages, as `parallel` has wrapped them.
        path: the folder; one that is there stays until the new one is complete.
        parallel: who writes.

    Raises:
        OSError: If it cannot be written.
        ValueError: If there has been no update yet, so that the optimiser remembers nothing.

    Book: chapter "Pretraining".
    """
    if plain["step"] == 0:
        raise ValueError(f"step 0: {path} needs an optimiser that has done 1 update or more")
    aside = path.with_name(f".{path.name}.tmp")
    if parallel.rank == 0:
        remove_checkpoint(aside)
        aside.mkdir(parents=True)
    parallel.wait()
    try:
        save(_by_name(trained), checkpoint_id=aside)
    except CheckpointException as error:
        raise OSError(f"could not write the checkpoint {path}: {error}") from error
    if parallel.rank == 0:
        save_checkpoint(plain, aside / PLAIN)
        _move(aside, path)
    parallel.wait()


def load_shards(trained: Trained, path: Path) -> None:
    """Read what `save_shards` wrote, on any number of ranks.

    Raises:
        ValueError: If the folder is damaged or does not fit the model.

    Book: chapter "Pretraining".
    """
    content = _by_name(trained)
    alone = not torch.distributed.is_initialized()
    try:
        with warnings.catch_warnings():  # that one process reads alone is intended
            warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
            load(content, checkpoint_id=path, no_dist=alone)
    except (CheckpointException, RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} is damaged or does not fit this model: {error}") from error
    set_state_dict(
        trained.model,
        parts_of(trained.optimizer),
        model_state_dict=content["model"],
        optim_state_dict=content["optimizer"],
    )
    if isinstance(trained.optimizer, CombinedOptimizer):
        trained.optimizer.collect_groups()


def _by_name(trained: Trained) -> dict[str, Any]:
    """Everything large, by names; an optimiser that has no memory yet is given one."""
    weights, memory = get_state_dict(trained.model, parts_of(trained.optimizer))
    return {"model": weights, "optimizer": memory, "average": trained.averages}


def _move(aside: Path, path: Path) -> None:
    """Give a complete folder its name; one that had it goes only then."""
    old = path.with_name(f".{path.name}.old")
    remove_checkpoint(old)
    if path.exists():
        os.replace(path, old)
    os.replace(aside, path)
    sync_folder(path.parent)
    remove_checkpoint(old)

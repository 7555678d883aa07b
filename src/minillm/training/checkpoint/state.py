"""How a run gets to disk and back: as one safe file, or as a folder.

A process that has the whole model writes one file (see `file`). Where every process has only
a slice, each writes its own into a folder (see `folder`). Either is read by one process or many.
Chapter "Pretraining".
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from minillm.training.checkpoint.file import (
    PLAIN,
    Trained,
    load_checkpoint,
    plain_config,
    require_same,
    save_checkpoint,
)
from minillm.training.config import TrainConfig
from minillm.training.history import History
from minillm.training.optim import parts_of
from minillm.training.parallel import Parallel, shard_like


def describe(
    model: nn.Module, config: TrainConfig, step: int, history: History, rng: list[dict[str, Any]]
) -> dict[str, Any]:
    """Everything small that a run needs to go on: configs, step, records, random states.

    Book: chapter "Pretraining".
    """
    return {
        "package": version("minillm"),
        "model_config": plain_config(getattr(model, "config", None)),
        "train_config": plain_config(config),
        "step": step,
        "history": [asdict(record) for record in history],
        "rng": rng,
    }


def read_description(path: Path, model: nn.Module, config: TrainConfig) -> dict[str, Any]:
    """Read what `describe` made, and with a file everything else, if it is of this run.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If it is damaged, or one of the configs differs in what decided the updates
            so far (names the field).

    Book: chapter "Pretraining".
    """
    content = load_checkpoint(path / PLAIN if path.is_dir() else path)
    require_same("model", content["model_config"], getattr(model, "config", None))
    saved, step = content["train_config"], content["step"]
    try:
        before = TrainConfig(**saved | {"betas": tuple(saved["betas"])})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} holds a damaged training config: {error}") from error
    theirs, ours = before.decided(step), config.decided(step)
    if theirs.keys() != ours.keys():  # one of two "stable" runs would be on its fall by now
        theirs, ours = asdict(before), asdict(config)
        theirs, ours = {"steps": theirs["steps"]}, {"steps": ours["steps"]}
    require_same("training", theirs, ours)
    return content


def save_run(plain: dict[str, Any], trained: Trained, path: Path, parallel: Parallel) -> None:
    """Write a run, all or nothing; every rank has to call it.

    Raises:
        OSError: If it cannot be written.

    Book: chapter "Pretraining".
    """
    if parallel.sharded:
        from minillm.training.checkpoint.folder import save_shards  # noqa: PLC0415 - half a second that others need not pay

        save_shards(plain, trained, path, parallel)
        return
    if parallel.rank == 0:
        large = {
            "model": trained.model.state_dict(),
            "optimizer": trained.optimizer.state_dict(),
            "average": trained.averages,
        }
        save_checkpoint({**plain, **large}, path)
    parallel.wait()


def load_run(content: dict[str, Any], trained: Trained, path: Path) -> None:
    """Put model, optimiser and averages back as they were.

    Args:
        content: what `load_checkpoint` read.
        trained: is changed in place.
        path: the checkpoint, a file or a folder.

    Raises:
        ValueError: If it does not fit the model, or a folder is damaged.

    Book: chapter "Pretraining".
    """
    if path.is_dir():
        from minillm.training.checkpoint.folder import load_shards  # noqa: PLC0415 - half a second that others need not pay

        load_shards(trained, path)
        return
    own = trained.model.state_dict()
    weights = {k: shard_like(v, own[k]) if k in own else v for k, v in content["model"].items()}
    try:
        trained.model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit this model: {error}") from error
    load_optimizer(trained.optimizer, content["optimizer"])
    for part in parts_of(trained.optimizer):
        for p, memory in part.state.items():
            memory.update({name: shard_like(value, p) for name, value in memory.items()})
    for name, weight in trained.averages.items():
        weight.copy_(shard_like(content["average"][name], weight))


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's memory and rates, but keep how it is computed on this device.

    A group also holds switches such as "fused", which another device may not know.
    """
    switches = ("fused", "foreach", "capturable")
    own = [{k: group[k] for k in switches if k in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)

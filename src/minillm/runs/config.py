"""A training run as a TOML file: four tables, each key checked against a dataclass.

| table   | what it fixes                                                    |
|---------|------------------------------------------------------------------|
| [model] | fields of `ModelConfig`, or `preset` and the fields that differ  |
| [train] | fields of `TrainConfig`                                          |
| [data]  | the text, the tokenizer and the length of a window               |
| [run]   | where to write and what to show, which does not change the model |

Book: chapter "Pretraining".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from minillm.errors import require_known
from minillm.nn.config import GPT2_SMALL, SMOLLM2_135M, ModelConfig
from minillm.runs.toml import Table, build, change, check
from minillm.training.config import TrainConfig
from minillm.training.parallel import Mode

Preset = Literal["gpt2-small", "smollm2-135m"]
PRESETS: dict[Preset, ModelConfig] = {"gpt2-small": GPT2_SMALL, "smollm2-135m": SMOLLM2_135M}
SECTIONS = ("model", "train", "data", "run")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read, and in which portions.

    Args:
        corpus: a name that `minillm data` lists.
        files: UTF-8 text files instead of a corpus, found from where the command is run.
        validation: the last part of each file that is held back; a corpus has its own.
        tokenizer: "char", "bytes", "bpe" (trained here), or the file of a tokenizer.
        vocab_size: of the BPE that is trained.
        context_length: T, the tokens of one window.

    Raises:
        ValueError: If not exactly one of corpus and files is given, `vocab_size` is given without
            need or missing, or a number is out of range.
    """

    corpus: str | None = None
    files: tuple[str, ...] = ()
    validation: float = 0.1
    tokenizer: str = "bytes"
    vocab_size: int | None = None
    context_length: int = 128

    def __post_init__(self) -> None:
        if (self.corpus is None) == (not self.files):
            raise ValueError(f"give corpus or files: corpus={self.corpus!r}, files={self.files}")
        if (self.tokenizer == "bpe") != (self.vocab_size is not None):
            raise ValueError(
                'vocab_size belongs to tokenizer="bpe" and to no other: '
                f"vocab_size={self.vocab_size}, tokenizer={self.tokenizer!r}"
            )
        if self.context_length < 1:
            raise ValueError(f"context_length={self.context_length} must be >= 1")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation={self.validation} must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where a run is written and what it shows; none of it changes the numbers.

    Args:
        folder: for everything that the run writes.
        device: "auto" takes the fastest.
        prompt: continued now and then, to see the model learn; "" for never.
        sample_every: updates between two samples.
        checkpoint_every: updates between two checkpoints.
        keep: how many checkpoints stay.
        patience: evaluations without a new best before the run ends; None never ends it.
        tensorboard: whether to write event files.
        weights: type of the numbers in the final model.safetensors.
        parallel: how several processes share the work, if torchrun starts several.

    Raises:
        ValueError: If a number is below 1, or the folder has no name.
    """

    folder: str
    device: str = "auto"
    prompt: str = ""
    sample_every: int = 100
    checkpoint_every: int = 100
    keep: int = 2
    patience: int | None = None
    tensorboard: bool = False
    weights: Literal["float16", "float32"] = "float32"
    parallel: Mode = "ddp"

    def __post_init__(self) -> None:
        if not self.folder:
            raise ValueError("folder='' must name a folder")
        for name in ("sample_every", "checkpoint_every", "keep", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be >= 1")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. `model` holds the fields that are given; the tokenizer decides the rest."""

    model: Table
    train: TrainConfig
    data: DataConfig
    run: RunSettings
    tables: dict[str, Table] = field(compare=False)

    def model_config(self, vocab_size: int) -> ModelConfig:
        """The model's config, for a tokenizer of so many ids.

        Raises:
            ValueError: If a size is missing or wrong, too small for the data, or the model cannot
                write text.
        """
        needed = {"vocab_size": vocab_size, "context_length": self.data.context_length}
        given = dict(self.model)
        preset = given.pop("preset", None)
        base = asdict(PRESETS[preset]) if preset else {}
        config = build(ModelConfig, "model", base | needed | given)
        for name, least in needed.items():
            if (value := getattr(config, name)) < least:
                raise ValueError(f"[model] {name}={value}, but the data need {least}")
        if not config.causal or config.cross_attention:
            raise ValueError("[model] needs causal=true and no cross_attention, to write text")
        return config


def read_run_config(path: str | Path, *, changes: Iterable[str] = ()) -> RunConfig:
    """Read a run from its file.

    Args:
        path: a TOML file.
        changes: "table.key=value" each, which take precedence.

    Raises:
        ValueError: If the file is not TOML, a key is unknown (the nearest is named), missing, of
            the wrong type or out of range.
        OSError: If it cannot be read.

    Book: chapter "Pretraining".
    """
    try:
        tables = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except ValueError as error:  # invalid TOML and invalid UTF-8
        raise ValueError(f"{path} is not a TOML file: {error}") from None
    for text in changes:
        change(tables, text)
    require_known(tables, SECTIONS, "table", str(path))
    if wrong := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise ValueError(f"{wrong[0]} in {path} must be a table, [{wrong[0]}]")
    parts = {name: tables.get(name, {}) for name in SECTIONS}
    config = RunConfig(
        model=check(ModelConfig, "model", parts["model"], also={"preset": Preset}),
        train=build(TrainConfig, "train", parts["train"]),
        data=build(DataConfig, "data", parts["data"]),
        run=build(RunSettings, "run", parts["run"]),
        tables=parts,
    )
    config.model_config(vocab_size=1)  # what is wrong whatever the vocabulary, at once
    return config


def require_same_run(before: RunConfig, now: RunConfig) -> None:
    """Compare what decides the numbers of a run: all tables but [run], without operational keys.

    Whether `steps` changes the past, the checkpoint tells (`TrainConfig.decided`).

    Raises:
        ValueError: If they differ; names the first key that does, and both values.

    Book: chapter "Pretraining".
    """
    pairs = {
        "model": (before.model, now.model),
        "train": (_without_steps(before.train), _without_steps(now.train)),
        "data": (asdict(before.data), asdict(now.data)),
    }
    for section, (theirs, ours) in pairs.items():
        for key in [*ours, *theirs]:
            if theirs.get(key) != ours.get(key):
                raise ValueError(
                    f"{now.run.folder} holds another run: there [{section}] "
                    f"{key}={theirs.get(key)!r}, here {key}={ours.get(key)!r}"
                )


def _without_steps(config: TrainConfig) -> Table:
    values = config.decided(config.steps)
    values.pop("steps", None)
    return values

"""A run in a folder: everything that `minillm train` builds, writes and takes up again.

| in the folder           | written                                              |
|-------------------------|------------------------------------------------------|
| config.toml             | at the start: the config with its changes            |
| tokenizer.json          | at the start                                         |
| checkpoints/step-….pt   | now and then; the latest stay                        |
| history.jsonl           | with each checkpoint                                 |
| tensorboard/            | all the time, if asked for                           |
| config.json, README.md, model.safetensors | at the end: a folder that `load` reads |

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from minillm.corpora.catalogue import Texts, corpus_texts, file_texts
from minillm.data.windows import TokenWindows
from minillm.device import find_device
from minillm.files import write_whole
from minillm.nn.models import CausalLM
from minillm.runs.card import run_card
from minillm.runs.config import RunConfig, read_run_config, require_same_run
from minillm.runs.toml import to_toml
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.training import callbacks
from minillm.training.callbacks.saving import due
from minillm.training.checkpoint.file import checkpoint_path, list_checkpoints, remove_checkpoint
from minillm.training.history import Record
from minillm.training.parallel import Parallel, full_tensor
from minillm.training.trainer import Callback, Trainer
from minillm.weights.assemble import assemble
from minillm.weights.model_folder import read_tokenizer, save_model

TextTokenizer = BPETokenizer | CharTokenizer


class TrainingRun:
    """A run and its folder, ready to go on.

    Args:
        config: what to do.
        resume: go on in a folder that holds this run; without it the folder must be empty.
        parallel: the processes that share the work; by default there is one.

    Attributes:
        trainer: with model, data, history and the step that was reached.
        tokenizer: what made the ids.
        is_main: whether this process is the one that prints, and writes all but checkpoints.

    Raises:
        ValueError: If the folder holds another run, or one and `resume` is False; if text,
            tokenizer and model do not fit each other.
        OSError: If a file cannot be read or written.

    Book: chapter "Pretraining".
    """

    def __init__(
        self, config: RunConfig, *, resume: bool = False, parallel: Parallel | None = None
    ) -> None:
        self.config, self.folder = config, Path(config.run.folder)
        parallel = Parallel() if parallel is None else parallel
        self.is_main = parallel.rank == 0
        device = find_device(config.run.device)
        _check_folder(self.folder, config, resume=resume)
        self.texts = load_texts(config)
        self.tokenizer = read_tokenizer(self.folder / "tokenizer.json") or make_tokenizer(
            config, [self.texts.train, self.texts.validation]
        )
        torch.manual_seed(config.train.seed)
        model_config = config.model_config(self.tokenizer.vocab_size)
        _check_prompt(self.tokenizer, config.run.prompt, model_config.context_length)
        train, validation = self._windows()
        self.model = CausalLM(model_config).to(device)
        self.progress = callbacks.Progress()
        self.board = self._board()
        self.trainer = Trainer(
            self.model, config.train, train, val_data=validation, parallel=parallel
        )
        self.trainer.callbacks = self._callbacks()
        if list_checkpoints(self.checkpoints):
            self.trainer.resume(self.checkpoints)
        parallel.wait()  # until every process has seen the folder as it was
        if self.is_main:
            self._write_beginning()

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.folder / "checkpoints"

    def save(self) -> Path:
        """Write a checkpoint of the present step, and the history; every process has to call it."""
        path = checkpoint_path(self.checkpoints, self.trainer.step)
        if not path.exists():  # it does if a checkpoint was due at this very step
            self.trainer.save(path)
        if self.is_main:
            write_whole(self.folder / "history.jsonl", self.trainer.history.to_jsonl)
        return path

    def finish(self) -> None:
        """Write the final model, its card and the history; every process has to call it.

        With `ema_decay` the model has the averaged weights, whose loss the history tells.
        """
        with self.trainer.averaged():
            weights = {name: full_tensor(p.detach()) for name, p in self.model.named_parameters()}
            if self.is_main:
                self._write_end(assemble(CausalLM, self.model.config, weights))

    def close(self) -> None:
        """End the progress bar and the event file, whatever happened."""
        self.progress.close()
        if self.board is not None:
            self.board.close()

    def _windows(self) -> tuple[TokenWindows, TokenWindows | None]:
        data, seed = self.config.data, self.config.train.seed
        ids = self.tokenizer.encode(self.texts.train)
        train = TokenWindows(ids, data.context_length, seed=seed)
        if not self.config.train.eval_every:
            return train, None
        held = self.tokenizer.encode(self.texts.validation)
        try:
            return train, TokenWindows(held, data.context_length).sequential()
        except ValueError as error:
            raise ValueError(f"for validation {error}") from None

    def _board(self) -> callbacks.TensorBoard | None:
        wanted = self.config.run.tensorboard and self.is_main
        return callbacks.TensorBoard(self.folder / "tensorboard") if wanted else None

    def _write_end(self, model: CausalLM) -> None:
        write_whole(self.folder / "history.jsonl", self.trainer.history.to_jsonl)
        dtype = torch.float16 if self.config.run.weights == "float16" else torch.float32
        card = run_card(self.config, self.model, self.trainer.history, self.texts.origin)
        save_model(self.folder, model, self.tokenizer, card, dtype=dtype)

    def _write_beginning(self) -> None:
        """Only now is it known that the run can begin: a wrong config leaves no folder behind."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        for left_over in self.checkpoints.glob(".step-*"):  # of a run that was killed
            remove_checkpoint(left_over)
        write_whole(self.folder / "tokenizer.json", self.tokenizer.save)
        text = to_toml(self.config.tables)
        write_whole(self.folder / "config.toml", lambda p: p.write_text(text, encoding="utf-8"))

    def _callbacks(self) -> tuple[Callback, ...]:
        run = self.config.run
        made: list[Callback] = [self.progress] if self.is_main else []
        if run.prompt:  # on every process, as with FSDP2 each has a slice of the model
            write = tqdm.write if self.is_main else (lambda _text: None)  # one prints for all
            every = run.sample_every
            made.append(callbacks.SampleText(self.tokenizer, run.prompt, every=every, write=write))
        if self.board is not None:
            made.append(self.board)
        every = run.checkpoint_every
        made.append(callbacks.Checkpoint(self.checkpoints, every=every, keep=run.keep))
        made.append(self._write_history)
        if run.patience is not None:
            made.append(callbacks.EarlyStopping(patience=run.patience))
        return tuple(made)

    def _write_history(self, trainer: Trainer, record: Record) -> None:
        if self.is_main and due(
            record.step, self.config.run.checkpoint_every, trainer.config.steps
        ):
            write_whole(self.folder / "history.jsonl", trainer.history.to_jsonl)


def load_texts(config: RunConfig) -> Texts:
    """The text that a config names.

    Raises:
        ValueError: If there is none, or it is not UTF-8.

    Book: chapter "Pretraining".
    """
    data = config.data
    if data.corpus is not None:
        return corpus_texts(data.corpus)
    return file_texts(data.files, share=data.validation if config.train.eval_every else 0.0)


def make_tokenizer(config: RunConfig, texts: Sequence[str]) -> TextTokenizer:
    """The tokenizer that a config names; characters and merges are learnt from the texts.

    Raises:
        ValueError: If the vocabulary is too small, or a file holds no tokenizer.

    Book: chapter "From text to tokens".
    """
    kind, size = config.data.tokenizer, config.data.vocab_size
    if kind == "char":
        return CharTokenizer("".join(texts))
    if kind in ("bytes", "bpe"):
        return BPETokenizer.train(texts[0] if kind == "bpe" else "", size or 256)
    found = read_tokenizer(Path(kind))
    if found is None:
        raise ValueError(f"tokenizer {kind!r} is neither char, bytes, bpe nor a file")
    return found


def _check_folder(folder: Path, config: RunConfig, *, resume: bool) -> None:
    """A new run wants an empty folder, a resumed one a folder that holds the same run."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"[run] folder={config.run.folder!r} is a file")
    if not resume:
        if folder.is_dir() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty; --resume goes on with the run in it")
        return
    if not (folder / "config.toml").is_file():
        raise ValueError(f"{folder} holds no run that could be resumed: no config.toml")
    require_same_run(read_run_config(folder / "config.toml"), config)


def _check_prompt(tokenizer: TextTokenizer, prompt: str, context_length: int) -> None:
    """Better now than at the first sample."""
    try:
        length = len(tokenizer.encode(prompt))
    except ValueError as error:
        raise ValueError(f"[run] prompt: {error}") from None
    if length > context_length:
        raise ValueError(f"[run] prompt has {length} tokens, context_length={context_length}")

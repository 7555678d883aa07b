"""What may happen beside training: progress, samples, checkpoints.

A callback is anything that can be called with the trainer and the latest record. None of these
draws from torch's global randomness, so a run is the same with and without them.
Chapter "Pretraining".
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from tqdm import tqdm

from .checkpoint import checkpoint_path, list_checkpoints
from .generate import generate
from .history import Record
from .sampling import Sampling
from .state import LanguageModel
from .tokenizer import Tokenizer
from .trainer import Trainer


class Progress:
    """One line that says how far, how fast and how good.

    In a notebook one text output is updated in place, so a built page keeps a single line; in a
    terminal it is a bar of tqdm.

    Args:
        every: seconds between two updates of the line.

    Book: chapter "Pretraining".
    """

    def __init__(self, *, every: float = 0.5) -> None:
        self.every = every
        self._line: Any = None  # a tqdm bar or a notebook's display handle
        self._shown = -math.inf
        self._val_loss: float | None = None

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Show the record if the line is older than `every` seconds, or the run is over."""
        self._val_loss = self._val_loss if record.val_loss is None else record.val_loss
        last = record.step == trainer.config.steps
        if last or time.monotonic() - self._shown >= self.every:
            self._shown = time.monotonic()
            show = self._show_in_notebook if in_notebook() else self._show_in_terminal
            show(record, trainer.config.steps)

    def _text(self, record: Record) -> str:
        text = f"loss {record.loss:.3f}"
        return text if self._val_loss is None else f"{text}, validation {self._val_loss:.3f}"

    def _show_in_terminal(self, record: Record, steps: int) -> None:
        if self._line is None:
            self._line = tqdm(total=steps, initial=record.step - 1, unit="step")
        self._line.set_postfix_str(self._text(record), refresh=False)
        self._line.update(record.step - self._line.n)
        if record.step == steps:
            self._line.close()

    def _show_in_notebook(self, record: Record, steps: int) -> None:
        rate = record.tokens / max(record.seconds, 1e-9)
        meter = tqdm.format_meter(
            record.step,
            steps,
            record.seconds,
            ncols=90,
            unit="step",
            postfix=f"{rate:,.0f} tokens/s, {self._text(record)}",
            bar_format="{n_fmt}/{total_fmt} steps |{bar}| {elapsed}<{remaining}{postfix}",
        )
        if self._line is None:
            display = importlib.import_module("IPython.display").display
            self._line = display({"text/plain": meter}, raw=True, display_id=True)
        else:
            self._line.update({"text/plain": meter}, raw=True)


MILD = Sampling(temperature=0.7)
"""A little surer than the model itself: the usual look at a half-trained one."""


class SampleText:
    """Let the model continue a prompt now and then, to see it learn.

    Args:
        tokenizer: encodes the prompt and decodes the continuation.
        prompt: what to continue.
        every: updates between samples; one is also made after the last update.
        max_new_tokens: length of the continuation.
        sampling: how tokens are chosen.
        seed: every sample starts from it, so only the model changes.
        write: what to do with a sample; by default it is written to the output.

    Attributes:
        samples: pairs of step and text.

    Raises:
        ValueError: If the prompt is empty or `every` is below 1.

    Book: chapter "Pretraining".
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: str,
        *,
        every: int = 100,
        max_new_tokens: int = 80,
        sampling: Sampling = MILD,
        seed: int = 0,
        write: Callable[[str], object] = tqdm.write,
    ) -> None:
        if every < 1 or not prompt:
            raise ValueError(f"every={every} must be >= 1 and prompt={prompt!r} not empty")
        self.tokenizer, self.prompt, self.every = tokenizer, prompt, every
        self.max_new_tokens, self.sampling, self.seed = max_new_tokens, sampling, seed
        self.write = write
        self.samples: list[tuple[int, str]] = []

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Make a sample if one is due."""
        if not _due(record.step, self.every, trainer.config.steps):
            return
        tokens = torch.tensor([self.tokenizer.encode(self.prompt)], device=trainer.device)
        ids = generate(
            cast(LanguageModel, trainer.model),
            tokens,
            max_new_tokens=self.max_new_tokens,
            sampling=self.sampling,
            generator=torch.Generator(trainer.device).manual_seed(self.seed),
        )
        text = self.tokenizer.decode(ids[0].tolist())
        self.samples.append((record.step, text))
        self.write(f"step {record.step}: {text}")


class Checkpoint:
    """Save the run now and then, and keep the latest files.

    Args:
        folder: where files named by step go; `Trainer.resume(folder)` takes the newest.
        every: updates between checkpoints; one is also written after the last update.
        keep: how many of the latest to keep.

    Raises:
        ValueError: If `every` or `keep` is below 1.

    Book: chapter "Pretraining".
    """

    def __init__(self, folder: str | Path, *, every: int, keep: int = 2) -> None:
        if every < 1 or keep < 1:
            raise ValueError(f"every={every} and keep={keep} must be >= 1")
        self.folder, self.every, self.keep = Path(folder), every, keep

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Save if it is time; older files go only after the new one is complete."""
        if not _due(record.step, self.every, trainer.config.steps):
            return
        newest = checkpoint_path(self.folder, record.step)
        trainer.save(newest)
        so_far = [path for path in list_checkpoints(self.folder) if path <= newest]
        for old in so_far[: -self.keep]:
            old.unlink()


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel, where an output can be updated in place.

    Example:
        >>> in_notebook()
        False

    Book: chapter "Pretraining".
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _due(step: int, every: int, last: int) -> bool:
    return step % every == 0 or step == last

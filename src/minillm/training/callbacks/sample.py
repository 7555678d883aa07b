"""A look at what the model writes while it learns.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from tqdm import tqdm

from minillm.inference.generate import generate
from minillm.inference.sampling import Sampling
from minillm.protocol import LanguageModel
from minillm.tokenizer import Tokenizer
from minillm.training.callbacks.saving import due
from minillm.training.history import Record
from minillm.training.trainer import Trainer

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
        if not due(record.step, self.every, trainer.config.steps):
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

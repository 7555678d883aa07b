"""Writing text: one loop for n-grams, recurrent networks and Transformers.

Read the prompt, look at the scores of the next token, choose one, read it, and so on. What has been
read is kept in the model's `state`, so each token is read once. `stream` yields step by step and
`generate` collects. Left out: what `speculative` and `repetition` do. Chapter "Generating text".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.inference.sampling import GREEDY, Sampling, sample
from minillm.nn.eval_mode import evaluating, submodules
from minillm.protocol import LanguageModel, State


@dataclass(frozen=True, eq=False)
class Step:
    """One generated token of every row, and the scores it was chosen from.

    Args:
        token: (B, 1).
        logits: (B, V), before temperature and filters.

    Book: chapter "Generating text".
    """

    token: Tensor
    logits: Tensor

    @property
    def probabilities(self) -> Tensor:
        """The model's own distribution of the next token, softmax(logits): (B, V)."""
        return self.logits.float().softmax(-1)


def stream(
    model: LanguageModel,
    tokens: Tensor,
    *,
    max_new_tokens: int,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Generate token by token, as soon as each is there.

    A text may outgrow the model's context: when it is full, the last half of it is read afresh and
    the writing goes on; in a batch each row as if it were alone. A module is run in evaluation
    mode.

    Args:
        model: any language model.
        tokens: the prompts, one a row, unequal ones padded on the left (see `left_pad`).
        max_new_tokens: the largest number of steps.
        sampling: how a token is chosen; greedy unless told.
        stop: a row ends with the first of these ids, and repeats it while other rows go on.
        mask: True = a real token, False = padding; None if there is no padding.
        generator: the source of randomness, on the device of the model.

    Shape:
        tokens, mask: (B, T); each step's token: (B, 1).

    Raises:
        ValueError: If a prompt is empty, longer than the context, or not padded on the left.

    Book: chapter "Generating text".
    """
    _check_prompt(model, tokens, mask, max_new_tokens)
    reader = _Reader(model, tokens, mask, max_new_tokens)
    ends = torch.tensor(sorted(stop), device=tokens.device)
    return _steps(
        reader, tokens, n=max_new_tokens, sampling=sampling, stop=ends, generator=generator
    )


def generate(
    model: LanguageModel,
    tokens: Tensor,
    *,
    max_new_tokens: int,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue prompts: what `stream` yields, behind the prompts; see there for the arguments.

    Shape:
        tokens, mask: (B, T); output: (B, T + new tokens).

    Raises:
        ValueError: If a prompt is empty, longer than the context, or not padded on the left.

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> generate(CausalLM(config), torch.tensor([[1, 2]]), max_new_tokens=3).shape
        torch.Size([1, 5])

    Book: chapter "Generating text".
    """
    steps = stream(
        model,
        tokens,
        max_new_tokens=max_new_tokens,
        sampling=sampling,
        stop=stop,
        mask=mask,
        generator=generator,
    )
    return torch.cat([tokens, *(step.token for step in steps)], dim=1)


def left_pad(prompts: Sequence[Sequence[int]], *, pad: int = 0) -> tuple[Tensor, Tensor]:
    """Put prompts of unequal length into one batch: padding in front, every last token aligned.

    Args:
        prompts: token ids.
        pad: the id to fill with; which one does not matter, as the mask hides it.

    Returns:
        tokens (B, T), int64, and mask (B, T), True = a real token.

    Raises:
        ValueError: If there is no prompt, or an empty one.

    Example:
        >>> left_pad([[5, 6, 7], [8]])[0].tolist()
        [[5, 6, 7], [0, 0, 8]]

    Book: chapter "Generating text".
    """
    lengths = [len(prompt) for prompt in prompts]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"every prompt needs a token, got prompts of {lengths} tokens")
    width = max(lengths)
    tokens = torch.tensor([[pad] * (width - len(ids)) + list(ids) for ids in prompts])
    return tokens, torch.arange(width) >= width - torch.tensor(lengths)[:, None]


class _Reader:
    """A model, what it has read, and its state; what outgrows the context is cut, row by row."""

    def __init__(self, model: LanguageModel, tokens: Tensor, mask: Tensor | None, new: int) -> None:
        self.model, self.limit = model, context_length(model)
        self.last = getattr(model, "next_logits", None)  # a model may offer this shorter way
        self.modules = submodules(model)  # listed once, not walked through at every token
        self.total = tokens.shape[1] + new  # every position there may be
        self.text = tokens[:, :0]
        # (B, T), True where a token is neither padding nor cut off
        self.real = None if mask is None else mask.bool().clone()
        self.start = 0  # the state holds text[:, start:]
        self.state = self._new_state()

    def _new_state(self) -> State:
        room = self.total - self.start
        return self.model.new_state(len(self.text), min(room, self.limit or room))

    def read(self, tokens: Tensor) -> Tensor:
        """Read tokens (B, n) and return the logits (B, V) of what follows."""
        first = self.text.shape[1]
        self.text = torch.cat((self.text, tokens), dim=1)
        end = self.text.shape[1]
        if self.real is not None and end > self.real.shape[1]:
            self.real = F.pad(self.real, (0, end - self.real.shape[1]), value=True)
        if self.limit is not None and end - self.start > self.limit:
            self._cut(end, self.limit)
            first = self.start
        # Without padding no mask is passed: a reader's own model need not know the argument.
        real = None if self.real is None else self.real[:, self.start :]
        padding = {} if real is None else {"mask": real}
        with torch.inference_mode(), evaluating(self.modules):
            if self.last is not None:
                logits = self.last(self.text[:, first:], state=self.state, **padding)
            else:
                logits = self.model(self.text[:, first:], state=self.state, **padding)[:, -1]
        return logits.clone()  # an ordinary tensor again: one from inside may not meet a gradient

    def _cut(self, end: int, limit: int) -> None:
        """Forget the beginning of every row that is too long, and read all rows afresh."""
        self.start = keep_from = end - max(1, limit // 2)
        if self.real is not None:
            too_long = self.real.sum(1) > limit
            self.real[too_long, :keep_from] = False
            self.start = int(self.real.any(0).nonzero()[0])  # the first column that a row needs
        self.state = self._new_state()


@torch.no_grad()
def _steps(
    reader: _Reader,
    prompt: Tensor,
    *,
    n: int,
    sampling: Sampling,
    stop: Tensor,
    generator: torch.Generator | None,
) -> Iterator[Step]:
    token, done = prompt, torch.zeros(len(prompt), 1, dtype=torch.bool, device=prompt.device)
    for _ in range(n):
        last = token[:, -1:]
        logits = reader.read(token)
        token = torch.where(done, last, sample(logits, sampling, generator=generator))
        yield Step(token, logits)
        if len(stop):
            done = done | torch.isin(token, stop)
            if done.all():
                return


def context_length(model: object) -> int | None:
    """The number of tokens a model can read at once, from its config; None if unlimited.

    Example:
        >>> context_length("no model") is None
        True

    Book: chapter "Generating text".
    """
    return getattr(getattr(model, "config", None), "context_length", None)


def _check_prompt(model: LanguageModel, tokens: Tensor, mask: Tensor | None, new: int) -> None:
    if tokens.ndim != 2 or tokens.shape[1] == 0:
        raise ValueError(
            f"prompts must be (B, T) with T >= 1, got a shape of {tuple(tokens.shape)}"
        )
    limit = context_length(model)
    if limit is not None and tokens.shape[1] > limit:
        raise ValueError(f"a prompt of {tokens.shape[1]} tokens exceeds context_length={limit}")
    if new < 0:
        raise ValueError(f"max_new_tokens={new} must be >= 0")
    if mask is not None and mask.shape != tokens.shape:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, prompts have shape {tuple(tokens.shape)}"
        )
    if mask is None:
        return
    real = mask.bool()
    wrong = ~real[:, -1] | (real[:, :-1] & ~real[:, 1:]).any(1)  # padding behind a real token
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"row {row} has padding after a token: prompts are padded on the left")

"""Beam search: follow several continuations at once and return the most probable ones found.

Greedy search takes the best token at each step and may miss a better text behind a worse token.
Beam search keeps the n best beginnings. It suits translation, where the answer is nearly fixed;
open-ended text becomes dull (Holtzman et al., 2020). Chapter "Generating text".
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.nn.eval_mode import eval_mode
from minillm.protocol import LanguageModel


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A continuation that beam search found.

    Args:
        tokens: what was written, without the prompt, (n,).
        log_prob: of all its tokens together, in nats.
        score: log_prob / n ** length_penalty, by which hypotheses are ranked.

    Book: chapter "Generating text".
    """

    tokens: Tensor
    log_prob: float
    score: float


@torch.no_grad()
def beam_search(
    model: LanguageModel,
    tokens: Tensor,
    *,
    max_new_tokens: int,
    n_beams: int,
    stop: Collection[int] = (),
    length_penalty: float = 1.0,
) -> list[Hypothesis]:
    """The n or fewer best continuations that n beams can find, best first.

    score = log p(continuation | prompt) / length ** length_penalty

    Args:
        model: any language model; a module is run in evaluation mode.
        tokens: one prompt, (1, T).
        max_new_tokens: the longest continuation.
        n_beams: beginnings kept after each step; 1 is greedy search.
        stop: ids that end a continuation, which keeps the id.
        length_penalty: 0 favours short texts, 1 compares means per token.

    Raises:
        ValueError: If tokens are not one prompt, the context is too short, or a number < 1.

    Source: Wu et al. (2016), arXiv:1609.08144, section 7, without their constant 5 in the length.
    Book: chapter "Generating text".
    """
    _check(tokens, max_new_tokens, n_beams)
    beams = _Beams(n_beams, frozenset(stop), length_penalty, tokens.device)
    with eval_mode(model):
        state = model.new_state(1, tokens.shape[1] + max_new_tokens)
        logits = model(tokens, state=state)[:, -1]  # the prompt is read once, then copied
        for step in range(max_new_tokens):
            rows = beams.extend(logits)
            if step + 1 == max_new_tokens or beams.settled():
                break
            state.reorder(rows)
            logits = model(beams.written[:, -1:], state=state)[:, -1]
    return beams.best()


@dataclass(frozen=True, eq=False)
class BeamStep:
    """What one step of beam search chose from, the best first.

    Args:
        texts: candidates without the prompt, each with the step's token at its end.
        log_probs: of that last token, given what stands before it.
        totals: log-probabilities of the whole texts, in nats.
        kept: the first so many live on, the others are dropped.

    Book: chapter "Generating text".
    """

    texts: list[tuple[int, ...]]
    log_probs: list[float]
    totals: list[float]
    kept: int


@torch.no_grad()
def beam_steps(
    model: LanguageModel,
    tokens: Tensor,
    *,
    max_new_tokens: int,
    n_beams: int,
    n_dropped: int = 3,
) -> list[BeamStep]:
    """A beam search without stop tokens, told step by step: what was kept and what was dropped.

    The kept texts of the last step are the hypotheses of `beam_search` with the same numbers.

    Args:
        model: any language model; a module is run in evaluation mode.
        tokens: one prompt, (1, T).
        max_new_tokens: steps, each of which adds a token to every beam.
        n_beams: beginnings kept after each step.
        n_dropped: how many of the next best candidates are told as well.

    Raises:
        ValueError: If tokens are not one prompt, the context is too short, a number < 1 or
            n_dropped < 0.

    Book: chapter "Generating text".
    """
    _check(tokens, max_new_tokens, n_beams)
    if n_dropped < 0:
        raise ValueError(f"n_dropped={n_dropped} must be >= 0")
    steps: list[BeamStep] = []
    written, log_probs = tokens[:, :0], torch.zeros(1, device=tokens.device)
    with eval_mode(model):
        state = model.new_state(1, tokens.shape[1] + max_new_tokens)
        logits = model(tokens, state=state)[:, -1]
        while True:
            each = logits.float().log_softmax(-1)  # (beams, V)
            best, flat = _best(log_probs[:, None] + each, n_beams + n_dropped)
            rows, ids = flat // each.shape[1], flat % each.shape[1]
            texts = torch.cat((written[rows], ids[:, None]), 1)
            last = each.flatten()[flat].tolist()
            kept = min(n_beams, len(best))
            steps.append(BeamStep([*map(tuple, texts.tolist())], last, best.tolist(), kept))
            if len(steps) == max_new_tokens:
                return steps
            written, log_probs = texts[:kept], best[:kept]
            state.reorder(rows[:kept])
            logits = model(written[:, -1:], state=state)[:, -1]


def _best(totals: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest possible totals, at most `count`, and where they stand in the flat table."""
    best, flat = totals.flatten().topk(min(count, totals.numel()))
    possible = best > -math.inf
    return best[possible], flat[possible]


class _Beams:
    """The n (or fewer) best unfinished beginnings, and the n best finished continuations."""

    def __init__(self, n: int, stop: frozenset[int], penalty: float, device: torch.device) -> None:
        self.n, self.stop, self.penalty = n, stop, penalty
        # One beginning, the empty one, from which n different ones grow.
        self.written = torch.empty(1, 0, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(1, device=device)
        self.finished: list[Hypothesis] = []

    def extend(self, logits: Tensor) -> Tensor:
        """Append the best tokens to the beams; return which row each beam came from."""
        totals = self.log_probs[:, None] + logits.float().log_softmax(-1)  # (beams, V)
        # Enough candidates that n stay even if every beam's best ones are stop tokens.
        count = self.n * (1 + max(1, len(self.stop)))
        best, flat = _best(totals, count)  # a model may forbid all but a few tokens
        rows, ids = flat // logits.shape[1], flat % logits.shape[1]
        written = torch.cat((self.written[rows], ids[:, None]), 1)
        ends = torch.tensor([token in self.stop for token in ids.tolist()], device=ids.device)
        for i in ends[: self.n].nonzero().flatten().tolist():
            self._finish(written[i], float(best[i]))
        live = (~ends).nonzero().flatten()[: self.n]
        self.written, self.log_probs = written[live], best[live]
        return rows[live]

    def settled(self) -> bool:
        """Whether n finished continuations all beat the best unfinished one as it stands."""
        if len(self.log_probs) == 0:  # every candidate was a stop token
            return True
        score = float(self.log_probs[0]) / self.written.shape[1] ** self.penalty
        return len(self.finished) == self.n and score <= self.finished[-1].score

    def best(self) -> list[Hypothesis]:
        for tokens, log_prob in zip(self.written, self.log_probs.tolist(), strict=True):
            self._finish(tokens, log_prob)
        return self.finished

    def _finish(self, tokens: Tensor, log_prob: float) -> None:
        if log_prob > -math.inf:
            score = log_prob / len(tokens) ** self.penalty
            self.finished.append(Hypothesis(tokens, log_prob, score))
            self.finished = sorted(self.finished, key=lambda h: -h.score)[: self.n]


def _check(tokens: Tensor, max_new_tokens: int, n_beams: int) -> None:
    if tokens.ndim != 2 or tokens.shape[0] != 1 or tokens.shape[1] == 0:
        raise ValueError(f"needs one prompt (1, T), got a shape of {tuple(tokens.shape)}")
    if n_beams < 1 or max_new_tokens < 1:
        raise ValueError(f"n_beams={n_beams} and max_new_tokens={max_new_tokens} must be >= 1")

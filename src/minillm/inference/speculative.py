"""Speculative decoding: a small model drafts, a large one checks several tokens in one pass.

To read five tokens takes a large model hardly longer than to read one, as its weights have to come
from memory once in both cases. A draft model proposes k tokens; the target reads them all together
and keeps a beginning of them, by a rule that leaves its distribution as it is. Left out: batches,
trees of proposals.

Papers: Leviathan et al. (2023), arXiv:2211.17192; Chen et al. (2023), arXiv:2302.01318.
Chapter "Generating text".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.inference.sampling import GREEDY, Sampling, apply_filters
from minillm.nn.eval_mode import eval_mode
from minillm.nn.models import CausalLM


@dataclass(frozen=True, eq=False)
class Round:
    """One pass of the target: what was proposed, how each model sees it, and what stayed.

    Args:
        proposed: what the draft wrote, (k,).
        q: the draft's probability of each proposal, (k,).
        p: the target's probability of each, (k,).
        chances: the number that was drawn for each, (k,); proposal i stays if it is below p / q.
        kept: how many proposals stayed.
        own: the token of the target's own that follows them, (1,).

    Book: chapter "Generating text".
    """

    proposed: Tensor
    q: Tensor
    p: Tensor
    chances: Tensor
    kept: int
    own: Tensor

    @property
    def added(self) -> Tensor:
        """The 1 to k + 1 tokens that the pass adds to the text."""
        return torch.cat((self.proposed[: self.kept], self.own))


@dataclass(frozen=True, eq=False)
class Speculation:
    """A text that was written speculatively, and what it took.

    Args:
        tokens: prompt and continuation, (1, T + new).
        rounds: the passes of the target, each of which adds one token of its own.

    Book: chapter "Generating text".
    """

    tokens: Tensor
    rounds: tuple[Round, ...]

    @property
    def calls(self) -> int:
        """Passes of the target."""
        return len(self.rounds)

    @property
    def judged(self) -> int:
        """Proposals up to the first refused one of each pass; those behind it are lost."""
        return sum(min(one.kept + 1, len(one.proposed)) for one in self.rounds)

    @property
    def accepted(self) -> int:
        """How many of the judged proposals stayed."""
        return sum(one.kept for one in self.rounds)


def verify(proposed: Tensor, q: Tensor, p: Tensor, chances: Tensor) -> tuple[int, Tensor]:
    """Decide how many proposals stay, and from which distribution the next token comes.

    Proposal x stays with probability min(1, p(x) / q(x)). At the first one that does not, the next
    token comes from (p − q)₊ / Σ (p − q)₊; after the last one from p. So each token has the
    distribution p, whatever q is.

    Args:
        proposed: tokens drawn from the rows of q.
        q: the draft's distributions.
        p: the target's distributions, one more.
        chances: numbers that are uniform between 0 and 1, one for each proposal.

    Shape:
        proposed, chances: (k,); q: (k, V); p: (k + 1, V); returns a number up to k, and (V,).

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> q, p = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.2, 0.8], [0.6, 0.4]])
        >>> verify(torch.tensor([0]), q, p, torch.tensor([0.5]))  # 0.5 > 0.2 / 0.5
        (0, tensor([0., 1.]))

    Source: Leviathan et al. (2023), arXiv:2211.17192, section 2.3.
    Book: chapter "Generating text".
    """
    k = len(proposed)
    _check_rows(k, q, p, chances)
    row = torch.arange(k, device=q.device)
    stays = chances * q[row, proposed] < p[row, proposed]
    accepted = int(stays.int().cumprod(0).sum())
    if accepted == k:
        return k, p[k]
    lacking = (p[accepted] - q[accepted]).clamp(min=0)
    total = lacking.sum()
    return accepted, lacking / total if total > 0 else p[accepted]  # 0: equal but for rounding


@torch.no_grad()
def speculative_generate(
    target: CausalLM,
    draft: CausalLM,
    tokens: Tensor,
    *,
    max_new_tokens: int,
    k: int = 4,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
    generator: torch.Generator | None = None,
) -> Speculation:
    """Continue one prompt as `generate(target, …)` does, in fewer passes of the target.

    The text has the same distribution, and with greedy sampling it is the same text (but for ties
    that rounding decides). Temperature and filters change both models' distributions.

    Args:
        target: the model whose text is wanted.
        draft: a faster one with the same tokenizer.
        tokens: the prompt.
        max_new_tokens: the largest number of new tokens; prompt and text must fit the contexts.
        k: proposals for each pass of the target.
        sampling: how a token is chosen.
        stop: the text ends with the first of these ids.
        generator: the source of randomness, on the device of the models.

    Shape:
        tokens: (1, T).

    Raises:
        ValueError: If the vocabularies differ, tokens are not one prompt, or a number is < 1.

    Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1.
    Book: chapter "Generating text".
    """
    _check(target, draft, tokens, max_new_tokens, k)
    pair = _Pair(target, draft, tokens.shape[1] + max_new_tokens, sampling, generator)
    with eval_mode(target), eval_mode(draft):
        return pair.write(tokens, k, frozenset(stop))


class _Pair:
    """Target and draft, and what each has read: the text without its last token, or less."""

    def __init__(
        self,
        target: CausalLM,
        draft: CausalLM,
        room: int,
        sampling: Sampling,
        generator: torch.Generator | None,
    ) -> None:
        self.target, self.draft, self.room = target, draft, room
        self.target_state, self.draft_state = target.new_state(1, room), draft.new_state(1, room)
        self.sampling, self.generator = sampling, generator

    def write(self, text: Tensor, k: int, ends: frozenset[int]) -> Speculation:
        """Add tokens until there is no more room, or one of them ends the text."""
        rounds: list[Round] = []
        end = None
        while text.shape[1] < self.room and end is None:
            n = min(k, self.room - text.shape[1] - 1)  # the target adds one token of its own
            rounds.append(self.step(text, n))
            added = rounds[-1].added
            end = next((i + 1 for i, token in enumerate(added.tolist()) if token in ends), None)
            text = torch.cat((text, added[None, :end]), dim=1)
        return Speculation(text, tuple(rounds))

    def step(self, text: Tensor, k: int) -> Round:
        """One pass of the target over k proposals."""
        proposed, q = self.propose(text, k)
        known = torch.cat((text, proposed[None]), dim=1)
        logits = self.target(known[:, len(self.target_state) :], state=self.target_state)[0]
        p = _distribution(logits[-k - 1 :], self.sampling)
        chances = torch.rand(k, generator=self.generator, device=text.device)
        kept, rest = verify(proposed, q, p, chances)
        own = torch.multinomial(rest, 1, generator=self.generator)
        for state in (self.target_state, self.draft_state):  # forget what was refused
            state.truncate(min(len(state), text.shape[1] + kept))
        row = torch.arange(k, device=text.device)
        return Round(proposed, q[row, proposed], p[row, proposed], chances, kept, own)

    def propose(self, text: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Let the draft write k tokens: their ids (k,), and the distributions (k, V)."""
        start, state = text.shape[1], self.draft_state
        rows = [torch.empty(0, self.draft.config.vocab_size, device=text.device)]
        for _ in range(k):
            logits = self.draft.next_logits(text[:, len(state) :], state=state)
            rows.append(_distribution(logits, self.sampling))
            token = torch.multinomial(rows[-1], 1, generator=self.generator)
            text = torch.cat((text, token), dim=1)
        return text[0, start:], torch.cat(rows)


def _distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """What `sample` draws from, (n, V); at temperature 0 all of it on the best token."""
    if sampling.temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    return apply_filters(logits.float(), sampling).softmax(-1)


def _check_rows(k: int, q: Tensor, p: Tensor, chances: Tensor) -> None:
    if q.shape[0] != k or p.shape != (k + 1, q.shape[1]) or chances.shape != (k,):
        raise ValueError(
            f"{k} proposals, q {tuple(q.shape)}, p {tuple(p.shape)} and chances "
            f"{tuple(chances.shape)} do not fit"
        )


def _check(target: CausalLM, draft: CausalLM, tokens: Tensor, new: int, k: int) -> None:
    sizes = target.config.vocab_size, draft.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"the target has a vocabulary of {sizes[0]} tokens, the draft one of {sizes[1]}: "
            "a draft needs the target's tokenizer"
        )
    if tokens.ndim != 2 or tokens.shape[0] != 1 or tokens.shape[1] == 0:
        raise ValueError(f"needs one prompt (1, T), got a shape of {tuple(tokens.shape)}")
    if new < 1 or k < 1:
        raise ValueError(f"max_new_tokens={new} and k={k} must be >= 1")

"""Writing inside a pattern: tokens that would leave it get the probability 0.

A token is a string of bytes, so it may come next if its bytes can be read in turn. `TokenMask`
finds these tokens in a tree of the vocabulary, where tokens with the same beginning share nodes;
`Constrained` puts every other logit to minus infinity, step by step.

Source: Willard and Louf (2023), arXiv:2307.09702.
Book: chapter "Extracting facts".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from minillm.inference.generate import context_length
from minillm.inference.patterns import NEVER, Pattern, after, can_end, rest
from minillm.protocol import LanguageModel, State


@dataclass
class _Node:
    """A place in the tree of all tokens: the ids that end here, and the bytes that go on."""

    ids: list[int] = field(default_factory=list)
    next: dict[int, _Node] = field(default_factory=dict)


class TokenMask:
    """Which tokens of a vocabulary may come next under a pattern; each answer is remembered.

    allowed(P) = {i : after reading the bytes of token i, something that P allows is left},
    and the end token if P may end here.

    Args:
        tokens: the bytes of each id, as `BPETokenizer.tokens`.
        end: id of the token that ends a text; it and the others of `special` never stand inside.
        special: further ids that are no text.

    Raises:
        ValueError: If an id lies outside the vocabulary.

    Example:
        >>> from minillm.inference.patterns import one_of
        >>> mask = TokenMask([b"<end>", b"y", b"yes", b"n", b"no", b"o", b"not"], end=0)
        >>> mask.allowed(one_of(["yes", "no"])), mask.allowed(one_of(["", "o"]))
        ([1, 2, 3, 4], [0, 5])

    Book: chapter "Extracting facts".
    """

    def __init__(self, tokens: Sequence[bytes], *, end: int, special: Collection[int] = ()) -> None:
        wrong = [i for i in (end, *special) if not 0 <= i < len(tokens)]
        if wrong:
            raise ValueError(f"ids {wrong} are not among the {len(tokens)} tokens")
        self.tokens, self.end = tuple(tokens), end
        self._root = _Node()
        self._known: dict[Pattern, list[int]] = {}
        for i, token in enumerate(self.tokens):
            if token and i != end and i not in special:
                self._add(i, token)

    def _add(self, i: int, token: bytes) -> None:
        node = self._root
        for byte in token:
            node = node.next.setdefault(byte, _Node())
        node.ids.append(i)

    def allowed(self, pattern: Pattern) -> list[int]:
        """The ids that may come next, in order.

        Raises:
            ValueError: If no token may, so that the pattern cannot be written in this vocabulary.
        """
        if pattern not in self._known:
            found = [self.end] if can_end(pattern) else []
            places = [(self._root, pattern)]
            while places:
                node, left = places.pop()
                found += node.ids
                steps = ((child, after(left, byte)) for byte, child in node.next.items())
                places += [(child, state) for child, state in steps if state != NEVER]
            if not found:
                raise ValueError(f"no token of the {len(self.tokens)} may follow in {pattern}")
            self._known[pattern] = sorted(found)
        return self._known[pattern].copy()

    def step(self, pattern: Pattern | None, token: int) -> Pattern | None:
        """What is left after a token; None after the end, and after one that was not allowed.

        A row writes on after its end while others are not ready, be it an end of the caller's.
        """
        if pattern is None or token == self.end:
            return None
        left = rest(pattern, self.tokens[token])
        return None if left == NEVER else left


class PatternState:
    """The state of another model, and what is left of each row's pattern.

    Args:
        state: what the other model's `new_state` returned.
        left: one pattern a row; None where a text has ended.
    """

    def __init__(self, state: State, left: list[Pattern | None]) -> None:
        self.state, self.left = state, left
        self.started = False  # whether the prompt has been read

    def __len__(self) -> int:
        return len(self.state)

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` of the batch, in that order; a row may be repeated (beams)."""
        self.state.reorder(index)
        self.left = [self.left[i] for i in index.tolist()]


class Constrained:
    """A language model that can write nothing but what a pattern allows; for `generate`.

    p(i | text) = p_model(i | text) / Σ_{j allowed} p_model(j | text) for allowed i, otherwise 0.
    What is read first is the prompt, under no pattern; what is read later is the text.

    Args:
        model: any language model.
        pattern: for all rows, or one for each row.
        mask: the tokens, and which of them ends a text; pass that one as `stop` to `generate`.

    Raises:
        ValueError: If something else than patterns is given.

    Example:
        >>> from minillm import CausalLM, ModelConfig, generate
        >>> from minillm.inference.patterns import one_of
        >>> config = ModelConfig(vocab_size=5, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> mask = TokenMask([b"<end>", b"y", b"yes", b"n", b"o"], end=0)
        >>> model = Constrained(CausalLM(config), one_of(["no"]), mask)
        >>> generate(model, torch.tensor([[1]]), max_new_tokens=3).tolist()
        [[1, 3, 4, 0]]

    Book: chapter "Extracting facts".
    """

    def __init__(
        self, model: LanguageModel, pattern: Pattern | Sequence[Pattern], mask: TokenMask
    ) -> None:
        self.model, self.mask = model, mask
        self.patterns = list(pattern) if isinstance(pattern, Sequence) else [pattern]
        for one in self.patterns:
            if not isinstance(one, Pattern):
                raise ValueError(f"{one!r} is no pattern: make one of a text with one_of([text])")
        self.limit = context_length(model)
        self.last = getattr(model, "next_logits", None)  # a model may offer this shorter way

    def new_state(self, batch: int, length: int) -> PatternState:
        """Return an empty state for `batch` rows and at most `length` tokens.

        Raises:
            ValueError: If there are more or fewer rows than patterns, or the text might outgrow
                the model's context.
        """
        if len(self.patterns) not in (1, batch):
            raise ValueError(f"{batch} rows, but {len(self.patterns)} patterns")
        if self.limit is not None and length > self.limit:
            raise ValueError(f"{length} tokens do not fit into a context of {self.limit}")
        left: list[Pattern | None] = [*self.patterns] * (batch // len(self.patterns))
        return PatternState(self.model.new_state(batch, length), left)

    def __call__(
        self, tokens: Tensor, *, state: PatternState | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Read tokens (B, T) and return the logits after the last of them, (B, 1, V)."""
        if state is None:
            state = self.new_state(len(tokens), tokens.shape[1])
        if state.started:
            for column in tokens.T.tolist():
                pairs = zip(state.left, column, strict=True)
                state.left = [self.mask.step(left, token) for left, token in pairs]
        state.started = True
        padding = {} if mask is None else {"mask": mask}
        if self.last is not None:
            logits = self.last(tokens, state=state.state, **padding)
        else:
            logits = self.model(tokens, state=state.state, **padding)[:, -1]
        return self._restrict(logits, state.left)[:, None]

    def _restrict(self, logits: Tensor, left: list[Pattern | None]) -> Tensor:
        """Keep the logits (B, V) of allowed tokens; after the end only the end is allowed."""
        if logits.shape[-1] < len(self.mask.tokens):
            raise ValueError(f"{logits.shape[-1]} logits, but {len(self.mask.tokens)} tokens")
        kept = torch.full_like(logits, -math.inf)
        for row, pattern in enumerate(left):
            ids = [self.mask.end] if pattern is None else self.mask.allowed(pattern)
            chosen = torch.tensor(ids, device=logits.device)
            kept[row, chosen] = logits[row, chosen]
        return kept

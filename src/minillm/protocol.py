"""What all language models of the book share: a call that gives logits, and a state.

An n-gram carries its last words from one step to the next, a recurrent network its hidden vector, a
Transformer the keys and values of everything it has read. Because all three are passed as `state=`,
one `generate` serves every model of the book.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class State(Protocol):
    """What a model remembers of the tokens it has read; its length is their number."""

    def __len__(self) -> int: ...

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` of the batch, in that order; a row may be repeated (beams)."""


class LanguageModel(Protocol):
    """Anything that turns tokens (B, T) into next-token logits (B, T, V).

    The models of this package also take a padding `mask` (B, S), True = a real token, over
    everything read so far; it is passed only where prompts of unequal length share a batch.
    """

    def __call__(self, tokens: Tensor, *, state: Any = None) -> Tensor:
        """Return the logits of the token after each of `tokens`.

        Args:
            tokens: ids (B, T).
            state: what this model's own `new_state` returned, a `State`; extended in place.
        """

    def new_state(self, batch: int, length: int) -> State:
        """Return an empty state for `batch` rows and at most `length` tokens."""

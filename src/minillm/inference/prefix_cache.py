"""Read a growing text once: keep the keys and values of one call of `generate` for the next.

Each turn of a conversation is the whole text so far with something added. What the new text shares
with the one read before, from the first token on, has its keys and values already; only the rest is
read. Servers call this prefix caching. Left out on purpose: more than one text at a time.

Book: chapter "Chat".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.nn.kv_cache import KVCache
from minillm.nn.models import CausalLM


class PrefixState:
    """The handle of one text in a `PrefixCache`; the next text gets another one.

    Args:
        cache: the keys and values, which all handles share.

    Attributes:
        reordered_at: how much had been read when the rows first became different texts, or None.
    """

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.reordered_at: int | None = None

    def __len__(self) -> int:
        return len(self.cache)

    @property
    def nbytes(self) -> int:
        """Bytes allocated for keys and values."""
        return self.cache.nbytes

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` of the batch, in that order; a row may be repeated (beams)."""
        if self.reordered_at is None:
            self.reordered_at = len(self.cache)
        self.cache.reorder(index)


class PrefixCache:
    """A causal model that remembers what it has read; give it to `generate` in the model's place.

    The answers are those of the model itself. The memory is that of the longest text, rounded up.

    Args:
        model: in evaluation mode; its weights must not change.

    Attributes:
        ids: the tokens whose keys and values are kept.

    Example:
        >>> import torch
        >>> from minillm import ModelConfig, generate
        >>> config = ModelConfig(vocab_size=9, context_length=16, d_model=8, n_layers=1, n_heads=2)
        >>> model = PrefixCache(CausalLM(config).eval())
        >>> text = generate(model, torch.tensor([[1, 2, 3]]), max_new_tokens=4)
        >>> model.ids == text[0, :-1].tolist()  # the last one is written but not yet read
        True

    Book: chapter "Chat".
    """

    def __init__(self, model: CausalLM) -> None:
        self.model, self.config = model, model.config
        self.ids: list[int] = []
        self._room, self._cache = 0, model.new_state(1, 0)
        self._state = PrefixState(self._cache)
        self._new_text = True

    def new_state(self, batch: int, length: int) -> PrefixState:
        """The state of a new text of at most `length` tokens; what it shares is kept.

        A state that was handed out before is good no longer: there is one memory.

        Raises:
            ValueError: If there is more than one row, or `length` exceeds the context length.
        """
        if batch != 1:
            raise ValueError(f"a PrefixCache reads one text, not a batch of {batch}")
        if self._state.reordered_at is not None:  # beams: only their common beginning is one text
            self._cache.truncate(self._state.reordered_at)
            self._cache.reorder(torch.zeros(1, dtype=torch.long, device=self._cache[0].k.device))
            self.ids = self.ids[: self._state.reordered_at]
        if length > self._room:
            self._grow(length)
        self._state, self._new_text = PrefixState(self._cache), True
        return self._state

    def __call__(self, tokens: Tensor, *, state: PrefixState | None = None) -> Tensor:
        """Read tokens that follow the ones before, or a whole new text after `new_state`.

        Args:
            tokens: ids (1, T).
            state: what `new_state` returned last.

        Shape:
            returns (1, n, V), with n ≤ T the number of tokens that had to be read.

        Raises:
            ValueError: If the state is an older one.
        """
        return self._read(self.model, tokens, state)

    def next_logits(self, tokens: Tensor, *, state: PrefixState | None = None) -> Tensor:
        """As a call, but for the last token alone: (1, V)."""
        return self._read(self.model.next_logits, tokens, state)

    def _read(
        self, read: Callable[..., Tensor], tokens: Tensor, state: PrefixState | None
    ) -> Tensor:
        if state is not self._state:
            raise ValueError("the state is not the one that new_state returned last")
        if self._new_text:
            kept = shared_length(self.ids, tokens[0, :-1].tolist())  # the last is always read
            self._cache.truncate(kept)
            self.ids, tokens, self._new_text = self.ids[:kept], tokens[:, kept:], False
        logits = read(tokens, state=self._cache)
        self.ids += tokens[0].tolist()  # only now: whoever interrupts leaves nothing half-read
        return logits

    def _grow(self, length: int) -> None:
        """Move to a larger cache; doubling keeps the copies rare."""
        room = max(length, min(2 * self._room, self.config.context_length))
        larger = self.model.new_state(1, room)
        kept = len(self.ids)
        for new, old in zip(larger.layers, self._cache.layers, strict=True):
            new.append(old.k[:, :, :kept], old.v[:, :, :kept])
        self._room, self._cache = room, larger


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of tokens that two texts have in common from the beginning.

    Example:
        >>> shared_length([5, 6, 7], [5, 6, 8, 7])
        2

    Book: chapter "Chat".
    """
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))

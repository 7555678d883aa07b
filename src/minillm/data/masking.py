"""Hide tokens by BERT's recipe, so that a model may guess them from both sides.

Book: chapter "Objectives".
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from minillm.data.batch import IGNORE, Batch
from minillm.data.windows import generator as generator_of

Hide = Callable[[Tensor, torch.Generator], Batch]
"""Hides tokens of rows (B, T) by the numbers of a generator."""


def mask_tokens(
    tokens: Tensor,
    *,
    mask_id: int,
    vocab_size: int,
    special: Collection[int] = (),
    rate: float = 0.15,
    masked: float = 0.8,
    random: float = 0.1,
    generator: torch.Generator | None = None,
) -> Batch:
    """Choose positions by chance, hide what stands there, and ask for it.

    Each position is chosen with probability `rate`. Of the chosen ones the share `masked` becomes
    the mask token, the share `random` a token drawn by chance (now and then the one that stood
    there), and the rest stays as it is; all of them are targets, and no other position is. A short
    row may have no target at all.

    Args:
        tokens: ids (B, T), on any device; they are left as they are.
        mask_id: the id that hides a token.
        vocab_size: V; random tokens are drawn from 0 … V − 1 without the special ones.
        special: ids that, like the mask, are neither chosen nor drawn: [CLS], padding.
        rate: the share of positions that are chosen.
        masked: the share of the chosen ones that becomes `mask_id`.
        random: the share of the chosen ones that becomes a random token.
        generator: where the chance comes from, on the device of the tokens; None means the
            global one.

    Returns:
        The damaged tokens as inputs, and as targets what stood there, `IGNORE` elsewhere.

    Raises:
        ValueError: If a share is not in [0, 1], the shares of the chosen ones exceed 1, the mask
            token is not in the vocabulary, or no token is left to draw.

    Example:
        >>> batch = mask_tokens(
        ...     torch.tensor([[2, 7, 8, 3]]), mask_id=4, vocab_size=9, special=[2, 3], rate=1.0,
        ...     masked=1.0, random=0.0,
        ... )
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[2, 4, 4, 3]], [[-100, 7, 8, -100]])

    Source: Devlin et al. (2019), section 3.1, arXiv:1810.04805.
    Book: chapter "Objectives".
    """
    _check_shares(rate, masked, random)
    if not 0 <= mask_id < vocab_size:
        raise ValueError(f"mask_id={mask_id} is not in a vocabulary of {vocab_size}")
    closed = {*special, mask_id}
    ordinary = torch.tensor([i for i in range(vocab_size) if i not in closed], device=tokens.device)
    if len(ordinary) == 0:
        raise ValueError(f"all {vocab_size} tokens are special, none is left to draw")
    chosen, fate = (
        torch.rand(tokens.shape, device=tokens.device, generator=generator) for _ in range(2)
    )
    picked = chosen < rate
    for id_ in closed:
        picked &= tokens != id_
    which = torch.randint(len(ordinary), tokens.shape, device=tokens.device, generator=generator)
    inputs = tokens.masked_fill(picked & (fate < masked), mask_id)
    swapped = picked & (fate >= masked) & (fate < masked + random)
    inputs = torch.where(swapped, ordinary[which], inputs)
    return Batch(inputs, tokens.masked_fill(~picked, IGNORE))


def _check_shares(rate: float, masked: float, random: float) -> None:
    for name, share in (("rate", rate), ("masked", masked), ("random", random)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share} must lie in [0, 1]")
    if masked + random > 1 + 1e-9:
        raise ValueError(f"masked={masked} and random={random} are more than the whole together")


class MaskedRows:
    """Rows of equal length in random order, hidden anew in every round, or in few ways for good.

    With `patterns=None` a row is hidden in another way each time it comes: dynamic masking. With
    `patterns=1` it is hidden in the same way always, as if the corpus had been masked once before
    training: static masking. With n patterns the ways recur after n rounds.

    Args:
        rows: ids (N, T), on the CPU like the generator that `hide` gets.
        hide: hides tokens of rows, such as `mask_tokens` with its settings.
        patterns: in how many ways each row is hidden; None for a new way each round.
        seed: another seed gives other orders and hides other tokens.

    Raises:
        ValueError: If the rows are not a table of at least one row, or patterns is below 1.

    Example:
        >>> from functools import partial
        >>> def hide(rows, generator):
        ...     return mask_tokens(rows, mask_id=0, vocab_size=9, rate=0.5, generator=generator)
        >>> data = MaskedRows(torch.ones(1, 6, dtype=torch.long), hide, patterns=1)
        >>> torch.equal(data.batch(0, 1).targets, data.batch(1, 1).targets)
        True

    Source: Liu et al. (2019), section 4.1, arXiv:1907.11692.
    Book: chapter "Objectives".
    """

    def __init__(
        self, rows: Tensor, hide: Hide, *, patterns: int | None = None, seed: int = 0
    ) -> None:
        if rows.ndim != 2 or len(rows) == 0:
            raise ValueError(f"need rows (N, T) with N > 0, not shape {tuple(rows.shape)}")
        if patterns is not None and patterns < 1:
            raise ValueError(f"patterns={patterns} must be at least 1, or None")
        self.rows, self.hide, self.patterns, self.seed = rows, hide, patterns, seed
        self._kept: tuple[int, Batch] | None = None  # the round that was asked for last

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, step: int, size: int) -> Batch:
        """The hidden rows of one step, the same ones whenever asked."""
        numbers = range(step * size, (step + 1) * size)
        rounds = sorted({number // len(self) for number in numbers})
        places = {r: [n % len(self) for n in numbers if n // len(self) == r] for r in rounds}
        parts = [self._part(r, of_round) for r, of_round in places.items()]
        return Batch(torch.cat([p.inputs for p in parts]), torch.cat([p.targets for p in parts]))

    def _part(self, round_: int, places: list[int]) -> Batch:
        """The rows at some places of a round."""
        if self._kept is None or self._kept[0] != round_:
            pattern = round_ if self.patterns is None else round_ % self.patterns
            order = torch.randperm(len(self), generator=generator_of(self.seed, round_))
            whole = self.hide(self.rows, generator_of(self.seed + 1, pattern))
            self._kept = round_, Batch(whole.inputs[order], whole.targets[order])
        whole = self._kept[1]
        return Batch(whole.inputs[places], whole.targets[places])

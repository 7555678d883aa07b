"""What a model is trained for: every loss returns a sum and a count.

Means do not add up: the mean of the means of unequal parts is not the mean of the whole. Sums do,
so a batch may be split into pieces or spread over machines, and one division at the end gives the
exact result. Cross-entropy is computed in float32 whatever the model computes in. Left out: label
smoothing and auxiliary losses.

Chapters "Pretraining", "Objectives", "Encoder, decoder, both" and
"Classification, sentiment, moderation".
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.data.batch import IGNORE, Batch

PIECE = 1 << 20
"""So many scores at once go into a cross-entropy on a CPU."""
Scorer = Callable[..., Tensor]
"""A model: tokens (B, T), and `mask=` if the batch has one, to logits (B, T, V) or (B, C)."""


def lm_loss(model: Scorer, batch: Batch) -> tuple[Tensor, int]:
    r"""Next-token loss: the sum of -log p over all targets, and their number.

    \mathcal{L} = -\sum_{b,t} \log p_\theta(\text{target}_{b,t} \mid \text{inputs}_{b,\le t})

    Args:
        model: maps tokens (B, T) to logits (B, T, V).
        batch: inputs and targets (B, T); a target of `IGNORE` is not counted.

    Returns:
        The sum in nats (a float32 scalar with a gradient), and the number of counted targets.

    Raises:
        ValueError: If logits and targets disagree in shape.

    Book: chapter "Pretraining".
    """
    return _cross_entropy(_scores(model, batch), batch.targets)


def mlm_loss(model: Scorer, batch: Batch) -> tuple[Tensor, int]:
    r"""Masked-word loss: the sum of -log p over the hidden tokens, and their number.

    \mathcal{L} = -\sum_{b} \sum_{i \in \Omega_b} \log p_\theta(x_{b,i} \mid \tilde x_b)

    where x̃ is the damaged row and Ω are its targets. The head is computed at the targets alone.

    Args:
        model: a `MaskedLM`; maps tokens (B, T) and `where=` (B, T) to logits (N, V).
        batch: what `mask_tokens` returned; a target of `IGNORE` is not counted.

    Returns:
        The sum in nats (a float32 scalar with a gradient), and the number of counted targets.

    Raises:
        ValueError: If inputs and targets disagree in shape.

    Source: Devlin et al. (2019), section 3.1, arXiv:1810.04805.
    Book: chapter "Objectives".
    """
    if batch.inputs.shape != batch.targets.shape:
        raise ValueError(
            f"inputs of shape {tuple(batch.inputs.shape)} do not fit targets "
            f"{tuple(batch.targets.shape)}"
        )
    where = batch.targets != IGNORE
    logits = model(batch.inputs, mask=batch.mask, where=where)
    return _cross_entropy(logits, batch.targets[where])


def seq2seq_loss(model: Scorer, batch: Batch, *, start: int) -> tuple[Tensor, int]:
    r"""Loss of a translation: the sum of -log p over the tokens of the targets, and their number.

    \mathcal{L} = -\sum_{b,t} \log p_\theta(y_{b,t} \mid y_{b,<t}, \text{source}_b)

    The decoder reads the right translation, moved by one place (`shift_right`), whatever it would
    have written itself: teacher forcing.

    Args:
        model: maps source (B, S), what is written (B, T), and `source_mask`, to logits (B, T, V).
        batch: sources (B, S) as inputs, with their mask, and targets (B, T); `IGNORE` is not
            counted.
        start: the id that the decoder reads first.

    Returns:
        The sum in nats (a float32 scalar with a gradient), and the number of counted targets.

    Raises:
        ValueError: If logits and targets disagree in shape, or sources and targets in rows.

    Source: Sutskever et al. (2014), arXiv:1409.3215.
    Book: chapter "Encoder, decoder, both".
    """
    if len(batch.inputs) != len(batch.targets):
        raise ValueError(f"{len(batch.inputs)} sources, but {len(batch.targets)} targets")
    written = shift_right(batch.targets, start)
    return _cross_entropy(model(batch.inputs, written, source_mask=batch.mask), batch.targets)


def shift_right(targets: Tensor, start: int) -> Tensor:
    """What a decoder reads while it is taught `targets`: a start token, then all but the last.

    Shape:
        targets: (B, T) → (B, T); a target of `IGNORE` is read as the start token.

    Example:
        >>> shift_right(torch.tensor([[7, 8, 9], [7, 9, IGNORE]]), 1).tolist()
        [[1, 7, 8], [1, 7, 9]]

    Book: chapter "Encoder, decoder, both".
    """
    first = torch.full_like(targets[:, :1], start)
    written = torch.cat((first, targets[:, :-1]), dim=1)
    return written.masked_fill(written == IGNORE, start)


def classification_loss(model: Scorer, batch: Batch) -> tuple[Tensor, int]:
    r"""Class loss: the sum of -log p(class | text) over a batch, and the number of texts.

    Args:
        model: maps tokens (B, T), and the batch's mask, to logits (B, C).
        batch: inputs (B, T) and one class per text, targets (B,); `IGNORE` is not counted.

    Returns:
        The sum in nats (a float32 scalar with a gradient), and the number of counted texts.

    Raises:
        ValueError: If logits and targets disagree in shape.

    Book: chapter "Classification, sentiment, moderation".
    """
    return _cross_entropy(_scores(model, batch), batch.targets)


def sequence_log_probs(model: Scorer, batch: Batch) -> Tensor:
    r"""The log-probability that the model gives each whole sequence of a batch.

    \log p(\text{text}_b) = \sum_t \log p_\theta(\text{target}_{b,t} \mid \text{inputs}_{b,\le t})

    Args:
        model: maps tokens (B, T) to logits (B, T, V).
        batch: inputs and targets (B, T); a target of `IGNORE` adds nothing.

    Shape:
        output: (B,), in nats, at most 0.

    Raises:
        ValueError: If logits and targets disagree in shape.

    Book: chapter "Predicting the next word".
    """
    logits = _scores(model, batch)
    _check_shapes(logits, batch.targets)
    losses = F.cross_entropy(
        logits.float().mT, batch.targets, ignore_index=IGNORE, reduction="none"
    )
    return -losses.sum(-1)  # (B, T) -> (B,)


def count_targets(batch: Batch) -> int:
    """How many targets of a batch are counted by a loss: those that are not `IGNORE`.

    Book: chapter "Pretraining".
    """
    return int((batch.targets != IGNORE).sum())


def _scores(model: Scorer, batch: Batch) -> Tensor:
    # Without padding no mask is passed, so that a model by hand need not know the argument.
    return model(batch.inputs) if batch.mask is None else model(batch.inputs, mask=batch.mask)


def _cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    _check_shapes(logits, targets)
    # A CPU works on pieces that its caches hold; on a GPU each piece would be calls that wait.
    rows = max(1, PIECE // logits.shape[-1]) if logits.is_cpu else targets.numel()
    pieces = zip(logits.flatten(0, -2).split(rows), targets.flatten().split(rows), strict=True)
    losses = [
        F.cross_entropy(scores.float(), right, ignore_index=IGNORE, reduction="sum")
        for scores, right in pieces  # (rows, V) and (rows,)
    ]
    return torch.stack(losses).sum(), int((targets != IGNORE).sum())


def _check_shapes(logits: Tensor, targets: Tensor) -> None:
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}"
        )

"""From scores to one token: temperature, top-k, top-p, min-p.

A language model ends in logits, one score for every token of the vocabulary. How a token is chosen
from them is not part of the model, and it decides between dull, lively and broken text. Each filter
is a function from logits to logits that sets what may not be chosen to minus infinity, so filters
compose. Rules that look at the text so far, such as penalties, are in `repetition`.

Papers: Fan et al. (2018), arXiv:1805.04833 (top-k); Holtzman et al. (2020), arXiv:1904.09751
(top-p); Nguyen et al. (2024), arXiv:2407.01082 (min-p). Chapter "Generating text".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is chosen from logits; the filters apply in the order of the fields.

    Args:
        temperature: divides the logits; 0 means the most probable token, always.
        top_k: keep only the k most probable tokens.
        top_p: keep the fewest tokens whose probabilities reach p together, 0 < p <= 1.
        min_p: keep tokens at least p times as probable as the most probable one, 0 <= p <= 1.

    Raises:
        ValueError: If a field is outside its range.

    Example:
        >>> Sampling(temperature=0.7, top_k=50)
        Sampling(temperature=0.7, top_k=50, top_p=None, min_p=None)

    Book: chapter "Generating text".
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature={self.temperature} must be a finite number >= 0")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k={self.top_k} must be >= 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be > 0 and <= 1")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p={self.min_p} must be >= 0 and <= 1")


GREEDY = Sampling(temperature=0.0)
"""Always the most probable token."""


def filter_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k highest logits of every row, and set the others to minus infinity.

    Exactly k stay, also where several logits are equal; all of them if there are fewer than k.

    Shape:
        logits: (..., V); output: (..., V).

    Raises:
        ValueError: If k < 1.

    Example:
        >>> filter_top_k(torch.tensor([1.0, 3.0, 2.0]), 2)
        tensor([-inf, 3., 2.])

    Source: Fan et al. (2018), arXiv:1805.04833.
    Book: chapter "Generating text".
    """
    if k < 1:
        raise ValueError(f"k={k} must be >= 1")
    kept, where = logits.topk(min(k, logits.shape[-1]), dim=-1)
    return torch.full_like(logits, -math.inf).scatter(-1, where, kept)


def filter_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest tokens whose probabilities sum to at least p ("nucleus").

    A token stays if the tokens more probable than it have a mass below p together; hence the most
    probable token always stays.

    Shape:
        logits: (..., V); output: (..., V).

    Raises:
        ValueError: If p is not in (0, 1].

    Example:
        >>> filter_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).exp()
        tensor([0.5000, 0.3000, 0.0000])

    Source: Holtzman et al. (2020), arXiv:1904.09751.
    Book: chapter "Generating text".
    """
    if not 0 < p <= 1:
        raise ValueError(f"p={p} must be > 0 and <= 1")
    if p == 1:
        return logits  # rounding of the running sum must not cut off the tail
    ordered, order = logits.float().softmax(-1).sort(dim=-1, descending=True)
    drop = ordered.cumsum(-1) - ordered >= p  # the mass before this token
    return logits.masked_fill(torch.empty_like(drop).scatter(-1, order, drop), -math.inf)


def filter_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens whose probability is at least p times the largest one.

    pᵢ / max p >= p  is the same as  zᵢ >= max z + ln p,  so no softmax is needed.

    Shape:
        logits: (..., V); output: (..., V).

    Raises:
        ValueError: If p is not in [0, 1].

    Example:
        >>> filter_min_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.5).exp()
        tensor([0.5000, 0.3000, 0.0000])

    Source: Nguyen et al. (2024), arXiv:2407.01082.
    Book: chapter "Generating text".
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p={p} must be >= 0 and <= 1")
    least = logits.amax(-1, keepdim=True) + (math.log(p) if p else -math.inf)
    return logits.masked_fill(logits < least, -math.inf)


def apply_filters(logits: Tensor, sampling: Sampling) -> Tensor:
    """Temperature, then top-k, top-p and min-p, as far as they are set.

    Shape:
        logits: (..., V); output: (..., V), whose softmax is the distribution sampled from; the
        largest of a row is 0.

    Raises:
        ValueError: If the temperature is 0, where no distribution exists.

    Example:
        >>> apply_filters(torch.tensor([0.0, 1.0, 2.0]), Sampling(temperature=0.5, top_k=2))
        tensor([-inf, -2.,  0.])

    Book: chapter "Generating text".
    """
    if sampling.temperature == 0:
        raise ValueError("temperature=0 is the argmax, which is no distribution to filter")
    logits = _divide(logits, sampling.temperature)
    if sampling.top_k is not None:
        logits = filter_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = filter_top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = filter_min_p(logits, sampling.min_p)
    return logits


def _divide(logits: Tensor, temperature: float) -> Tensor:
    """(z − max z) / T, which no temperature turns into NaN, beside forbidden tokens either."""
    limits = torch.finfo(torch.float32)
    within = min(max(temperature, limits.tiny), limits.max)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (logits - logits.amax(-1, keepdim=True)) / within


def sample(
    logits: Tensor, sampling: Sampling = GREEDY, *, generator: torch.Generator | None = None
) -> Tensor:
    """Draw one token for every row of logits.

    token ~ softmax(filters(logits / temperature)),  or the argmax at temperature 0.

    Args:
        logits: scores before the softmax; minus infinity forbids a token.
        sampling: temperature and filters.
        generator: the source of randomness, on the device of the logits; None is torch's own.

    Shape:
        logits: (B, V); output: (B, 1), int64.

    Raises:
        ValueError: If logits are not (B, V), hold NaN or +inf, or forbid every token of a row.

    Example:
        >>> sample(torch.tensor([[0.0, 2.0, 1.0]]))
        tensor([[1]])

    Book: chapter "Generating text".
    """
    _check_logits(logits)
    if sampling.temperature == 0:
        return logits.max(-1, keepdim=True).indices  # as argmax, but quicker in bfloat16
    probabilities = apply_filters(logits.float(), sampling).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator)


def _check_logits(logits: Tensor) -> None:
    if logits.ndim != 2:
        raise ValueError(f"logits must be (B, V), got a shape of {tuple(logits.shape)}")
    best = logits.amax(-1)  # NaN if any is NaN, -inf if all are: one pass over the vocabulary
    if not best.isfinite().all():
        row = int((~best.isfinite()).nonzero()[0])
        raise ValueError(f"logits of row {row} hold NaN or +inf, or forbid every token")

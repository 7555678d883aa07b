"""Smoothing: from counts to probabilities, also for what was never seen.

Each rule turns the evidence for one order into a probability, given that of the order below. Order
1 stands on the uniform distribution 1/V. A context that was never seen says nothing, so the
interpolating rules then keep the lower order, and the other two fall to the uniform distribution.

Source: Chen and Goodman (1999), doi:10.1006/csla.1999.0128.
Book: chapter "Predicting the next word".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Smoothing = Literal["mle", "add_k", "interpolated", "witten_bell", "kneser_ney"]


@dataclass(frozen=True)
class Settings:
    """The numbers of an n-gram model, checked.

    Raises:
        ValueError: If a number is out of its range.
    """

    order: int
    vocab_size: int
    k: float
    discount: float
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.vocab_size < 1 or self.order < 1:
            raise ValueError(f"vocab_size={self.vocab_size} and order={self.order} must be >= 1")
        if not self.k > 0:
            raise ValueError(f"k={self.k} must be above 0; without smoothing use 'mle'")
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount={self.discount} must be between 0 and 1")
        if not all(0 <= weight <= 1 for weight in self.weights):
            raise ValueError(f"weights={self.weights} must all be between 0 and 1")


@dataclass(frozen=True)
class Evidence:
    """What the counts of one order say about a token after a context; tensors broadcast."""

    count: Tensor  # of the token after this context
    total: Tensor  # of all tokens after this context; 0 = context never seen
    kinds: Tensor  # how many different tokens came after this context
    lower: Tensor  # probability by the order below
    order: int


Rule = Callable[[Evidence, Settings], Tensor]


def mle(e: Evidence, s: Settings) -> Tensor:
    """Maximum likelihood: P = count / total.

    Book: chapter "Predicting the next word".
    """
    return torch.where(e.total > 0, e.count / e.total, 1 / s.vocab_size)


def add_k(e: Evidence, s: Settings) -> Tensor:
    """Pretend to have seen every token k times more: P = (count + k) / (total + k V).

    Source: Lidstone (1920); k = 1 is Laplace's rule.
    Book: chapter "Predicting the next word".
    """
    return (e.count + s.k) / (e.total + s.k * s.vocab_size)


def interpolated(e: Evidence, s: Settings) -> Tensor:
    """A fixed share for each order: P = w · count / total + (1 - w) · P_lower.

    Source: Jelinek and Mercer (1980).
    Book: chapter "Predicting the next word".
    """
    share = s.weights[e.order - 1]
    return torch.where(e.total > 0, share * e.count / e.total + (1 - share) * e.lower, e.lower)


def witten_bell(e: Evidence, s: Settings) -> Tensor:  # noqa: ARG001 - one signature for all rules
    """The more different tokens came after a context, the likelier is another new one.

    P = (count + kinds · P_lower) / (total + kinds)

    Source: Witten and Bell (1991), doi:10.1109/18.87000.
    Book: chapter "Predicting the next word".
    """
    mixed = (e.count + e.kinds * e.lower) / (e.total + e.kinds)
    return torch.where(e.total > 0, mixed, e.lower)


def kneser_ney(e: Evidence, s: Settings) -> Tensor:
    """Take a fixed discount d from every count and give the sum to the order below.

    P = (max(count - d, 0) + d · kinds · P_lower) / total

    Below the highest order a token counts once for each different token seen before it, so that
    what is common in one phrase only is not expected elsewhere.

    Source: Kneser and Ney (1995), doi:10.1109/ICASSP.1995.479394; interpolated form of Chen and
    Goodman (1999), section 4.1.6.
    Book: chapter "Predicting the next word".
    """
    kept = (e.count - s.discount).clamp(min=0)
    return torch.where(e.total > 0, (kept + s.discount * e.kinds * e.lower) / e.total, e.lower)


SMOOTHINGS: dict[Smoothing, Rule] = {
    "mle": mle,
    "add_k": add_k,
    "interpolated": interpolated,
    "witten_bell": witten_bell,
    "kneser_ney": kneser_ney,
}

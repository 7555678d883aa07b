"""A sampler on a whole distribution: temperature, top-k, top-p, min-p, and what each of them cuts.

The likeliest tokens travel into the page by name with their logits. Of the others only levels are
kept, 128 to a nat, with the number of tokens on each: a few kilobytes in place of tens of thousands
of logits, and sums over the whole vocabulary stay what they are. All rules keep the first so many
tokens in the order of the logits, so one number tells what a rule leaves.
Book: chapter "Generating text".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray
from torch import Tensor

from minillm.inference.sampling import Sampling, apply_filters
from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import as_array, pack_varints
from minillm.widgets.softmax_temperature import random_numbers

LEVELS = 128
"""Levels of logits to a nat, for the tokens without a name."""
WIDEST = 400.0
NAMED, ROWS = 200, 12
COOLEST, HOTTEST = 0.1, 3.0
MAX_DRAWN = 1000
RULES = ("top-k", "top-p", "min-p")
Array = NDArray[np.float64]


class Sampler(Explorable):
    """Sliders for temperature and filters on real distributions over a vocabulary.

    Args:
        logits: for each prompt the logits of all tokens, (V,), the same V everywhere.
        decode: the text of a list of token ids.
        temperature: divides the logits, from 0.1 to 3.
        top_k: keeps so many tokens; 0 leaves the rule out.
        top_p: keeps the fewest tokens that reach this share; 1 leaves the rule out.
        min_p: keeps what has this share of the best one's probability; 0 leaves the rule out.
        drawn: how many tokens are drawn at first, from 0 to 1000.
        seed: of the draws, from 0 to 2³² - 1.

    Raises:
        ValueError: If there is no prompt, logits are not finite, differ in number or by more than
            400 nats, or another number is out of its range.

    >>> view = Sampler({"to": [0.0, 3.0, 1.0, 2.0]}, lambda ids: "abcd"[ids[0]], top_k=3, top_p=0.8)
    >>> view.kept(), view.shares().round(3)
    ([4, 3, 2, 2], array([0.731, 0.269, 0.   , 0.   , 0.   ]))

    Book: chapter "Generating text".
    """

    _esm = bundle("sampler.js")
    prompt = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    top_k = traitlets.Int().tag(sync=True)
    top_p = traitlets.Float().tag(sync=True)
    min_p = traitlets.Float().tag(sync=True)
    drawn = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        logits: Mapping[str, Any],
        decode: Callable[[list[int]], str],
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        drawn: int = 0,
        seed: int = 0,
    ) -> None:
        rows = {prompt: as_array(row).reshape(-1) for prompt, row in logits.items()}
        size = _common_size(rows)
        self._logits = {prompt: _rounded(row) for prompt, row in rows.items()}
        super().__init__(
            {
                "prompts": [_packed(prompt, row, decode) for prompt, row in rows.items()],
                "levels": LEVELS,
                "rows": ROWS,
                "most": MAX_DRAWN,
                "seed": int(within("seed", seed, 0, 2**32 - 1)),
            },
            prompt=next(iter(rows)),
            temperature=within("temperature", temperature, COOLEST, HOTTEST),
            top_k=int(within("top_k", top_k, 0, size)),
            top_p=within("top_p", top_p, 0.01, 1),
            min_p=within("min_p", min_p, 0, 1),
            drawn=int(within("drawn", drawn, 0, MAX_DRAWN)),
        )

    def logits(self) -> Tensor:
        """The logits of the prompt as the page knows them, the highest first, (V,), float64."""
        return torch.from_numpy(self._logits[member("prompt", self.prompt, list(self._logits))])

    def settings(self) -> Sampling:
        """What the sliders say."""
        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k or None,
            top_p=self.top_p,
            min_p=self.min_p,
        )

    def kept(self) -> list[int]:
        """How many tokens there are before the filters, after top-k, top-p and min-p."""
        rules = {"top_k": self.top_k or None, "top_p": self.top_p, "min_p": self.min_p}
        left, used = [len(self.logits())], {}
        for name, value in rules.items():
            used[name] = value
            sampling = Sampling(temperature=self.temperature, **used)  # type: ignore[arg-type]
            left.append(int((apply_filters(self.logits(), sampling) > -torch.inf).sum()))
        return left

    def cut(self) -> list[float]:
        """The probability, at the temperature and before any filter, that each rule takes away."""
        shares = self._distribution(Sampling(temperature=self.temperature))
        left = self.kept()
        return [float(shares[b:a].sum()) for a, b in pairwise(left)]

    def shares(self, sampling: Sampling | None = None) -> Array:
        """Probabilities of the named tokens, the likeliest first, and of all others together.

        Args:
            sampling: other settings than those of the sliders.
        """
        shares = self._distribution(sampling or self.settings())
        named = min(NAMED, len(shares))
        return np.append(shares[:named], shares[named:].sum())

    def entropy(self, sampling: Sampling | None = None) -> float:
        """Entropy in nats, over the whole vocabulary."""
        shares = self._distribution(sampling or self.settings())
        return float(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum())

    def counts(self) -> list[int]:
        """How often each named token, and any other, came in the draws of the page."""
        shares = self.shares()
        numbers = random_numbers(self.data["seed"], self.drawn)
        places = np.searchsorted(shares.cumsum(), numbers, "right")
        last = int(np.flatnonzero(shares)[-1])  # the sum of the shares may be rounded below 1
        return np.bincount(np.minimum(places, last), minlength=len(shares)).tolist()

    def _distribution(self, sampling: Sampling) -> Array:
        shares = apply_filters(self.logits(), sampling).softmax(-1)
        return np.asarray(shares.sort(descending=True).values)  # equal logits may be cut in any way

    def fallback(self) -> Fallback:
        """The first tokens before and after the rules."""
        packed = next(entry for entry in self.data["prompts"] if entry["prompt"] == self.prompt)
        before, after, left = self.shares(Sampling()), self.shares(), self.kept()
        told = [f"top-k {self.top_k or 'off'}", f"top-p {self.top_p:g}", f"min-p {self.min_p:g}"]
        cut = (
            f"{rule} leaves {n:,} and cuts {100 * share:.1f} %"
            for rule, n, share in zip(told, left[1:], self.cut(), strict=True)
        )
        sentence = (
            f"The sampler on a real distribution: what may follow “{self.prompt}”, over "
            f"{left[0]:,} tokens, at temperature {self.temperature:g}. {', '.join(cut)} of the "
            f"probability. The entropy goes from {self.entropy(Sampling()):.2f} to "
            f"{self.entropy():.2f} nats."
        )
        count = min(ROWS, len(packed["tokens"]))
        names = [*packed["tokens"][:count], "all others"]
        columns = [[*p[:count], p[count:].sum()] for p in (before, after)]
        rows = [
            (name, f"{100 * p:.1f} %", f"{100 * q:.1f} %")
            for name, p, q in zip(names, *columns, strict=True)
        ]
        return Fallback(sentence, ("token", "model", "after the rules"), rows)


def _common_size(rows: Mapping[str, Array]) -> int:
    """How many tokens each row has, if the rows can be shown."""
    if not rows:
        raise ValueError("got 0 prompts, expected at least 1")
    sizes = {prompt: len(row) for prompt, row in rows.items()}
    if min(sizes.values()) < 2 or len(set(sizes.values())) > 1:
        raise ValueError(f"the prompts need equally many logits, at least 2, but have {sizes}")
    for prompt, row in rows.items():
        if not np.isfinite(row).all():
            raise ValueError(f"a logit of {prompt!r} is not finite")
        within(f"the span of the logits of {prompt!r}", float(np.ptp(row)), 0, WIDEST)
    return next(iter(sizes.values()))


def _rounded(row: Array) -> Array:
    """The logits in their order, with four digits for named tokens, and at levels for others."""
    ordered = -np.sort(-row)
    named = ordered[:NAMED].round(4)
    return np.concatenate((named, named[-1] - _levels(ordered) / LEVELS))


def _levels(ordered: Array) -> NDArray[np.int64]:
    """How many levels each token without a name lies below the last one with a name."""
    last = ordered[:NAMED].round(4)[-1]
    return np.maximum(0, np.rint((last - ordered[NAMED:]) * LEVELS)).astype(np.int64)


def _packed(prompt: str, row: Array, decode: Callable[[list[int]], str]) -> dict[str, Any]:
    order = np.argsort(-row, kind="stable")
    return {
        "prompt": prompt,
        "tokens": [decode([int(i)]) for i in order[:NAMED]],
        "logits": row[order[:NAMED]].round(4).tolist(),
        "rest": pack_varints(np.bincount(_levels(row[order])).tolist()),
    }

"""The moderator's desk: two thresholds turn probabilities into decisions, and decisions cost.

Elkan (2001), "The foundations of cost-sensitive learning": for calibrated probabilities the
cheapest threshold follows from the costs alone. A person who is asked is taken to be right.
Book: chapter "Classification, sentiment, moderation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import as_array, pack_uints

STEPS = 65_535
COSTS = {"wrong": 1.0, "miss": 5.0, "look": 0.3}


class ThresholdDesk(Explorable):
    """Keep, ask a person, or remove: the readers set the thresholds and pay the price.

    A text is removed if p >= high, kept if p < low, and looked at by a person in between.
    cost per text = (wrong · removed harmless + miss · kept harmful + look · asked) / n

    Args:
        probabilities: for each model, P(harmful) of each text.
        labels: 1 for a harmful text, 0 for a harmless one.
        texts: the texts, if the worst mistakes may be shown.
        temperatures: a temperature for some models, that calibrates their probabilities as
            sigmoid(logit(p) / T) when the reader asks for it.
        low: below this, keep.
        high: from this on, remove.
        costs: the prices "wrong" (wrong removal), "miss" and "look" (a person's time).
        names: what a text with label 0 and one with label 1 is called.

    Raises:
        ValueError: If lengths disagree, a label is neither 0 nor 1, a probability leaves
            [0, 1], or the thresholds cross.

    >>> desk = ThresholdDesk({"words": [0.1, 0.6, 0.9]}, [0, 1, 1], low=0.5, high=0.8)
    >>> round(desk.decide()["cost"], 3)
    0.1

    Book: chapter "Classification, sentiment, moderation".
    """

    _esm = bundle("desk.js")
    model = traitlets.Unicode().tag(sync=True)
    low = traitlets.Float().tag(sync=True)
    high = traitlets.Float().tag(sync=True)
    costs = traitlets.Dict().tag(sync=True)
    calibrate = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        probabilities: Mapping[str, Any],
        labels: Any,
        texts: Sequence[str] | None = None,
        *,
        temperatures: Mapping[str, float] | None = None,
        low: float = 0.5,
        high: float = 0.5,
        costs: Mapping[str, float] = COSTS,
        names: tuple[str, str] = ("harmless", "harmful"),
    ) -> None:
        self._labels = as_array(labels).astype(int)
        columns = {name: as_array(p) for name, p in probabilities.items()}
        _check(columns, self._labels, texts, temperatures or {})
        if within("low", low, 0, 1) > within("high", high, 0, 1):
            raise ValueError(f"low is {low}, above high, which is {high}")
        if set(costs) != set(COSTS):
            raise ValueError(f"costs are named {sorted(costs)}, expected {sorted(COSTS)}")
        self._packed = {name: np.round(p * STEPS).astype(int) for name, p in columns.items()}
        self._temperatures = dict(temperatures or {})
        super().__init__(
            {
                "probabilities": {name: pack_uints(p, 16) for name, p in self._packed.items()},
                "labels": pack_uints(self._labels, 8),
                "texts": list(texts or []),
                "temperatures": self._temperatures,
                "names": list(names),
            },
            model=next(iter(columns)),
            low=float(low),
            high=float(high),
            costs={name: float(costs[name]) for name in COSTS},
            calibrate=False,
        )

    def decide(
        self, model: str | None = None, *, calibrate: bool | None = None
    ) -> dict[str, float]:
        """What the thresholds do to one model's texts: counts, share asked, cost per text.

        Returns:
            `kept_0`, `asked_0`, `removed_0` and the same with `_1`: texts of each label;
            `asked`: share of all texts; `cost`: per text.
        """
        p = self._probabilities(model or self.model, calibrate)
        kept, removed = p < self.low, p >= self.high
        groups = {"kept": kept & ~removed, "asked": ~kept & ~removed, "removed": removed}
        counts = {
            f"{name}_{label}": float((group & (self._labels == label)).sum())
            for label in (0, 1)
            for name, group in groups.items()
        }
        asked = counts["asked_0"] + counts["asked_1"]
        paid = self.costs["wrong"] * counts["removed_0"] + self.costs["miss"] * counts["kept_1"]
        cost = (paid + self.costs["look"] * asked) / len(p)
        return {**counts, "asked": asked / len(p), "cost": cost}

    def _probabilities(self, model: str, calibrate: bool | None) -> NDArray[np.float64]:
        p = self._packed[member("model", model, list(self._packed))] / STEPS
        wanted = self.calibrate if calibrate is None else calibrate
        temperature = self._temperatures.get(model, 1.0) if wanted else 1.0
        if temperature == 1.0:
            return p
        power = 1.0 / temperature
        return p**power / (p**power + (1 - p) ** power)  # sigmoid(logit(p) / T), safe at 0 and 1

    def fallback(self) -> Fallback:
        """Cost and share for people of every model at the first thresholds."""
        harmful = int(self._labels.sum())
        sentence = (
            f"The moderator's desk: {len(self._labels)} texts, {harmful} of them "
            f"{self.data['names'][1]}. Texts from probability {self.high:g} on are removed, below "
            f"{self.low:g} kept, those between go to a person. A wrong removal "
            f"costs {self.costs['wrong']:g}, a miss {self.costs['miss']:g}, "
            f"a look {self.costs['look']:g}."
        )
        rows = []
        for model in self._packed:
            result = self.decide(model)
            wrong, missed = int(result["removed_0"]), int(result["kept_1"])
            share = f"{100 * result['asked']:.1f} %"
            rows.append((model, f"{result['cost']:.3f}", str(wrong), str(missed), share))
        return Fallback(
            sentence, ("model", "cost per text", "wrong removals", "misses", "asked"), rows
        )


def _check(
    columns: Mapping[str, NDArray[np.float64]],
    labels: NDArray[Any],
    texts: Sequence[str] | None,
    temperatures: Mapping[str, float],
) -> None:
    if not columns or not len(labels):
        raise ValueError(
            f"got {len(columns)} models and {len(labels)} labels, expected some of each"
        )
    if not set(labels.tolist()) <= {0, 1}:
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}, expected 0 and 1")
    if texts is not None and len(texts) != len(labels):
        raise ValueError(f"got {len(texts)} texts, but {len(labels)} labels")
    for name, p in columns.items():
        if len(p) != len(labels):
            raise ValueError(f"model {name!r} has {len(p)} probabilities for {len(labels)} labels")
        within(f"lowest probability of {name!r}", float(p.min()), 0, 1)
        within(f"highest probability of {name!r}", float(p.max()), 0, 1)
    for name, temperature in temperatures.items():
        member("a temperature", name, list(columns))
        within(f"temperature of {name!r}", temperature, 0.01, 100)

"""Stored training runs to choose from: curves, baselines, and a guess to make first.

Nothing is trained in the page. A run is its settings and its validation losses; the n-gram
losses that it should be judged by are drawn as lines. Book: chapters "The block" and
"Pretraining".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import traitlets

from minillm.widgets.base import Explorable, Fallback, bundle, member
from minillm.widgets.pack import as_array

MAX_POINTS = 200
Run = Mapping[str, Any]


def _losses(run: Run) -> list[float | None]:
    """Losses as JSON can hold them: four decimals, None for what is not a number."""
    values = as_array(run["val_loss"]).tolist()
    return [round(value, 4) if math.isfinite(value) else None for value in values]


def _record(run: Run, options: Mapping[str, list[str]]) -> dict[str, Any]:
    """A run for the page; its settings as positions among the options."""
    return {
        "name": str(run["name"]),
        "settings": [values.index(str(run["settings"][key])) for key, values in options.items()],
        "steps": as_array(run["steps"]).astype(int).tolist(),
        "loss": _losses(run),
        "note": str(run.get("note", "")),
    }


def _check(run: Run, keys: list[str]) -> None:
    missing = [key for key in ("name", "settings", "steps", "val_loss") if key not in run]
    if missing:
        raise ValueError(f"run {run.get('name', '?')!r} has no {missing[0]!r}")
    name, steps, losses = run["name"], len(run["steps"]), len(run["val_loss"])
    if steps != losses or not steps:
        raise ValueError(f"run {name!r} has {steps} steps, but {losses} losses")
    if steps > MAX_POINTS:
        raise ValueError(f"run {name!r} has {steps} points, the limit is {MAX_POINTS}: thin it")
    if list(run["settings"]) != keys:
        raise ValueError(f"run {name!r} has the settings {list(run['settings'])}, others {keys}")


class RunExplorer(Explorable):
    """Choose runs by their settings; see their curves, guess the end, read the table.

    Args:
        runs: each a mapping with `name`, `settings` (the same keys in each run, values that
            read well as text), `steps`, `val_loss`, and optionally `note`, one sentence of
            diagnosis. The order in which values first occur is the order of the buttons.
        baselines: named losses to draw as dashed lines.
        mode: "filter" shows all runs that match the chosen values (several of each setting);
            "switches" shows the one run that matches one value of each setting.
        color_by: the setting that gives the colours; the first one, if None.
        predict: start with the curve's end hidden and a handle for the reader's guess.
        unit: what the losses are in, for axis and table.

    Raises:
        ValueError: If a run lacks a part, lengths or setting names disagree, two runs have
            the same name, or two runs the same settings in the mode "switches".

    >>> run = {"name": "a", "settings": {"lr": 0.1}, "steps": [0, 9], "val_loss": [3.0, 2.0]}
    >>> RunExplorer([run], {"bigram": 2.5}).finals()
    {'a': 2.0}

    Book: chapters "The block" and "Pretraining".
    """

    _esm = bundle("runs.js")
    chosen = traitlets.Dict().tag(sync=True)
    predict = traitlets.Bool().tag(sync=True)
    color_by = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        runs: Sequence[Run],
        baselines: Mapping[str, float] | None = None,
        *,
        mode: Literal["filter", "switches"] = "filter",
        color_by: str | None = None,
        predict: bool = False,
        unit: str = "validation loss",
    ) -> None:
        if not runs:
            raise ValueError("got 0 runs, expected at least 1")
        keys = list(runs[0].get("settings", {}))
        for run in runs:
            _check(run, keys)
        options = {key: list(dict.fromkeys(str(r["settings"][key]) for r in runs)) for key in keys}
        self._runs = [_record(run, options) for run in runs]
        _check_unique([run["name"] for run in self._runs], "name")
        if member("mode", mode, ("filter", "switches")) == "switches":
            _check_unique([str(run["settings"]) for run in self._runs], "settings")
        first = {key: options[key][:1] for key in keys}
        self._baselines = {
            name: round(float(value), 4) for name, value in (baselines or {}).items()
        }
        super().__init__(
            {
                "runs": self._runs,
                "options": options,
                "baselines": self._baselines,
                "mode": mode,
                "unit": unit,
            },
            chosen=first if mode == "switches" else options,
            predict=predict,
            color_by=member("color_by", color_by, keys) if color_by else next(iter(keys), ""),
        )

    def finals(self) -> dict[str, float | None]:
        """Last loss of each run; None where it is not a number."""
        return {run["name"]: run["loss"][-1] for run in self._runs}

    def fallback(self) -> Fallback:
        """Last losses of all runs, lowest first, with the baselines among them."""
        finals = {name: math.inf if v is None else v for name, v in self.finals().items()}
        lines = {f"{name} (baseline)": value for name, value in self._baselines.items()}
        ranked = sorted({**finals, **lines}.items(), key=lambda item: item[1])
        sentence = (
            f"{len(finals)} stored training runs that differ in "
            f"{', '.join(self.data['options']) or 'nothing'}, with their final "
            f"{self.data['unit']}; lower is better."
        )
        rows = [(name, "diverged" if math.isinf(v) else f"{v:.3f}") for name, v in ranked]
        return Fallback(sentence, ("run", f"final {self.data['unit']}"), rows)


def _check_unique(names: list[str], what: str) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"{len(names)} runs share {len(set(names))} different {what}")

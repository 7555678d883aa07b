"""Curves: training histories against baselines, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from minillm.plot.style import COLORS, GRID, INK, as_array, axes_or_new
from minillm.training.history import History

NAMES = {
    "loss": "training",
    "val_loss": "validation",
    "lr": "learning rate",
    "grad_norm": "gradient norm",
    "seconds": "seconds",
    "tokens": "tokens",
}


def history(
    history: History,
    *,
    columns: Sequence[str] = ("loss", "val_loss"),
    baselines: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The curves of one run over its updates.

    Args:
        history: what `Trainer.fit` returned, or `History.from_jsonl` read.
        columns: fields of `Record`; one that was never measured is left out.
        baselines: values to beat, drawn as thin lines with their names at the right edge.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If a column is unknown or nothing was measured.

    Book: chapter "Pretraining".
    """
    measured = [name for name in columns if history.steps(name)]
    if not measured:
        raise ValueError(f"none of the columns {tuple(columns)} was measured in {history!r}")
    ax = axes_or_new(ax)
    for i, name in enumerate(measured):
        ax.plot(history.steps(name), history.column(name), **_look(history, name, COLORS[i]),
                label=NAMES.get(name, name))  # fmt: skip
    losses = all(name.endswith("loss") for name in measured)
    ax.set(xlabel="updates", ylabel="loss (nats per token)" if losses else "")
    _finish(ax, baselines)
    return ax


def runs(
    histories: Mapping[str, History],
    *,
    column: str = "val_loss",
    baselines: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One column of several runs, to compare them.

    Args:
        histories: runs by name.
        column: a field of `Record`.
        baselines: values to beat, drawn as thin lines with their names at the right edge.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If the column is unknown, or a run never measured it.

    Book: chapter "The block".
    """
    for name, run in histories.items():
        if not run.steps(column):
            raise ValueError(f"the run {name!r} never measured {column!r}")
    ax = axes_or_new(ax)
    for i, (name, run) in enumerate(histories.items()):
        # After six colours the dashes change, so that no two runs look alike.
        style = ("-", "--", ":")[i // len(COLORS) % 3]
        look = _look(run, column, COLORS[i % len(COLORS)])
        ax.plot(run.steps(column), run.column(column), **look, linestyle=style, label=name)
    unit = " loss (nats per token)" if column.endswith("loss") else ""
    ax.set(xlabel="updates", ylabel=f"{NAMES.get(column, column)}{unit}")
    _finish(ax, baselines)
    return ax


def reliability(
    confidence: Any, correct: Any, *, n_bins: int = 10, label: str = "model", ax: Axes | None = None
) -> Axes:
    """Is 0.9 really 90 %? How often a model is right, against how sure it was.

    Predictions are put into bins of equal width by confidence. A point lies at the mean confidence
    and the accuracy of its bin; its area grows with the number of predictions. Below the diagonal
    a model is over-confident. Draw a second model with the same `ax`.

    Args:
        confidence: probability of the predicted class, (N,), from 0 to 1.
        correct: whether the prediction was right, (N,).
        n_bins: number of bins.
        label: name in the legend.
        ax: where to draw; None makes a new figure.

    Raises:
        ValueError: If the two differ in length, are empty, or a confidence is not in [0, 1].

    Source: Guo et al. (2017), arXiv:1706.04599.
    Book: chapter "Classification, sentiment, moderation".
    """
    sure, right = as_array(confidence), as_array(correct)
    if sure.shape != right.shape or sure.ndim != 1 or not len(sure):
        raise ValueError(f"confidence has shape {sure.shape}, correct {right.shape}")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"confidences run from {sure.min()} to {sure.max()}, not within 0 and 1")
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    used = [b for b in range(n_bins) if (bins == b).any()]
    points = [(sure[bins == b].mean(), right[bins == b].mean(), (bins == b).mean()) for b in used]
    x, y, share = zip(*points, strict=True)
    if ax is None:
        ax = axes_or_new(None, width=4.6, height=4.2)
        ax.plot([0, 1], [0, 1], color=GRID, linewidth=1.2, zorder=0)
    line = ax.plot(x, y, linewidth=1.2, label=label)[0]
    ax.scatter(x, y, s=[20 + 300 * part for part in share], color=line.get_color(), zorder=3)
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    ax.legend(loc="upper left")
    return ax


def _look(run: History, name: str, color: str) -> dict[str, Any]:
    """Thin for what is measured at every update (it is noisy), marked points for what is not."""
    every_update = len(run.steps(name)) == len(run) and len(run) > 50
    if every_update:
        return {"color": color, "linewidth": 1.1}
    return {"color": color, "marker": "o", "markersize": 4}


def _finish(ax: Axes, baselines: Mapping[str, float] | None) -> None:
    for name, value in (baselines or {}).items():
        ax.axhline(value, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        ax.annotate(
            f"{name} {value:.2f}", (1.0, value), xycoords=("axes fraction", "data"),
            xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5, parse_math=False,
        )  # fmt: skip
    ax.grid(axis="y", linewidth=0.6)
    ax.legend()

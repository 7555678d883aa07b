"""The path of an optimiser over a surface: five rules, one start, step by step.

Polyak (1964) for momentum; Kingma and Ba (2015), arXiv:1412.6980, for Adam; Loshchilov and
Hutter (2019), arXiv:1711.05101, for AdamW. The rules are those of `torch.optim`, in float64 and
with its eps. Book: chapter "The mathematics you need".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, member, within

SURFACES = ("valley", "bend", "two hollows")
RULES = ("gradient descent", "momentum", "RMSProp", "Adam", "AdamW")
LIMIT = 2.0
MAX_STEPS = 300
LOST = 1e6
"""A path that leaves this square is given up: it diverges."""
EPS, BETA2 = 1e-8, 0.999
HOLLOW = -1.057453770738378  # where x³ - x + 1/8 = 0 on the left: the deeper hollow


def surface(name: str, ratio: float, x: float, y: float) -> tuple[float, float, float]:
    """Height and the two partial derivatives of a surface; its lowest point has height 0.

    Args:
        name: one of `SURFACES`.
        ratio: how much steeper the surface is across than along.
        x: coordinate along.
        y: coordinate across.

    >>> surface("valley", 10.0, 2.0, 1.0)
    (7.0, 2.0, 10.0)
    """
    if name == "valley":
        return (x * x + ratio * y * y) / 2, x, ratio * y
    if name == "bend":  # a valley along the curve y = x²/2 - 1, lowest at (1, -1/2)
        u = y - x * x / 2 + 1
        return ((x - 1) ** 2 + ratio * u * u) / 2, x - 1 - ratio * u * x, ratio * u
    floor = (HOLLOW**2 - 1) ** 2 / 2 + HOLLOW / 4
    height = (x * x - 1) ** 2 / 2 + x / 4 + ratio * y * y / 2 - floor
    return height, 2 * x * (x * x - 1) + 0.25, ratio * y


def move(
    rule: str,
    point: NDArray[np.float64],
    slope: NDArray[np.float64],
    state: dict[str, Any],
    settings: dict[str, float],
) -> NDArray[np.float64]:
    """The next point by one of the five rules; `state` keeps what the rule remembers.

    Args:
        rule: one of `RULES`.
        point: where we are, (2,).
        slope: the gradient there, (2,).
        state: empty at first; changed in place.
        settings: "rate", "memory" and "decay".
    """
    rate, beta = settings["rate"], settings["memory"]
    t = state["t"] = state.get("t", 0) + 1
    if rule == "gradient descent":
        return point - rate * slope
    if rule == "momentum":
        state["v"] = beta * state.get("v", 0.0) + slope
        return np.asarray(point - rate * state["v"])
    if rule == "RMSProp":
        state["s"] = beta * state.get("s", 0.0) + (1 - beta) * slope**2
        return np.asarray(point - rate * slope / (np.sqrt(state["s"]) + EPS))
    if rule == "AdamW":
        point = point * (1 - rate * settings["decay"])
    state["m"] = beta * state.get("m", 0.0) + (1 - beta) * slope
    state["s"] = BETA2 * state.get("s", 0.0) + (1 - BETA2) * slope**2
    m, s = state["m"] / (1 - beta**t), state["s"] / (1 - BETA2**t)
    return np.asarray(point - rate * m / (np.sqrt(s) + EPS))


class OptimiserPath(Explorable):
    """Roll down a surface by a rule of your choice, from a start of your choice.

    Args:
        surface: one of `SURFACES`.
        rule: one of `RULES`.
        rate: the learning rate, from 0.001 to 2.
        memory: momentum's β, RMSProp's decay of squares, Adam's β₁; from 0 to 0.99.
        ratio: how much steeper across than along, from 1 to 200.
        decay: AdamW's weight decay, from 0 to 2.
        start: the point (x, y), each coordinate between -2 and 2.
        steps: how many steps of the path are shown, from 0 to 300.

    Raises:
        ValueError: If a name is unknown or a number is out of its range.

    >>> desk = OptimiserPath(rule="gradient descent", rate=0.1, ratio=1.0, start=(1, 0))
    >>> desk.path()[1].tolist()
    [0.9, 0.0]

    Book: chapter "The mathematics you need".
    """

    _esm = bundle("optimiser_path.js")
    surface = traitlets.Unicode().tag(sync=True)
    rule = traitlets.Unicode().tag(sync=True)
    rate = traitlets.Float().tag(sync=True)
    memory = traitlets.Float().tag(sync=True)
    ratio = traitlets.Float().tag(sync=True)
    decay = traitlets.Float().tag(sync=True)
    start: traitlets.List[float] = traitlets.List().tag(sync=True)
    steps = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        *,
        surface: str = "valley",
        rule: str = "gradient descent",
        rate: float = 0.05,
        memory: float = 0.9,
        ratio: float = 30.0,
        decay: float = 0.0,
        start: tuple[float, float] = (-1.7, 1.0),
        steps: int = 0,
    ) -> None:
        super().__init__(
            {"surfaces": list(SURFACES), "rules": list(RULES), "limit": LIMIT, "most": MAX_STEPS},
            surface=member("surface", surface, SURFACES),
            rule=member("rule", rule, RULES),
            rate=within("rate", rate, 0.001, 2.0),
            memory=within("memory", memory, 0.0, 0.99),
            ratio=within("ratio", ratio, 1.0, 200.0),
            decay=within("decay", decay, 0.0, 2.0),
            start=[within("a coordinate of start", c, -LIMIT, LIMIT) for c in start],
            steps=int(within("steps", steps, 0, MAX_STEPS)),
        )

    def path(self, rule: str | None = None, steps: int = MAX_STEPS) -> NDArray[np.float64]:
        """The points of a path, start first; it ends early if it diverges.

        Args:
            rule: another rule than the one chosen.
            steps: how many steps at most.

        Shape:
            returns (steps + 1, 2).
        """
        settings = {"rate": self.rate, "memory": self.memory, "decay": self.decay}
        state: dict[str, Any] = {}
        points = [np.array(self.start)]
        for _ in range(steps):
            _, *slope = surface(self.surface, self.ratio, *points[-1].tolist())
            step = move(rule or self.rule, points[-1], np.array(slope), state, settings)
            points.append(step)
            if not np.abs(step).max() < LOST:
                break
        return np.array(points)

    def heights(self, rule: str | None = None, steps: int = MAX_STEPS) -> NDArray[np.float64]:
        """The loss at each point of the path, (steps + 1,)."""
        points = self.path(rule, steps).tolist()
        return np.array([surface(self.surface, self.ratio, *point)[0] for point in points])

    def fallback(self) -> Fallback:
        """Where each rule is after 100 steps with the first settings."""
        x, y = self.start
        sentence = (
            f"The optimiser's path over the surface “{self.surface}”, {self.ratio:g} times as "
            f"steep across as along, from ({x:g}, {y:g}) with rate {self.rate:g} and memory "
            f"{self.memory:g}: the loss after 10 and after 100 steps by each rule."
        )
        rows = []
        for rule in RULES:
            heights = self.heights(rule, 100)
            row = [heights[n] if n < len(heights) else math.inf for n in (10, 100)]
            rows.append((rule, *(f"{h:.2g}" if h < LOST else "diverges" for h in row)))
        return Fallback(sentence, ("rule", "after 10", "after 100"), rows)

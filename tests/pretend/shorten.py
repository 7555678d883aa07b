"""Short training for the pretend device, which does each operation of the CPU in Python.

A device fault does not depend on how often an update is repeated. So the `Trainer` does its first
two updates and then repeats the last record up to the number of steps that the chapter asks for,
and an evaluation reads one batch. Whatever depends on the shape of a history (its length, the steps
at which there is a validation loss, checkpoints and samples that are due) is as it would be, so the
code of a chapter meets no case that a reader does not meet; only the numbers are those of a model
that has hardly learnt. Of the loops that a chapter writes itself, those over a `range` of more than
a hundred with a backward pass do their first two rounds, the last, and two in twenty, among them
those where something is usually printed; and large numbers that `pick` gives become smaller, all by
the same factor. All other code runs as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import minillm
from minillm import Batch, Record, Trainer
from minillm.notebook import pick
from minillm.training import trainer as module

LARGE, FACTOR = 100, 20
REAL_UPDATES = 2  # the first makes the memory of the optimiser, the second uses it


class Shortened:
    """From its making on training is short, in this whole process.

    Attributes:
        happened: whether anything has been made shorter than the chapter says.
    """

    def __init__(self) -> None:
        self.happened = False
        self._real_step, self._real_rows = Trainer.train_step, module.read_once

        def train_step(trainer: Trainer) -> Record:
            return self._step(trainer)

        Trainer.train_step = train_step
        module.read_once = self._one_batch
        minillm.pick = self._pick

    def _step(self, trainer: Trainer) -> Record:
        done = trainer.__dict__.setdefault("_really_done", 0)
        if done < REAL_UPDATES:
            trainer.__dict__["_really_done"] = done + 1
            return self._real_step(trainer)
        self.happened = True
        last = trainer.history[-1]
        count = last.tokens // last.step
        return trainer._note(count, last.loss, last.lr, last.grad_norm, 0.0)

    def some_updates(self, rounds: range) -> list[int]:
        """The rounds of a loop that trains which are done."""
        if len(rounds) <= LARGE:
            return list(rounds)
        self.happened = True
        ends = {0, 1, len(rounds) - 1}
        kept = (i for i in range(len(rounds)) if i in ends or i % FACTOR in (0, FACTOR - 1))
        return [rounds[i] for i in kept]

    def _pick(self, *, cpu: Any, gpu: Any) -> Any:
        value = pick(cpu=cpu, gpu=gpu)
        if not isinstance(value, int) or value < LARGE:
            return value
        self.happened = True
        return value // FACTOR

    def _one_batch(self, *args: Any, **kwargs: Any) -> Iterator[Batch]:
        return islice(self._real_rows(*args, **kwargs), 1)

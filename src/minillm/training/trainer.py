"""The training loop: batch, loss, gradients, update; and everything kept so that it can go on.

A batch is a pure function of the step, losses are sums with counts, and the learning rate is a
function of the step. Hence splitting a batch changes nothing, whether into parts or over processes,
and a run that was killed goes on from its checkpoint as if it had not been. Left out: float16 with
loss scaling. Chapter "Pretraining".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from minillm.data.batch import Batch, BatchSource, read_once
from minillm.nn.eval_mode import eval_mode
from minillm.training.checkpoint.file import Trained, newest_checkpoint, rng_states, set_rng_states
from minillm.training.checkpoint.state import describe, load_run, read_description, save_run
from minillm.training.config import TrainConfig
from minillm.training.ema import WeightAverage
from minillm.training.history import History, Record
from minillm.training.objectives import count_targets, lm_loss
from minillm.training.optim import make_optimizer
from minillm.training.parallel import Parallel, full_tensor
from minillm.training.schedules import learning_rate_factor
from minillm.training.stop import is_over, wish_to_stop

Loss = Callable[[nn.Module, Batch], tuple[Tensor, int]]


class Trainer:
    """Trains a model, measures it, and can stop and go on at any update.

    Args:
        model: on the device it is to be trained on.
        config: how to train.
        data: gives the batch of every step.
        loss: the sum of losses over a batch's targets, and their number.
        val_data: for `evaluate`, which uses its batches 0, 1, … every time.
        callbacks: called with trainer and record after every update, on every rank.
        parallel: the processes that share the work; by default there is one.

    Attributes:
        step: updates done so far.
        history: their records, but for the seconds the same on every rank.
        optimizer: what updates the parameters.
        average: averaged weights, if the config asks for them.

    Raises:
        ValueError: If the config asks for evaluation and there is no validation data.

    Book: chapter "Pretraining".
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        data: BatchSource,
        *,
        loss: Loss = lm_loss,
        val_data: BatchSource | None = None,
        callbacks: Sequence[Callback] = (),
        parallel: Parallel | None = None,
    ) -> None:
        if config.eval_every and val_data is None:
            raise ValueError(f"eval_every={config.eval_every}, but val_data is None")
        self.model, self.config, self.data = model, config, data
        self.loss, self.val_data, self.callbacks = loss, val_data, tuple(callbacks)
        self.parallel = Parallel() if parallel is None else parallel
        self._wrapped = self.parallel.wrap(model)
        self._forward = self._wrapped
        if config.compile:
            self._forward = cast(nn.Module, torch.compile(self._wrapped))
        self.optimizer = make_optimizer(model, config)
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self._trained = Trained(model, self.optimizer, self.average)
        self.step, self.history = 0, History()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def fit(self, steps: int | None = None) -> History:
        """Do the next `steps` updates, or all that are left, unless a callback stops the run.

        A run that a callback had ended before it was resumed does none.

        Raises:
            FloatingPointError: If loss or gradient is not a finite number; the model keeps the
                parameters it had before that update.
        """
        left = self.config.steps - self.step
        if any(is_over(callback, self.history) for callback in self.callbacks):
            return self.history
        for _ in range(left if steps is None else min(steps, left)):
            wish = wish_to_stop(self.callbacks, self, self.train_step())
            # A rank that stopped alone would leave the others waiting for its gradients.
            if self.parallel.anyone(wish, self.device):
                break
        return self.history

    def train_step(self) -> Record:
        """Do one update and return its record, which is also appended to the history.

        Raises:
            FloatingPointError: If loss or gradient is not a finite number.
        """
        started = time.perf_counter()
        self.model.train()
        factor = learning_rate_factor(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        batch = self.data.batch(self.step, self.config.batch_size)
        loss, count = self._backward(batch)
        norm = self._clip_gradients()
        self._require_finite(loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.step)
        seconds = time.perf_counter() - started
        return self._note(count, loss, self.config.lr * factor, norm, seconds)

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean loss per target over the validation batches, without dropout, in nats.

        No row counts twice: of fewer rows than `eval_batches` want, each is read once.

        With `ema_decay` it is the loss of the averaged weights.

        Raises:
            ValueError: If there is no validation data, or no target in it.
        """
        if self.val_data is None:
            raise ValueError("cannot evaluate: val_data is None")
        total, count = 0.0, 0
        with eval_mode(self.model), self.averaged():
            size, most = self.config.batch_size, self.config.eval_batches
            for rows in read_once(self.val_data, size=size, most=most):
                batch = self.parallel.share(rows, idle=True).to(self.device)
                with self._autocast():
                    loss_sum, n = self.loss(self._forward, batch)
                total, count = total + loss_sum.item(), count + n
        total, count = map(sum, zip(*self.parallel.gather((total, count)), strict=True))
        if count == 0:
            raise ValueError(f"{self.config.eval_batches} validation batches have 0 targets")
        return total / count

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block the model has its averaged weights, if the run keeps them."""
        return nullcontext() if self.average is None else self.average.applied()

    def save(self, path: str | Path) -> None:
        """With all ranks, write what `resume` needs, all or nothing: a file; with FSDP2 a folder.

        Raises:
            OSError: If it cannot be written; a file that was there stays as it was.
        """
        rng = self.parallel.gather(rng_states())
        plain = describe(self.model, self.config, self.step, self.history, rng)
        save_run(plain, self._trained, Path(path), self.parallel)

    def resume(self, path: str | Path) -> None:
        """Take up the run where a checkpoint left it; the rest is what it would have been.

        The number of ranks may be another one; dropout then draws other numbers on the new ranks.

        Args:
            path: a checkpoint, or a folder of them, whose newest is taken.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged, or a config differs (names the field).
        """
        path = newest_checkpoint(Path(path))
        content = read_description(path, self.model, self.config)
        load_run(content, self._trained, path)
        self.step = content["step"]
        self.history = History(Record(**values) for values in content["history"])
        if self.parallel.rank < len(content["rng"]):
            set_rng_states(content["rng"][self.parallel.rank])

    def _own(self, batch: Batch) -> Batch:
        return self.parallel.share(batch).to(self.device)

    def _autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _backward(self, batch: Batch) -> tuple[float, int]:
        """Leave the mean loss's gradient in the parameters; return that mean and the count."""
        total = count_targets(batch)
        if total == 0:
            raise ValueError(f"the batch of step {self.step} has 0 targets, needs 1 or more")
        ranks, own = self.parallel.world_size, self._own(batch)
        micros = own.split(self.config.micro_batch_size or self.config.batch_size)
        loss, counted = torch.zeros((), device=self.device), 0
        for micro in micros:
            with self.parallel.no_sync(self._wrapped, last=micro is micros[-1]):
                with self._autocast():
                    loss_sum, count = self.loss(self._forward, micro)
                (loss_sum * ranks / total).backward()  # the ranks' gradients will be averaged
            loss, counted = loss + loss_sum.detach() / total, counted + count
        if counted != (expected := count_targets(own)):
            raise ValueError(f"the loss counted {counted} targets, the batch has {expected}")
        return self.parallel.sum(loss).item(), total

    def _clip_gradients(self) -> float:
        longest = math.inf if self.config.clip_norm is None else self.config.clip_norm
        return full_tensor(nn.utils.clip_grad_norm_(self.model.parameters(), longest)).item()

    def _require_finite(self, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad()
            raise FloatingPointError(
                f"step {self.step + 1}: loss={loss}, gradient norm={norm}; stopped before the "
                "update. Common causes: a learning rate too high, no clipping, log of 0"
            )

    def _note(self, count: int, loss: float, lr: float, norm: float, seconds: float) -> Record:
        self.step += 1
        last = self.history[-1] if self.history else None
        every = self.config.eval_every
        due = every > 0 and (self.step % every == 0 or self.step == self.config.steps)
        record = Record(
            step=self.step,
            tokens=count + (last.tokens if last else 0),
            loss=loss,
            lr=lr,
            grad_norm=norm,
            seconds=seconds + (last.seconds if last else 0.0),
            val_loss=self.evaluate() if due else None,
        )
        self.history.append(record)
        return record


Callback = Callable[[Trainer, Record], None]
"""Called after every update; may look, draw, save, or raise to stop the run."""

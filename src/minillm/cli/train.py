"""`minillm train`: a run that can be stopped, and says what happened when it stops itself."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import AbstractContextManager, nullcontext
from types import FrameType

from minillm.cli.commands import say
from minillm.runs.config import read_run_config
from minillm.runs.run import TrainingRun
from minillm.training.checkpoint.file import list_checkpoints
from minillm.training.history import Record
from minillm.training.parallel import Mode, Parallel
from minillm.training.trainer import Trainer


class Interrupt:
    """A callback by which Ctrl-C or SIGTERM ends a run between two updates, with a checkpoint.

    In the middle of an update some weights would be new and others old. A second Ctrl-C does not
    wait. Of several processes all stop after the same update, whichever was asked first. torchrun
    passes Ctrl-C on, gives them 30 seconds (its `--shutdown-timeout`) and then ends with a
    traceback and exit code of its own.

    Args:
        run: what to save.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run, self.asked = run, False

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle the signal: stop after this update, or at once if asked again."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __call__(self, trainer: Trainer, record: Record) -> None:
        """Save and stop, if this process or another was asked.

        Raises:
            KeyboardInterrupt: With a message for the user, on the process that leads.
            SystemExit: On the others, without one.
        """
        if trainer.parallel.anyone(self.asked, trainer.device):
            path = self.run.save()
            if not self.run.is_main:
                raise SystemExit(130)
            raise KeyboardInterrupt(
                f"stopped after step {record.step} of {trainer.config.steps}, saved {path}; "
                "--resume goes on"
            )


def train(options: argparse.Namespace) -> None:
    """Train as a file says, and leave a folder that `minillm generate` can use.

    Raises:
        ValueError: If the config, the data or the folder are wrong.
        RuntimeError: If the loss is no longer a number.
        OSError: If a file cannot be read or written.
    """
    device = [f"run.device={options.device}"] if options.device else []
    config = read_run_config(options.config, changes=[*options.set, *device])
    with _session(config.run.parallel) as parallel:
        run = TrainingRun(config, resume=options.resume, parallel=parallel)
        if options.resume and run.is_main:
            say(f"{run.folder}: going on after step {run.trainer.step}\n")
        _fit(run)
        run.finish()
    if run.is_main:
        last = run.trainer.history[-1]
        say(f"{run.folder}: {last.step} updates, loss {last.loss:.3f}\n")
        say(f'minillm generate {run.folder} "..." lets it write\n')


def _session(mode: Mode) -> AbstractContextManager[Parallel]:
    """The processes that torchrun has started; most often there is only this one."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return nullcontext(Parallel())
    from minillm.training import distributed  # noqa: PLC0415 - costs 1.4 s

    return distributed.session(mode)


def _fit(run: TrainingRun) -> None:
    interrupt = Interrupt(run)
    run.trainer.callbacks += (interrupt,)
    before = {s: signal.signal(s, interrupt.ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        run.trainer.fit()
    except FloatingPointError as error:
        kept = list_checkpoints(run.checkpoints)
        good = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise RuntimeError(f"{error}; {good}") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        run.close()

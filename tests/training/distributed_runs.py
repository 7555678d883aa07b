"""What every rank does in tests/test_distributed.py: several runs in one process group.

Started as `python -m torch.distributed.run tests/distributed_runs.py FOLDER STAGE`; rank 0 writes
what came out to FOLDER/STAGE.json.
"""

import json
import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from minillm.data.batch import IGNORE, Batch
from minillm.inference.generate import generate
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM
from minillm.training import distributed
from minillm.training.config import TrainConfig
from minillm.training.objectives import lm_loss
from minillm.training.parallel import Parallel, full_tensor
from minillm.training.stop import StopTraining
from minillm.training.trainer import Trainer

V, T = 20, 12
MODEL = ModelConfig(vocab_size=V, context_length=T, d_model=16, n_layers=2, n_heads=2)
CONFIG = TrainConfig(
    steps=12, batch_size=7, lr=1e-2, warmup_steps=2, clip_norm=0.5, eval_every=6, eval_batches=2
)
CASES = {
    "adamw": CONFIG,
    "micro": replace(CONFIG, micro_batch_size=2, ema_decay=0.9),
    "muon": replace(CONFIG, optimizer="muon", micro_batch_size=3),
}
HALF = 6


@dataclass(frozen=True)
class Uneven:
    """Random tokens, each twice; the first rows have many targets, the last of a batch has none."""

    seed: int = 0

    def batch(self, step, size, /):
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        half = torch.randint(V, (size, T // 2 + 1), generator=generator)
        text = half.repeat_interleave(2, dim=1)[:, : T + 1]
        chance = torch.linspace(0, 1.01, size)[:, None]
        hidden = torch.rand(size, T, generator=generator) < chance
        return Batch(text[:, :-1], text[:, 1:].masked_fill(hidden, IGNORE), None)


def torchrun_command(ranks, *program):
    """Several processes on this machine that run a program."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*command, f"--nproc_per_node={ranks}", *map(str, program)]


def environment():
    """They find what this process finds, and do not fight over cores."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def new_trainer(parallel: Parallel, config=CONFIG, *, seed=1, dropout=0.0, device="cpu"):
    """A fresh trainer; ranks above 0 begin with other parameters, which must not matter."""
    torch.manual_seed(seed + parallel.rank)
    model = CausalLM(replace(MODEL, dropout=dropout)).to(device)
    return Trainer(model, config, Uneven(), val_data=Uneven(7), parallel=parallel)


def numbers(trainer):
    """What must not depend on the number of ranks."""
    history = trainer.history
    return {name: history.column(name) for name in ("loss", "grad_norm", "tokens", "val_loss")}


def write_a_sample(trainer, record):
    """All ranks write together, for each may hold a part of the model; training must not notice."""
    if record.step % 5 == 0:
        assert generate(trainer.model, torch.tensor([[1, 2]]), max_new_tokens=3).shape == (1, 5)


def curves(parallel, label):
    """The whole run of every case."""
    found = {}
    for name, config in CASES.items():
        trainer = new_trainer(parallel, config)
        trainer.callbacks = (write_a_sample,)
        if parallel.rank == 0:  # as many a script that shows how far it is
            trainer.callbacks += (lambda *_: None,)
        trainer.fit()
        found[f"{label} {name}"] = numbers(trainer)
    return found


def write(parallel, folder, label):
    """Half a run of every case, saved; then with dropout, on to the end after the save."""
    for name, config in CASES.items():
        trainer = new_trainer(parallel, config)
        trainer.fit(HALF)
        trainer.save(folder / f"{label}-{name}.pt")
    trainer = new_trainer(parallel, dropout=0.2)
    trainer.fit(HALF)
    trainer.save(folder / f"{label}-dropout.pt")
    trainer.save(folder / f"{label}-dropout.pt")  # in the place of the first
    trainer.fit()
    again = new_trainer(parallel, seed=99, dropout=0.2)
    again.resume(folder / f"{label}-dropout.pt")
    again.fit()
    return {f"{label} dropout": [numbers(trainer), numbers(again)]}


def go_on(parallel, folder, label):
    """The second half of every case that two ranks (or one) have begun."""
    found = {}
    for path in sorted(folder.glob("*.pt")):
        name = path.stem.split("-")[1]
        if name in CASES:
            trainer = new_trainer(parallel, CASES[name], seed=99)
            trainer.resume(path)
            trainer.fit()
            found[f"{label} {path.stem}"] = numbers(trainer)
    return found


def draws(parallel):
    """What every rank's generator gives next: dropout must not be the same on all of them."""
    new_trainer(parallel, seed=3 - parallel.rank)  # all begin with 3, as a user's program does
    return {"draws": parallel.gather(torch.rand(()).item())}


def stop_on_one(parallel, label):
    """Rank 1 alone wishes to stop at step 3; a callback behind it talks to all ranks."""
    seen = []

    def stop(_, record):
        if parallel.rank == 1 and record.step == 3:
            raise StopTraining

    trainer = new_trainer(parallel)
    trainer.callbacks = (stop, lambda t, r: seen.append(sum(t.parallel.gather(r.step))))
    trainer.fit()
    return {f"{label} stopped": parallel.gather([trainer.step, seen])}


def steep(total):
    """The same number; its gradient is infinite."""
    return total + (total - total.detach()).sqrt()


BAD = {"nan": lambda total: total * math.nan, "steep": steep}


def spoil_one(parallel, label):
    """Rank 1 alone has a loss that is no number, or one whose gradient is none, at step 2."""
    found = {}
    for name, spoil in BAD.items():
        trainer = new_trainer(parallel)

        def loss(model, batch, spoil=spoil, trainer=trainer):
            total, count = lm_loss(model, batch)
            return (spoil(total) if parallel.rank == 1 and trainer.step == 1 else total), count

        trainer.loss, said = loss, None
        try:
            trainer.fit()
        except FloatingPointError as error:
            said = str(error)
        good = all(
            full_tensor(p.detach()).isfinite().all().item() for p in trainer.model.parameters()
        )
        found[f"{label} {name}"] = parallel.gather([trainer.step, said, good])
    return found


def main(folder: Path, stage: str) -> None:
    torch.set_num_threads(1)
    with distributed.session(timeout=600) as ddp:
        fsdp = distributed.Sharded(ddp.rank, ddp.world_size)
        found = {}
        for label, parallel in {"ddp": ddp, "fsdp": fsdp}.items():
            if stage == "two":
                found |= curves(parallel, label) | write(parallel, folder, label)
                found |= stop_on_one(parallel, label) | spoil_one(parallel, label)
            else:
                found |= go_on(parallel, folder, label)
        found |= draws(ddp)
        if ddp.rank == 0:
            (folder / f"{stage}.json").write_text(json.dumps(found), encoding="utf-8")
        ddp.wait()
        if stage == "three":  # at last, what happens to ranks that wait for a dead one?
            if ddp.rank == 1:
                sys.exit("rank 1 dies")
            ddp.wait()
            (folder / "survived").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

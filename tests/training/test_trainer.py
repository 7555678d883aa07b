"""The trainer: exact accumulation, exact resume, and a run that stops rather than spoils itself."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch import nn

from minillm.data.batch import IGNORE, Batch
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM
from minillm.training.callbacks.sample import SampleText
from minillm.training.callbacks.saving import Checkpoint
from minillm.training.callbacks.stopping import EarlyStopping
from minillm.training.checkpoint.file import list_checkpoints
from minillm.training.config import TrainConfig
from minillm.training.objectives import lm_loss
from minillm.training.stop import StopTraining
from minillm.training.trainer import Trainer

V, T = 20, 16
MODEL = ModelConfig(vocab_size=V, context_length=T, d_model=32, n_layers=2, n_heads=4, dropout=0.1)
CONFIG = TrainConfig(steps=20, batch_size=8, lr=1e-2, warmup_steps=3)


@dataclass(frozen=True)
class Pairs:
    """Random tokens, each twice in a row, with a few targets ignored: half is predictable."""

    seed: int = 0
    ignored: float = 0.2

    def batch(self, step, size, /):
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        half = torch.randint(V, (size, T // 2 + 1), generator=generator)
        text = half.repeat_interleave(2, dim=1)[:, : T + 1]
        hidden = torch.rand(size, T, generator=generator) < self.ignored
        return Batch(text[:, :-1], text[:, 1:].masked_fill(hidden, IGNORE), None)


def new_trainer(config=CONFIG, model_config=MODEL, *, seed=1, **options):
    torch.manual_seed(seed)
    return Trainer(CausalLM(model_config), config, Pairs(), **options)


def numbers(history):
    """Everything in a history that must not depend on the clock."""
    return [(r.step, r.tokens, r.loss, r.lr, r.grad_norm, r.val_loss) for r in history]


def no_dropout(**changes):
    return replace(CONFIG, **changes), replace(MODEL, dropout=0.0)


# --- one step, by hand
def test_a_step_is_what_it_says():
    config, model_config = no_dropout(clip_norm=0.5, steps=3, warmup_steps=0)
    trainer = new_trainer(config, model_config)
    torch.manual_seed(1)
    model = CausalLM(model_config)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    tokens = 0
    for step, factor in enumerate([1.0, 0.775, 0.325]):  # cosine from 1 to 0.1 in thirds
        record = trainer.train_step()
        batch = Pairs().batch(step, 8)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * factor
        loss = nn.functional.cross_entropy(
            model(batch.inputs).flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE
        )
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        tokens += int((batch.targets != IGNORE).sum())
        assert record.loss == pytest.approx(loss.item(), abs=1e-5)
        assert record.grad_norm == pytest.approx(norm.item(), rel=1e-4)
        assert record.lr == pytest.approx(1e-2 * factor)
        assert (record.step, record.tokens) == (step + 1, tokens)
    for ours, theirs in zip(trainer.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_the_first_loss_is_that_of_the_uniform_guess_and_it_learns():
    config, model_config = no_dropout(steps=150, clip_norm=1.0)
    history = new_trainer(config, replace(model_config, tie_embeddings=False)).fit()
    assert history[0].loss == pytest.approx(math.log(V), rel=0.02)
    # Every second token repeats the one before: half of ln V is all that can be learned.
    assert history[-1].loss == pytest.approx(math.log(V) / 2, abs=0.15)


# --- accumulation
@pytest.mark.parametrize("micro", [1, 3, 4, 8])
def test_accumulation_is_exact_for_unequal_parts(micro):
    whole = new_trainer(*no_dropout()).fit(10)
    parts = new_trainer(*no_dropout(micro_batch_size=micro)).fit(10)
    assert parts.column("loss") == pytest.approx(whole.column("loss"), abs=2e-5)
    assert parts[0].loss == pytest.approx(whole[0].loss, abs=1e-6)
    assert parts[0].grad_norm == pytest.approx(whole[0].grad_norm, rel=1e-5)


def test_accumulated_gradients_equal_the_whole_batchs():
    gradients = []
    for micro in (None, 3):
        config, model_config = no_dropout(micro_batch_size=micro, clip_norm=None)
        trainer = new_trainer(config, model_config)
        trainer.optimizer.step = lambda: None
        trainer.optimizer.zero_grad = lambda: None
        trainer.train_step()
        gradients.append([p.grad for p in trainer.model.parameters()])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, atol=1e-6, rtol=1e-5)


def test_a_loss_that_counts_otherwise_than_the_batch_is_refused():
    def mean_loss(model, batch):
        total, count = lm_loss(model, batch)
        return total / count, 1

    trainer = new_trainer(replace(CONFIG, micro_batch_size=4), loss=mean_loss)
    with pytest.raises(ValueError, match=r"the loss counted 2 targets, the batch has \d\d+"):
        trainer.train_step()


def test_a_batch_without_targets_is_refused():
    trainer = new_trainer()
    trainer.data = Pairs(ignored=1.1)
    with pytest.raises(ValueError, match="the batch of step 0 has 0 targets"):
        trainer.train_step()


# --- clipping, precision
def test_clipping_bounds_the_gradient_and_reports_it_unclipped():
    config, model_config = no_dropout(clip_norm=0.01, warmup_steps=0)
    trainer = new_trainer(config, model_config)
    trainer.optimizer.zero_grad = lambda: None
    record = trainer.train_step()
    clipped = nn.utils.get_total_norm([p.grad for p in trainer.model.parameters()])
    assert record.grad_norm > 0.1
    assert clipped.item() == pytest.approx(0.01, rel=1e-3)


def test_bfloat16_is_close_and_the_weights_stay_float32():
    exact = new_trainer(*no_dropout()).fit()
    trainer = new_trainer(*no_dropout(precision="bfloat16"))
    rough = trainer.fit()
    assert rough.column("loss") != exact.column("loss")
    assert rough.column("loss") == pytest.approx(exact.column("loss"), abs=0.05)
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


def test_a_compiled_forward_pass_gives_the_same_run(monkeypatch, tmp_path):
    # All of torch.compile but the C++ compiler, which would take a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain = new_trainer(*no_dropout(), val_data=Pairs(seed=7))
    compiled = new_trainer(*no_dropout(compile=True), val_data=Pairs(seed=7))
    assert compiled._forward is not compiled.model
    assert compiled.fit(5).column("loss") == pytest.approx(plain.fit(5).column("loss"), abs=1e-5)
    assert compiled.evaluate() == pytest.approx(plain.evaluate(), abs=1e-5)
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())
    compiled.save(tmp_path / "run.pt")
    assert not any("_orig_mod" in key for key in torch.load(tmp_path / "run.pt")["model"])


# --- averaged weights
def test_the_average_is_the_recursion_and_evaluation_measures_it():
    config, model_config = no_dropout(ema_decay=0.5, eval_batches=1)
    trainer = new_trainer(config, model_config, val_data=Pairs(seed=7))
    name, p = next(iter(trainer.model.named_parameters()))
    expected = p.detach().clone()
    for step in range(12):
        trainer.train_step()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * p.detach()
        torch.testing.assert_close(trainer.average.weights[name], expected)
    last = p.detach().clone()
    total, count = None, None
    with trainer.averaged():
        torch.testing.assert_close(p.detach(), expected)
        trainer.model.eval()
        with torch.no_grad():
            total, count = lm_loss(trainer.model, Pairs(seed=7).batch(0, 8))
    assert torch.equal(p.detach(), last)
    assert trainer.evaluate() == pytest.approx(total.item() / count)


def test_the_average_is_in_the_checkpoint(tmp_path):
    config, model_config = no_dropout(ema_decay=0.9)
    whole = new_trainer(config, model_config)
    whole.fit(10)
    whole.save(tmp_path / "run.pt")
    again = new_trainer(config, model_config, seed=99)
    again.resume(tmp_path / "run.pt")
    whole.fit()
    again.fit()
    for name, weight in whole.average.weights.items():
        assert torch.equal(weight, again.average.weights[name])


# --- evaluation
def test_evaluation_is_without_dropout_and_restores_training():
    config = replace(CONFIG, eval_every=4, eval_batches=2, steps=10)
    trainer = new_trainer(config, val_data=Pairs(seed=7))
    history = trainer.fit()
    assert history.steps("val_loss") == [4, 8, 10]
    assert trainer.model.training
    assert trainer.evaluate() == trainer.evaluate() == history[-1].val_loss
    trainer.model.eval()
    total = count = 0
    for i in range(2):
        loss, n = lm_loss(trainer.model, Pairs(seed=7).batch(i, 8))
        total, count = total + loss.item(), count + n
    assert trainer.evaluate() == pytest.approx(total / count)
    assert not trainer.model.training


def test_evaluation_does_not_change_the_run():
    with_evaluation = new_trainer(replace(CONFIG, eval_every=3), val_data=Pairs(seed=7)).fit()
    assert with_evaluation.column("loss") == new_trainer().fit().column("loss")


def test_evaluation_without_targets_is_refused():
    trainer = new_trainer(replace(CONFIG, eval_batches=2), val_data=Pairs(ignored=1.1))
    with pytest.raises(ValueError, match="2 validation batches have 0 targets"):
        trainer.evaluate()


def test_evaluation_without_data_is_refused():
    with pytest.raises(ValueError, match="eval_every=5, but val_data is None"):
        new_trainer(replace(CONFIG, eval_every=5))
    with pytest.raises(ValueError, match="val_data is None"):
        new_trainer().evaluate()


# --- resume
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resume_is_bit_exact_with_dropout(tmp_path, optimizer):
    config = replace(CONFIG, optimizer=optimizer, eval_every=5)
    options = {"val_data": Pairs(seed=7)}
    whole = new_trainer(config, **options)
    whole.fit()
    first = new_trainer(config, **options)
    first.fit(10)
    first.save(tmp_path / "run.pt")
    second = new_trainer(config, seed=99, **options)
    torch.manual_seed(12345)
    second.resume(tmp_path / "run.pt")
    assert second.step == 10
    second.fit()
    assert numbers(second.history) == numbers(whole.history)
    for ours, theirs in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_dropout_matters_in_that_test():
    a = new_trainer()
    a.fit(10)
    torch.manual_seed(12345)
    a.fit()
    assert numbers(a.history) != numbers(new_trainer().fit())


def test_fit_stops_at_the_end_of_the_run():
    trainer = new_trainer()
    assert len(trainer.fit(7)) == 7
    assert len(trainer.fit()) == 20
    assert len(trainer.fit(5)) == 20


KILLED = """
import sys
from tests.training.test_trainer import CONFIG, new_trainer
from minillm.training.callbacks import Checkpoint

def die(trainer, record):
    if record.step == 13:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)

new_trainer(callbacks=[Checkpoint(sys.argv[1], every=5), die]).fit()
"""


def test_a_killed_process_loses_nothing_but_time(tmp_path):
    # Sums are grouped by thread: both processes need as many.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    trainer = new_trainer(seed=99)
    trainer.resume(tmp_path)
    assert trainer.step == 10
    assert numbers(trainer.fit()) == numbers(new_trainer().fit())


@pytest.mark.parametrize(
    ("train", "model", "message"),
    [
        ({"lr": 2e-2}, {}, r"training config has lr=0.01, here lr=0.02"),
        ({"steps": 30}, {}, r"training config has steps=20, here steps=30"),
        ({"betas": (0.9, 0.99)}, {}, r"betas=\(0.9, 0.95\), here betas=\(0.9, 0.99\)"),
        ({}, {"n_layers": 3}, r"model config has n_layers=2, here n_layers=3"),
        ({}, {"dropout": 0.2}, r"model config has dropout=0.1, here dropout=0.2"),
    ],
)
def test_another_runs_checkpoint_is_refused_and_changes_nothing(tmp_path, train, model, message):
    first = new_trainer()
    first.fit(2)
    first.save(tmp_path / "run.pt")
    other = new_trainer(replace(CONFIG, **train), replace(MODEL, **model))
    before = [p.clone() for p in other.model.parameters()]
    with pytest.raises(ValueError, match=message):
        other.resume(tmp_path / "run.pt")
    assert other.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, other.model.parameters(), strict=True))


class ByHand(nn.Module):
    """A reader's own model: no config, no mask."""

    def __init__(self, width=8):
        super().__init__()
        self.table = nn.Embedding(V, width)
        self.out = nn.Linear(width, V)

    def forward(self, tokens):
        return self.out(self.table(tokens))


def test_a_model_by_hand_trains_saves_and_resumes(tmp_path):
    trainer = Trainer(ByHand(), CONFIG, Pairs())
    history = trainer.fit()
    assert history[-1].loss < history[0].loss - 0.15
    trainer.save(tmp_path / "run.pt")
    again = Trainer(ByHand(), CONFIG, Pairs())
    again.resume(tmp_path / "run.pt")
    assert torch.equal(again.model.out.weight, trainer.model.out.weight)
    with pytest.raises(ValueError, match="does not fit this model"):
        Trainer(ByHand(width=9), CONFIG, Pairs()).resume(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="model config has"):
        new_trainer().resume(tmp_path / "run.pt")


# --- going wrong
def test_a_nan_loss_stops_before_the_update_and_the_last_checkpoint_is_good(tmp_path):
    def poisoned(model, batch):
        total, count = lm_loss(model, batch)
        return (total * math.nan, count) if trainer.step == 7 else (total, count)

    trainer = new_trainer(loss=poisoned, callbacks=[Checkpoint(tmp_path, every=3)])
    with pytest.raises(FloatingPointError, match="step 8: loss=nan"):
        trainer.fit()
    assert trainer.step == len(trainer.history) == 7
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    assert all(p.grad is None for p in trainer.model.parameters())
    again = new_trainer()
    again.resume(tmp_path)
    assert again.step == 6
    assert numbers(again.fit()) == numbers(new_trainer().fit())


def test_an_infinite_gradient_of_a_finite_loss_stops_too():
    def steep(model, batch):
        total, count = lm_loss(model, batch)
        p = next(model.parameters())
        return total + (p.sum() * 0.0).sqrt(), count  # value 0, slope infinite

    trainer = new_trainer(loss=steep)
    with pytest.raises(FloatingPointError, match=r"step 1: loss=\d.*gradient norm=nan"):
        trainer.fit()
    assert all(p.isfinite().all() for p in trainer.model.parameters())


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    trainer = new_trainer(callbacks=[Checkpoint(tmp_path, every=5)])
    trainer.fit(5)

    def full(_content, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OSError, match=r"could not write .* No space left"):
            trainer.fit(5)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005.pt"]
    again = new_trainer()
    again.resume(tmp_path)
    assert numbers(again.fit()) == numbers(new_trainer().fit())


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in the folder"):
        new_trainer().resume(tmp_path)
    with pytest.raises(FileNotFoundError):
        new_trainer().resume(tmp_path / "nothing.pt")


# --- callbacks
def test_callbacks_are_called_once_a_record_in_order():
    calls = []
    trainer = new_trainer(
        callbacks=[
            lambda t, r: calls.append(("a", r.step, t.step, len(t.history))),
            lambda _, r: calls.append(("b", r.step)),
        ]
    )
    trainer.fit(2)
    assert calls == [("a", 1, 1, 1), ("b", 1), ("a", 2, 2, 2), ("b", 2)]


def test_a_callback_may_end_the_run():
    def stop(_, record):
        if record.step == 3:
            raise StopTraining

    trainer = new_trainer(callbacks=[stop])
    assert trainer.fit().steps("loss") == [1, 2, 3]
    assert len(trainer.fit(2)) == 5  # asked again, it goes on


def test_the_run_is_the_same_with_and_without_callbacks(tmp_path):
    class Numbers:
        vocab_size = V

        def encode(self, text):
            return [int(word) for word in text.split()]

        def decode(self, ids):
            return " ".join(map(str, ids))

    sample = SampleText(Numbers(), "1 2", every=4, max_new_tokens=20, write=lambda _: None)
    callbacks = [sample, Checkpoint(tmp_path, every=6, keep=2)]
    assert numbers(new_trainer(callbacks=callbacks).fit()) == numbers(new_trainer().fit())
    assert [step for step, _ in sample.samples] == [4, 8, 12, 16, 20]
    assert all(len(text.split()) == 22 for _, text in sample.samples)
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-00000018.pt",
        "step-00000020.pt",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"micro_batch_size": 2},
        {"eval_every": 5},
        {"eval_batches": 3},
    ],
)
def test_a_resume_may_compute_and_look_differently(tmp_path, change):
    first = new_trainer(val_data=Pairs(1))
    first.fit(4)
    first.save(tmp_path / "run.pt")
    other = new_trainer(replace(CONFIG, **change), val_data=Pairs(1))
    other.resume(tmp_path / "run.pt")
    assert other.step == 4


@pytest.mark.parametrize(
    ("done", "longer", "fits"), [(10, 40, True), (16, 40, True), (18, 40, False), (11, 12, False)]
)
def test_a_stable_run_may_be_prolonged_until_it_falls(tmp_path, done, longer, fits):
    config, model = no_dropout(schedule="stable", steps=20)
    first = new_trainer(config, model)
    first.fit(done)
    first.save(tmp_path / "run.pt")
    other = new_trainer(replace(config, steps=longer), model)
    if not fits:
        with pytest.raises(ValueError, match=f"steps=20, here steps={longer}"):
            other.resume(tmp_path / "run.pt")
        return
    other.resume(tmp_path / "run.pt")
    assert numbers(other.fit()) == numbers(new_trainer(replace(config, steps=longer), model).fit())


class Counted(Pairs):
    """Rows that know their number and begin again after the last."""

    rows = 3

    def __len__(self):
        return self.rows

    def batch(self, step, size, /):
        whole = super().batch(0, self.rows)
        index = torch.arange(step * size, (step + 1) * size) % self.rows
        return Batch(whole.inputs[index], whole.targets[index], None)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_no_validation_row_counts_twice(size):
    config, model = no_dropout(batch_size=size, eval_batches=10)
    trainer = new_trainer(config, model, val_data=Counted())
    trainer.model.eval()
    total, count = lm_loss(trainer.model, Counted().batch(0, 3))
    assert trainer.evaluate() == pytest.approx(total.item() / count, abs=1e-5)


def test_a_run_that_patience_ended_stays_so(tmp_path):
    def waiting(patience):
        return new_trainer(
            replace(CONFIG, lr=1e-12, eval_every=2),
            val_data=Pairs(1),
            callbacks=[EarlyStopping(patience=patience)],
        )

    first = waiting(1)
    first.fit()
    assert (ended := first.step) < CONFIG.steps
    first.save(tmp_path / "run.pt")
    again = waiting(1)
    again.resume(tmp_path / "run.pt")
    again.fit()
    assert again.step == ended
    more = waiting(3)
    more.resume(tmp_path / "run.pt")
    more.fit()
    assert more.step > ended


def test_switches_of_another_device_are_not_taken_over(tmp_path):
    first = new_trainer()
    first.fit(2)
    for group in first.optimizer.param_groups:
        group["fused"] = "as another device has it"
    first.save(tmp_path / "run.pt")
    other = new_trainer()
    before = [group["fused"] for group in other.optimizer.param_groups]
    other.resume(tmp_path / "run.pt")
    assert [group["fused"] for group in other.optimizer.param_groups] == before

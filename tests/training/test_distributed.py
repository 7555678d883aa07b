"""Real processes: several ranks give the curve of one, and go on with what others have saved."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from minillm import load
from minillm.cli import main
from minillm.data.batch import IGNORE, Batch
from minillm.nn.models import CausalLM
from minillm.runs.config import read_run_config
from minillm.runs.run import TrainingRun
from minillm.runs.toml import to_toml
from minillm.training import distributed
from minillm.training.checkpoint import folder as shards
from minillm.training.checkpoint.state import save_run
from minillm.training.history import History
from minillm.training.parallel import Parallel
from minillm.training.trainer import Trainer
from tests.training.distributed_runs import (
    CASES,
    CONFIG,
    HALF,
    MODEL,
    Uneven,
    environment,
    go_on,
    new_trainer,
    numbers,
    torchrun_command,
)

SCRIPT = Path(__file__).with_name("distributed_runs.py")
EXACT, MUON = 1e-5, 2e-3  # Muon's direction is computed in bfloat16, which enlarges rounding


def torchrun(ranks, *program):
    command = torchrun_command(ranks, *program)
    return subprocess.run(
        command, env=environment(), timeout=900, check=False, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def two(folder):
    """Two ranks: whole curves, and checkpoints of half runs."""
    done = torchrun(2, SCRIPT, folder, "two")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "two.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def one():
    """The same runs, uninterrupted, in this process."""
    torch.set_num_threads(1)
    found = {}
    for name, config in CASES.items():
        trainer = new_trainer(Parallel(), config)
        trainer.fit()
        found[name] = numbers(trainer)
    return found


def assert_same(got, expected, tolerance):
    assert got["tokens"] == expected["tokens"]
    for name in ("loss", "grad_norm", "val_loss"):
        wider = 10 if name == "grad_norm" and tolerance == MUON else 1
        assert got[name] == pytest.approx(expected[name], abs=wider * tolerance), name


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
@pytest.mark.parametrize("case", CASES)
def test_two_ranks_give_the_curve_of_one(two, one, mode, case):
    assert_same(two[f"{mode} {case}"], one[case], MUON if case == "muon" else EXACT)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_the_same_ranks_go_on_exactly_even_with_dropout(two, mode):
    unbroken, resumed = two[f"{mode} dropout"]
    assert resumed == unbroken


def test_ranks_do_not_drop_the_same_units(two):
    first, second = two["draws"]
    assert first != second


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_a_wish_to_stop_on_one_rank_stops_all(two, mode):
    assert two[f"{mode} stopped"] == [[3, [2, 4, 6]]] * 2


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
@pytest.mark.parametrize("kind", ["nan", "steep"])
def test_no_rank_updates_when_one_has_no_number(two, mode, kind):
    first, second = two[f"{mode} {kind}"]
    assert first == second
    step, said, good = first
    assert (step, good) == (1, True)
    assert re.match(r"step 2: loss=nan" if kind == "nan" else r"step 2: loss=\d.*norm=nan", said)


def test_one_process_goes_on_with_what_two_saved(two, one, folder):
    found = go_on(Parallel(), folder, "one")
    assert len(found) == 2 * len(CASES)
    for label, got in found.items():
        case = label.split("-")[1]
        assert_same(got, one[case], MUON if case == "muon" else EXACT)


@pytest.fixture(scope="module")
def three(two, folder):
    """Three ranks, which go on with what is there; then the second one dies."""
    for name, config in CASES.items():
        trainer = new_trainer(Parallel(), config)
        trainer.fit(HALF)
        trainer.save(folder / f"one-{name}.pt")
    return torchrun(3, SCRIPT, folder, "three")


def test_three_ranks_go_on_with_what_two_and_one_saved(three, one, folder):
    assert (folder / "three.json").exists(), three.stderr[-3000:]
    found = json.loads((folder / "three.json").read_text("utf-8"))
    found.pop("draws")
    assert len(found) == 2 * 3 * len(CASES)  # two ways to go on, three that saved
    for label, got in found.items():
        case = label.split("-")[1]
        assert_same(got, one[case], MUON if case == "muon" else EXACT)


def test_a_sharded_checkpoint_is_a_folder_that_is_complete_or_not_there(two, folder):
    names = {path.name for path in (folder / "fsdp-adamw.pt").iterdir()}
    assert {"run.pt", ".metadata", "__0_0.distcp", "__1_0.distcp"} <= names
    assert (folder / "ddp-adamw.pt").is_file()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_damaged_folder_is_refused(two, folder, tmp_path):
    for path in (folder / "fsdp-adamw.pt").iterdir():
        if path.name != "__1_0.distcp":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="is damaged or does not fit"):
        new_trainer(Parallel()).resume(tmp_path)
    other = Trainer(CausalLM(MODEL), replace(CONFIG, lr=1.0), Uneven(), val_data=Uneven())
    with pytest.raises(ValueError, match=r"lr=0.01, here lr=1.0"):
        other.resume(folder / "fsdp-adamw.pt")


def test_a_dead_rank_ends_the_others(three, folder):
    assert three.returncode != 0
    assert "rank 1 dies" in three.stderr
    assert not (folder / "survived").exists()


def test_the_command_line_shards_a_run_and_leaves_a_whole_model(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40, encoding="utf-8")
    tables = {
        "model": {"d_model": 16, "n_layers": 2, "n_heads": 2},
        "train": {
            "steps": 6, "batch_size": 3, "ema_decay": 0.5, "eval_every": 3, "eval_batches": 2,
        },
        "data": {"files": [str(tmp_path / "text.txt")], "tokenizer": "char", "context_length": 8},
        "run": {"folder": str(tmp_path / "one"), "device": "cpu", "checkpoint_every": 3,
                "prompt": "the", "parallel": "fsdp", "tensorboard": True},
    }  # fmt: skip
    config, folder = tmp_path / "config.toml", tmp_path / "two"
    config.write_text(to_toml(tables), encoding="utf-8")
    assert main(["train", str(config)]) == 0
    said = capsys.readouterr().out
    change = f"run.folder={folder}"
    done = torchrun(2, "-m", "minillm", "train", config, "--set", change)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.replace(str(folder), tables["run"]["folder"]) == said
    assert (folder / "checkpoints" / "step-00000006.pt" / "__1_0.distcp").is_file()
    assert len(list((folder / "tensorboard").iterdir())) == 1
    one, two = (History.from_jsonl(tmp_path / name / "history.jsonl") for name in ("one", "two"))
    for name in ("loss", "grad_norm", "val_loss"):
        assert two.column(name) == pytest.approx(one.column(name), abs=1e-4), name
    expected, got = (load(tmp_path / name).model.state_dict() for name in ("one", "two"))
    assert_close(got, expected, atol=1e-4, rtol=0)

    written = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    assert main(["train", str(config), "--resume", "--set", change]) == 0  # alone, nothing to do
    assert (folder / "model.safetensors").read_bytes() == written
    run = TrainingRun(read_run_config(config, changes=[change]), resume=True)
    run.trainer.average = None
    run.model.load_state_dict(load(folder).model.state_dict())
    assert run.trainer.evaluate() == pytest.approx(two[-1].val_loss, abs=1e-6)


# --- without processes
class Recorded(Parallel):
    """One rank of two that only notes when it waits, and what is in the folder by then."""

    def __init__(self, rank, folder):
        super().__init__(rank, 2)
        self.folder, self.events = folder, []

    def wait(self):
        self.events.append(sorted(path.name for path in self.folder.iterdir()))


@pytest.mark.parametrize(("rank", "there"), [(0, ["run.pt"]), (1, [])])
def test_rank_0_alone_writes_a_file_and_all_wait_for_it(tmp_path, rank, there):
    parallel = Recorded(rank, tmp_path)
    save_run({}, new_trainer(Parallel())._trained, tmp_path / "run.pt", parallel)
    assert parallel.events == [there]
    assert [path.name for path in tmp_path.iterdir()] == there


@pytest.mark.parametrize(
    ("rank", "before", "after"), [(0, [".a.pt.tmp"], ["a.pt"]), (1, [".a.pt.tmp"], [".a.pt.tmp"])]
)
def test_a_folder_is_empty_before_any_rank_writes_and_whole_before_any_goes_on(
    tmp_path, monkeypatch, rank, before, after
):
    parallel = Recorded(rank, tmp_path)
    (tmp_path / ".a.pt.tmp").mkdir()
    (tmp_path / ".a.pt.tmp" / "of a run that was killed").touch()

    def write(_, *, checkpoint_id):
        parallel.events.append("write")
        if rank == 0:
            assert list(checkpoint_id.iterdir()) == []  # run.pt makes it whole, and comes last

    monkeypatch.setattr(shards, "save", write)
    shards.save_shards({"step": 1}, new_trainer(Parallel())._trained, tmp_path / "a.pt", parallel)
    assert parallel.events == [before, "write", after]
    if rank == 0:
        assert [path.name for path in (tmp_path / "a.pt").iterdir()] == ["run.pt"]


def test_every_rank_has_seen_a_new_folder_empty_before_one_writes(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40, encoding="utf-8")
    tables = {
        "model": {"d_model": 16, "n_layers": 1, "n_heads": 2},
        "train": {"steps": 2},
        "data": {"files": [str(tmp_path / "text.txt")], "context_length": 8},
        "run": {"folder": str(tmp_path / "run"), "device": "cpu"},
    }
    config = tmp_path / "config.toml"
    config.write_text(to_toml(tables), encoding="utf-8")
    parallel = Recorded(0, tmp_path)
    TrainingRun(read_run_config(config), parallel=parallel)
    assert parallel.events == [["config.toml", "text.txt"]]
    assert (tmp_path / "run" / "config.toml").exists()


@pytest.mark.parametrize(("gpus", "taken"), [(2, [1]), (1, [])])
def test_each_process_takes_its_own_gpu_and_cpus_can_talk_too(monkeypatch, gpus, taken):
    calls = []
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    dist = torch.distributed
    monkeypatch.setattr(dist, "init_process_group", lambda name, **_: calls.append(name))
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append("end"))
    with distributed.session("fsdp") as parallel:
        assert (parallel.rank, parallel.world_size, parallel.sharded) == (3, 4, True)
    assert calls == [*taken, "cpu:gloo,cuda:nccl", "end"]


def test_processes_on_a_device_that_cannot_talk_are_refused():
    with pytest.raises(ValueError, match="the model is on meta, but 2 processes need cpu or cuda"):
        new_trainer(distributed.Replicated(0, 2), device="meta")


def test_shares_are_the_batch_and_equally_long():
    batch = Batch(torch.arange(8)[:, None], torch.arange(8)[:, None], torch.ones(8, 1).bool())
    shares = [Parallel(rank, 3).share(batch) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 3, 3]
    kept = [share.targets[share.targets != IGNORE].tolist() for share in shares]
    assert kept == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert all(share.mask is not None and len(share.mask) == 3 for share in shares)
    assert batch.targets.flatten().tolist() == list(range(8))


def test_a_batch_smaller_than_the_ranks_is_refused():
    batch = Uneven().batch(0, 2)
    with pytest.raises(ValueError, match=r"a batch of 2 has no row for each of world_size=3"):
        Parallel(0, 3).share(batch)


def test_without_torchrun_a_session_is_one_process():
    with distributed.session("fsdp") as parallel:
        assert (parallel.rank, parallel.world_size, parallel.sharded) == (0, 1, False)
        assert not torch.distributed.is_initialized()
    with (
        pytest.raises(ValueError, match="mode='tensor' is not one of"),
        distributed.session("tensor"),
    ):
        pass


def test_a_gpu_machine_without_torchrun_is_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="LOCAL_RANK is not"), distributed.session("ddp"):
        pass


def test_blocks_are_sliced_from_the_inside_out(monkeypatch):
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            inner = nn.ModuleList([nn.Linear(2, 2)])
            self.outer = nn.ModuleList([nn.ModuleDict({"inner": inner})])

    sliced, model = [], Nested()
    monkeypatch.setattr(distributed.Sharded, "_begin", lambda *_: None)
    monkeypatch.setattr(distributed, "init_device_mesh", lambda *_: None)
    monkeypatch.setattr(distributed, "fully_shard", lambda m, **_: sliced.append(m))
    distributed.Sharded(0, 2).wrap(model)
    assert sliced == [model.outer[0]["inner"][0], model.outer[0], model]

"""Killed at any moment, also while it writes, a run goes on as if nothing had happened.

The children are forked from a server that has imported torch once, so that twenty kills take
seconds. They run the command line itself, on one thread.
"""

import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from minillm.cli import main
from minillm.runs.toml import to_toml
from minillm.training.checkpoint.file import list_checkpoints, load_checkpoint
from minillm.training.history import History

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks, signals and limits as in Linux"),
]
KILLS = 20
STEPS = 240


@pytest.fixture(scope="module")
def server():
    """Makes processes that have torch already."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    # Also what every child would import at its start and at the first update of an optimizer.
    context.set_forkserver_preload(["minillm.cli", "pytest", "torch._dynamo"])
    return context


def config_file(folder, name):
    """A run whose checkpoints are large beside its updates: much of its time it is writing."""
    rng = random.Random(0)
    text = " ".join("".join(rng.choices("etaoins", k=rng.randint(1, 6))) for _ in range(2_000))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    tables = {
        "model": {"d_model": 128, "n_layers": 2, "n_heads": 4, "dropout": 0.1},
        "train": {"steps": STEPS, "batch_size": 2, "lr": 1e-3, "eval_every": 6, "eval_batches": 1},
        "data": {"files": [str(folder / "text.txt")], "context_length": 8},
        "run": {"folder": str(folder / name), "device": "cpu", "checkpoint_every": 2},
    }
    path = folder / f"{name}.toml"
    path.write_text(to_toml(tables), encoding="utf-8")
    return str(path), folder / name


def numbers(history):
    return [replace(record, seconds=0.0) for record in history]


def wait_for(process, happened):
    """Poll often, for a write takes milliseconds; False if the process ended first."""
    while process.is_alive():
        if happened():
            return True
        time.sleep(0.0003)
    return False


def temporary(folder):
    return list(folder.glob("checkpoints/.*.tmp"))


def kill_once(server, arguments, folder, moment, rng):
    """Start or resume, kill, and look at what is left; how many files were half written."""
    process = server.Process(target=main, args=(arguments,))
    process.start()
    before = list_checkpoints(folder / "checkpoints")[-1:]

    def moved_on():
        return list_checkpoints(folder / "checkpoints")[-1:] != before

    assert wait_for(process, moved_on), "the run ended before it could be killed"
    if moment == "writing":
        assert wait_for(process, lambda: temporary(folder))
    else:
        time.sleep(rng.uniform(0, 0.03))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    for path in list_checkpoints(folder / "checkpoints"):
        assert load_checkpoint(path)["step"] == int(path.stem.removeprefix("step-"))
    if (folder / "history.jsonl").exists():
        History.from_jsonl(folder / "history.jsonl")
    return len(temporary(folder))


def test_twenty_kills_change_nothing(server, tmp_path):
    whole_config, whole = config_file(tmp_path, "whole")
    process = server.Process(target=main, args=(["train", whole_config],))
    process.start()
    config, folder = config_file(tmp_path, "killed")
    rng, half_written = random.Random(0), 0
    for number in range(KILLS):
        resume = ["--resume"] if number else []
        moment = "writing" if number % 2 else "any"
        half_written += kill_once(server, ["train", config, *resume], folder, moment, rng)
    assert half_written > 0, "no kill fell into a write"
    process.join()
    last = server.Process(target=main, args=(["train", config, "--resume"],))
    last.start()
    last.join()
    assert (process.exitcode, last.exitcode) == (0, 0)
    assert not temporary(folder)

    expected, found = (History.from_jsonl(f / "history.jsonl") for f in (whole, folder))
    assert numbers(found) == numbers(expected)
    assert len(expected) == STEPS
    weights = [(f / "model.safetensors").read_bytes() for f in (whole, folder)]
    assert weights[0] == weights[1]
    ends = [load_checkpoint(list_checkpoints(f / "checkpoints")[-1]) for f in (whole, folder)]
    for state in (e["optimizer"]["state"] for e in ends):
        assert len(state) > 0
    assert same(ends[0]["optimizer"], ends[1]["optimizer"])
    assert same(ends[0]["rng"], ends[1]["rng"])


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_a_full_disk_keeps_the_last_good_checkpoint(server, tmp_path):
    config, folder = config_file(tmp_path, "full")
    child = subprocess.Popen(
        [sys.executable, "-m", "minillm", "train", config],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while child.poll() is None and len(list_checkpoints(folder / "checkpoints")) < 2:
        time.sleep(0.001)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (200_000, 200_000))
    _, errors = child.communicate()
    assert child.returncode == 1
    message = errors.strip().splitlines()[-1]
    assert message.startswith("minillm: could not write the checkpoint ")
    assert "Traceback" not in errors
    kept = list_checkpoints(folder / "checkpoints")
    assert [load_checkpoint(path)["step"] for path in kept]
    assert not temporary(folder)
    again = server.Process(target=main, args=(["train", config, "--resume"],))
    again.start()
    again.join()
    assert again.exitcode == 0
    assert len(History.from_jsonl(folder / "history.jsonl")) == STEPS

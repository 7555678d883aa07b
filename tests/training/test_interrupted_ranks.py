"""Ctrl-C, and the death of one rank, in a run that torchrun has spread over two processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minillm.runs.config import read_run_config
from minillm.runs.run import TrainingRun
from minillm.runs.toml import to_toml
from minillm.training.checkpoint.file import list_checkpoints, newest_checkpoint
from tests.training.distributed_runs import environment, torchrun_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as in Linux"),
]
MORE = 8  # updates after a resume


@pytest.fixture
def config(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40, encoding="utf-8")
    tables = {
        "model": {"d_model": 16, "n_layers": 2, "n_heads": 2},
        "train": {"steps": 100_000, "batch_size": 3, "ema_decay": 0.5},
        "data": {"files": [str(tmp_path / "text.txt")], "tokenizer": "char", "context_length": 8},
        "run": {"folder": str(tmp_path / "run"), "device": "cpu", "checkpoint_every": 5},
    }
    path = tmp_path / "config.toml"
    path.write_text(to_toml(tables), encoding="utf-8")
    return path


def ranks_of(torchrun):
    """The processes that torchrun has started, by their ranks."""
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    found = {}
    for pid in map(int, children):
        rank = re.search(rb"\0RANK=(\d+)\0", Path(f"/proc/{pid}/environ").read_bytes())
        found[int(rank[1])] = pid
    return [found[rank] for rank in sorted(found)]


def disturb(config, mode, do):
    """Start two ranks, do something to them after the second checkpoint, and wait for the end."""
    command = torchrun_command(2, "-m", "minillm", "train", config, "--set", f"run.parallel={mode}")
    started = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    checkpoints = config.with_name("run") / "checkpoints"
    while started.poll() is None and len(list_checkpoints(checkpoints)) < 2:
        time.sleep(0.01)
    ranks = ranks_of(started) if started.poll() is None else []
    if ranks:
        do(started, ranks)
    try:
        _, said = started.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGTERM)  # torchrun then ends its ranks
        started.communicate()
        raise
    assert len(ranks) == 2, said
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks)
    return started.returncode, said


def ctrl_c(torchrun, _):
    """As a terminal does it: to the whole group, which is torchrun; it tells its ranks."""
    os.killpg(torchrun.pid, signal.SIGINT)


def ask_one(_, ranks):
    os.kill(ranks[1], signal.SIGINT)


def kill_one(_, ranks):
    os.kill(ranks[1], signal.SIGKILL)


def assert_goes_on(config, mode, step):
    """One process takes up what two have left, and has the curve of one that did everything."""
    changes = [f"run.parallel={mode}"]
    resumed = TrainingRun(read_run_config(config, changes=changes), resume=True)
    assert resumed.trainer.step == step
    assert not list(resumed.checkpoints.glob(".*"))
    whole = TrainingRun(read_run_config(config, changes=[f"run.folder={config.parent}/whole"]))
    for run, steps in ((resumed, MORE), (whole, step + MORE)):
        run.trainer.callbacks = ()
        run.trainer.fit(steps)
    for name in ("loss", "grad_norm", "tokens"):
        expected = whole.trainer.history.column(name)
        assert resumed.trainer.history.column(name) == pytest.approx(expected, abs=1e-3), name
    for name, weight in whole.trainer.average.weights.items():
        assert resumed.trainer.average.weights[name].allclose(weight, atol=1e-3), name


@pytest.mark.parametrize(("mode", "do"), [("ddp", ctrl_c), ("fsdp", ask_one)])
def test_ctrl_c_stops_both_ranks_with_one_line_and_a_checkpoint(config, mode, do):
    code, said = disturb(config, mode, do)
    assert code != 0
    told = re.findall(r"minillm: stopped after step (\d+) of 100000, saved (.*); --resume", said)
    assert len(told) == 1, said
    assert "minillm/cli" not in said  # a traceback, if there is one, is torchrun's
    if do is ask_one:  # of ranks that end by themselves torchrun tells how
        codes = re.findall(r"exitcode +: (\S+)", said)
        assert len(codes) == 2
        assert "130" in codes
        assert set(codes) <= {"130", "-15"}  # a slow one is told to end when the other has
    step, path = told[0]
    assert newest_checkpoint(config.with_name("run") / "checkpoints") == Path(path)
    assert_goes_on(config, mode, int(step))


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_one_rank_that_is_killed_ends_the_other_and_spoils_nothing(config, mode):
    code, said = disturb(config, mode, kill_one)
    assert code != 0
    assert re.search(r"rank *: 1 .*\n *exitcode *: -9", said), said
    newest = newest_checkpoint(config.with_name("run") / "checkpoints")
    assert_goes_on(config, mode, int(newest.stem.removeprefix("step-")))

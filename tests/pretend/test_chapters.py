"""Every chapter runs on the pretend accelerator, and the runner sees what is broken."""

import json
import os
import subprocess
import sys

import pytest

from tests.pretend.lacks import LACKS, allowed
from tools.project import ROOT, chapters

SETUP = "import torch\nimport minillm\ndevice = minillm.best_device()"
TRAINING = """
shape = minillm.ModelConfig(vocab_size=7, context_length=8, d_model=8, n_layers=1, n_heads=2)
data = minillm.TokenWindows(torch.arange(99) % 7, 8, seed=0)
config = minillm.TrainConfig(steps=9, batch_size=2, eval_every=3)
trainer = minillm.Trainer(minillm.CausalLM(shape).to(device), config, data, val_data=data)
history = trainer.fit()
"""
LOOP = """
x, long, short = torch.ones(3, device=device, requires_grad=True), [], []
for step in range(400):
    (x * x).sum().backward()
    long.append(step)
for step in range(100):
    (x * x).sum().backward()
    short.append(step)
assert len(long) == 400
assert len(short) == 100
assert {0, 1, 99, 199, 200, 399} <= set(long)
"""


def run(path, report):
    """The cells of a notebook as the runner in a process of its own reports them."""
    arguments = [sys.executable, "-W", "ignore", "-m", "tests.pretend.chapter", str(path)]
    places = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*arguments, "--report", str(report)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.is_file(), done.stderr[-2000:]
    return {cell["id"]: cell for cell in json.loads(report.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_meets_no_device_fault(path, tmp_path, record_property):
    cells = run(path, tmp_path / "report.json")
    seconds = sum(cell["seconds"] for cell in cells.values())
    record_property("cpu_seconds", round(seconds, 1))
    faults = [f"{name}: {fault}" for name, cell in cells.items() for fault in cell["faults"]]
    assert not faults, "\n".join(faults)
    used = {name: set(cell["lacking"]) for name, cell in cells.items() if cell["lacking"]}
    assert used == allowed(path.stem), "lacks.py lists what is not used any more"


def test_the_list_names_chapters_and_gives_reasons():
    stems = {path.stem for path in chapters()}
    assert {stem for stem, _ in LACKS} <= stems
    assert all(len(reason) > 20 for names in LACKS.values() for reason in names.values())


@pytest.fixture
def report(tmp_path):
    """Run cells as a notebook; their ids are their numbers."""

    def make(*sources, tags=()):
        cells = [
            {"cell_type": "code", "id": str(i), "metadata": {"tags": tags}, "source": [source]}
            for i, source in enumerate(sources)
        ]
        path = tmp_path / "made.ipynb"
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return list(run(path, tmp_path / "report.json").values())

    return make


def test_faults_are_found_where_they_are(report):
    found = report(
        SETUP,
        "x = torch.ones(3, device=device)",
        "x.masked_fill(torch.ones(3) > 0, 0)",  # a mask of the CPU
        "import numpy as np\nnp.sqrt(x.numpy())",  # without cpu()
        "torch.nn.functional.embedding(torch.tensor([0]), x[:, None])",  # an index left behind
        "try:\n    x + torch.ones(3)\nexcept RuntimeError:\n    print('so what')",  # caught
        "assert (x + torch.ones(3)).sum() > 0",
        "torch.testing.assert_close(x, torch.ones(3))",
        "x.double()",
        "print(undefined, x)",
        "assert x.sum() == 3",
    )
    faults = ["".join(cell["faults"]) for cell in found]
    assert faults[0] == faults[1] == faults[10] == ""
    expected = ["MixedDevices", "TypeError", "MixedDevices", "aten::add", "MixedDevices"]
    expected += ["MixedDevices", "Lacking", "NameError"]
    assert all(name in text for name, text in zip(expected, faults[2:10], strict=True)), faults


def test_claims_may_break_only_after_a_short_training(report):
    before, _, after, whole, loop = report(
        SETUP + "\nassert device.type == 'cpu', 'a claim'",
        TRAINING,
        "assert history[-1].loss < 0.1\nreached = len(history), history.steps('val_loss')",
        "assert reached == (9, [3, 6, 9])\nprint(trainer.model.lm_head.weight.device)",
        LOOP,
    )
    assert before["faults"] == ["claims device.type == 'cpu'"]
    assert (after["faults"], after["claims"]) == ([], ["claims history[-1].loss < 0.1"])
    assert (whole["faults"], whole["claims"]) == ([], [])
    assert (loop["faults"], loop["claims"]) == ([], ["claims len(long) == 400"])

"""Every explorable in a real JupyterLab: it draws, answers the keyboard, and Python hears of it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import NamedTuple

import nbformat
import pytest
from playwright.sync_api import expect

from minillm import widgets

pytestmark = pytest.mark.slow
SECONDS = 60
ALL_CELLS = {"windowingMode": "none"}  # else JupyterLab removes what is out of sight


class Case(NamedTuple):
    """One explorable: how it is made, what is pressed, what Python then finds in a trait."""

    make: str
    role: str
    name: str
    key: str
    trait: str
    value: object


SETUP = """
import torch
from minillm import BPETokenizer, CausalLM, CharTokenizer, ModelConfig, widgets
from minillm.inference.beam import beam_steps
from minillm.inference.speculative import speculative_generate

MAPS = [[[[1.0, 0.0], [0.5, 0.5]]], [[[1.0, 0.0], [0.0, 1.0]]]]
RUNS = [
    {"name": f"rate {x}", "settings": {"rate": x}, "steps": [0, 9], "val_loss": [3, 2 + x]}
    for x in (0.1, 0.2)
]
SIZES = {"vocab_size": 6, "context_length": 8, "d_model": 8, "n_layers": 1, "n_heads": 2}
MODEL = CausalLM(ModelConfig(**SIZES))
STEPS = beam_steps(MODEL, torch.tensor([[1]]), max_new_tokens=2, n_beams=1)
WRITTEN = speculative_generate(MODEL, MODEL, torch.tensor([[1]]), max_new_tokens=3)
views = {}
"""
CASES = {
    "AttentionExplorer": Case(
        '{"to be": (["to", " be"], MAPS)}', "gridcell", "head 0.0", "ArrowDown", "head", [1, 0]
    ),
    "BeamTree": Case("STEPS, STEPS, str", "slider", "Step", "ArrowRight", "step", 2),
    "MergeExplorer": Case(
        '{"rhyme": BPETokenizer.train("sea shells " * 9, 262)}, "sea shell", limit=4',
        *("slider", "Merges known", "ArrowRight", "merges", 1),
    ),
    "ModelSize": Case("", "slider", "Conversations at once", "ArrowRight", "conversations", 2),
    "NGramExplorer": Case(
        '["a", "cat"], [2, 1], {(0, 1): 1}, {}',
        "slider",
        "Share of the longest context, λ",
        "Home",
        "mix",
        0,
    ),
    "OptimiserPath": Case("", "slider", "Learning rate", "End", "rate", 2),
    "Playground": Case(
        'MODEL, CharTokenizer("sea shell"), text="sea"',
        *("slider", "Temperature", "ArrowRight", "temperature", 1.1),
    ),
    "RankExplorer": Case('{"W": torch.eye(3)}', "slider", "Rank r", "ArrowRight", "rank", 2),
    "RotaryPairs": Case("", "slider", "position of the query, m", "ArrowRight", "m", 7),
    "RunExplorer": Case(
        'RUNS, mode="switches"', "radio", "0.1", "ArrowRight", "chosen", {"rate": ["0.2"]}
    ),
    "Sampler": Case(
        '{"to": [2.0, 1.0, 0.0]}, str', "slider", "Temperature T", "ArrowRight", "temperature", 1.1
    ),
    "SoftDictionary": Case("", "slider", "Scores ×", "ArrowRight", "scale", 1.1),
    "SoftmaxTemperature": Case(
        '["mat", "moon"], [2.5, 1]', "slider", "score of “moon”", "ArrowRight", "scores", [2.5, 1.1]
    ),
    "SpeculativeSteps": Case('{"k": WRITTEN}, str', "slider", "Step", "ArrowRight", "step", 2),
    "ThresholdDesk": Case('{"words": [0.1, 0.9]}, [0, 1]', "slider", "Keep below", "End", "low", 1),
}


@contextmanager
def jupyterlab(folder):
    """The address of a JupyterLab that serves a folder to this machine alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **os.environ,
        **{f"JUPYTER_{kind}_DIR": str(folder / ".jupyter") for kind in ("CONFIG", "DATA")},
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [
        f"--ServerApp.port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.port_retries=0",
    ]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait(address, server, folder / "log.txt")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(address, server, log):
    """Until the server answers, or an error with what it printed."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address + "api", timeout=2) as answer:
                assert "version" in json.load(answer)
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def notebook(chromium, tmp_path_factory):
    """A notebook with a cell for each explorable, and one that tells their states, after "Run"."""
    folder = tmp_path_factory.mktemp("lab")
    plugin = folder / ".settings" / "@jupyterlab" / "notebook-extension"
    plugin.mkdir(parents=True)
    (plugin / "tracker.jupyterlab-settings").write_text(json.dumps(ALL_CELLS))
    made = [f"views[{n!r}] = widgets.{n}({case.make})\nviews[{n!r}]" for n, case in CASES.items()]
    told = ", ".join(f"{n!r}: views[{n!r}].{case.trait}" for n, case in CASES.items())
    cells = [SETUP.strip(), *made, f"import json\nprint(json.dumps({{{told}}}))"]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(written, folder / "try.ipynb")
    with jupyterlab(folder) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}lab/tree/try.ipynb", timeout=1000 * SECONDS)
        page.get_by_text("| Idle").first.wait_for(timeout=1000 * SECONDS)  # the kernel is there
        page.locator(".jp-Notebook .cm-content").first.click()
        for _ in cells[:-1]:
            page.keyboard.press("Shift+Enter")
        yield page
        page.close()


def test_every_explorable_has_a_case():
    classes = [getattr(widgets, name) for name in widgets.__all__ if name[0].isupper()]
    kinds = {kind.__name__ for kind in classes if issubclass(kind, widgets.Explorable)}
    assert set(CASES) == kinds - {"Explorable"}


def test_explorables_work_in_jupyterlab(notebook):
    cells = notebook.locator(".jp-Notebook .jp-CodeCell")
    for cell, case in enumerate(CASES.values(), start=1):
        view = cells.nth(cell).locator(".explorable")
        view.wait_for(timeout=1000 * SECONDS)
        before = view.inner_text()
        control = view.get_by_role(case.role, name=case.name, exact=True)
        if case.role == "gridcell":
            control = control.get_by_role("button")
        control.first.press(case.key)
        expect(view).not_to_have_text(before, use_inner_text=True)
    cells.last.locator(".cm-content").click()
    notebook.keyboard.press("Shift+Enter")
    told = cells.nth(len(CASES) + 1).locator(".jp-OutputArea-output pre")
    told.wait_for(timeout=1000 * SECONDS)
    assert json.loads(told.inner_text()) == {name: case.value for name, case in CASES.items()}


def test_arrow_keys_choose_from_a_list(notebook):
    surface = notebook.get_by_label("Surface")
    surface.press("ArrowDown")
    expect(surface).to_have_value("bend")

"""Execute one exported notebook as Colab would, and say what it did to the environment."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from minillm.hub.artefacts import ARTEFACTS
from tools.colab.environment import Environment
from tools.colab.install import fetched
from tools.colab.solutions import open_solutions
from tools.execution import failure

# Runs when the kernel starts: what notebooks and libraries know Colab by.
PRETEND = """\
import contextlib, importlib.machinery, sys, types

with contextlib.suppress(ImportError):
    import google
output, colab = types.ModuleType("google.colab.output"), types.ModuleType("google.colab")
output.enable_custom_widget_manager = lambda: None
colab.output = output
for module in (colab, output):  # libraries ask for it with importlib.util.find_spec
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
sys.modules |= {"google.colab": colab, "google.colab.output": output}
if "google" in sys.modules:
    google.colab = colab
"""
PINNED = re.compile(r'"git\+[^"]*"\s*"@[^"]*"')
TOOK = re.compile(r"This took (\d+) seconds")
AGAIN = "nothing to do"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Trial:
    """How a notebook did.

    Attributes:
        name: The chapter.
        seconds: Of the whole, the first cell included.
        installing: Seconds that the first cell says it took.
        added: Packages with versions that were not there before.
        faults: What is wrong, in sentences; nothing if all is well.
    """

    name: str
    seconds: float = 0.0
    installing: int = 0
    added: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def with_wheel(code: str, wheel: Path) -> str:
    """The install cell with a wheel in place of the pinned commit.

    Raises:
        ValueError: the cell names no commit.
    """
    done, count = PINNED.subn(f'"{wheel.resolve().as_uri()}"', code)
    if count != 1:
        raise ValueError(f"the install cell names {count} commits, not one")
    return done


def prepare(notebook: Any, wheel: Path) -> Any:
    """The notebook as it is run: from the wheel, the first cell twice, the solutions copied out."""
    cells = []
    for cell in open_solutions(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
        if cell.id == "install":
            cell.source = with_wheel(cell.source, wheel)
            cells.append(nbformat.v4.new_code_cell(cell.source, id="install-again"))
    notebook.cells = cells
    notebook.metadata.pop("widgets", None)
    return notebook


def differences(before: dict[str, str], after: dict[str, str]) -> tuple[list[str], list[str]]:
    """What was added, and what was replaced or removed.

    >>> differences({"a": "1", "b": "1"}, {"a": "2", "c": "3"})
    (['c 3'], ['a 1 -> 2', 'b 1 -> gone'])
    """
    added = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    changed = [
        f"{name} {version} -> {after.get(name, 'gone')}"
        for name, version in sorted(before.items())
        if after.get(name) != version
    ]
    return added, changed


def _printed(notebook: Any, cell_id: str) -> str:
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.get("text", "") for output in cell.outputs)


def _kernel(environment: Environment, scratch: Path) -> None:
    """A kernel in that environment, which starts as if it were Colab's and with an empty cache."""
    startup = scratch / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-colab.py").write_text(PRETEND, encoding="utf-8")
    spec = {
        "argv": [environment.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
        "env": {
            "IPYTHONDIR": str(scratch / "ipython"),
            "MINILLM_CACHE": str(scratch / "cache"),
            "PYTHONPATH": "",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # it warns of what does not matter here
        },
    }
    folder = scratch / "jupyter" / "kernels" / "colab"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(scratch / "jupyter")


def _execute(notebook: Any, name: str, empty: Path) -> list[str]:
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="colab",
        resources={"metadata": {"path": str(empty)}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
        return [COLOUR.sub("", failure(Path(name), notebook, problem))]
    return []


def _judge(trial: Trial, notebook: Any, cache: Path, stated: list[str]) -> None:
    took = TOOK.search(_printed(notebook, "install"))
    if took:
        trial.installing = int(took[1])
    else:
        trial.faults.append(f"the first cell did not install: {_printed(notebook, 'install')}")
    if not trial.faults and AGAIN not in _printed(notebook, "install-again"):
        trial.faults.append("the first cell does not know the second time that all is there")
    kept = sorted(path.name for path in cache.glob("*") if path.name in ARTEFACTS)
    if not trial.faults and kept != stated:
        trial.faults.append(f"it fetched {kept}, but says that it fetches {stated}")


def run(name: str, notebook: Any, environment: Environment, wheel: Path) -> Trial:
    """Execute a notebook in an empty folder, compare the environment, and clean it again.

    Args:
        name: What to call it.
        notebook: An exported notebook; it gets the outputs.
        environment: The packages of Colab's image.
        wheel: The package, in place of the commit to which the notebook is pinned.
    """
    trial, stated = Trial(name), fetched(prepare(notebook, wheel))
    before, complaints = environment.packages(), environment.complaints()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (empty := scratch / "content").mkdir()
        _kernel(environment, scratch)
        trial.faults = _execute(notebook, name, empty)
        trial.seconds = time.perf_counter() - start
        _judge(trial, notebook, scratch / "cache", stated)
    after = environment.packages()
    trial.added, changed = differences(before, after)
    trial.faults += [f"it replaced {line}" for line in changed]
    trial.faults += [f"pip check: {line}" for line in environment.complaints() - complaints]
    if new := after.keys() - before.keys():
        environment.pip("uninstall", "--yes", *sorted(new))
    return trial

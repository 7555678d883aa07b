"""What nbval's run stores for the book is what nbclient's own run would have stored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_cache import get_cache
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.project import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

CELLS = {
    "empty": "import os\nassert not os.listdir()\nopen('left', 'w').close()",
    "streams": "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')",
    "value": "{'a': 1}",
    "replaced": (
        "from IPython.display import display, clear_output\nprint('gone')\n"
        "clear_output(wait=True)\nprint('stays')"
    ),
    "updated": "handle = display('first', display_id='here')",
    "later": "handle.update('second')\nprint('elsewhere')",
    "bar": "from tqdm import tqdm\nfor _ in tqdm(range(3), leave=False):\n    pass",
    "figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.gca();",
    "widget": "from minillm.widgets import SoftmaxTemperature as S\nS(['a', 'b'], [1.0, 2.0])",
    "moved": "import ipywidgets\nslider = ipywidgets.IntSlider(2)\nslider.value = 5\nslider",
    "error": "1 / 0",
}


def notebook(path: Path, cells: dict[str, str], *, kept: str | None = None) -> Path:
    made = [new_markdown_cell("# Title", id="title")]
    for name, source in cells.items():
        tags = ["raises-exception"] if name == "error" else []
        made.append(new_code_cell(source, id=name, metadata={"tags": tags}))
    if kept is not None:
        made[1].execution_count = 1
        made[1].metadata.tags = ["nbval-check-output"]
        made[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=kept)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=made, metadata={"kernelspec": kernel}), path)
    return path


def record(cache: Path, *notebooks: Path) -> int:
    options = ["--nbval-lax", "-p", "tools.recorder", "--record-into", str(cache)]
    command = [sys.executable, "-m", "pytest", *options, "-o", "addopts=-q", "-n", "2"]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    run = [*command, "--dist", "loadfile", *map(str, notebooks)]
    return subprocess.run(
        run, cwd=ROOT, check=False, capture_output=True, env=environment
    ).returncode


def stored(cache: Path, path: Path) -> Any:
    kept = get_cache(str(cache))
    return kept.get_cache_bundle(kept.match_cache_notebook(nbformat.read(path, 4)).pk).nb


def plain(value: Any) -> Any:
    """Without what differs from run to run: the names of models, and which comes first."""
    names: dict[str, str] = {}

    def walk(part: Any) -> Any:
        if isinstance(part, dict):
            return {walk(k): walk(v) for k, v in sorted(part.items())}
        if isinstance(part, list):
            return [walk(one) for one in part]
        if isinstance(part, str) and len(bare := part.removeprefix("IPY_MODEL_")) == 32:
            return names.setdefault(bare, f"model {len(names)}")
        return part

    return walk(value)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> dict[str, Any]:
    found = {cell.id: plain(cell.outputs) for cell in code(notebook)}
    for output in found["error"]:
        output["traceback"] = [line.split("\n")[0] for line in output["traceback"]]
    return found


def states(notebook: Any) -> list[Any]:
    kept = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    return sorted((plain(state) for state in kept.values()), key=str)


def test_both_ways_give_the_same_notebook(tmp_path: Path) -> None:
    path, cache = notebook(tmp_path / "a.ipynb", CELLS), tmp_path / "cache"
    assert record(cache, path) == 0
    ours, theirs = stored(cache, path), nbformat.read(path, 4)
    (tmp_path / "empty").mkdir()
    place = {"metadata": {"path": str(tmp_path / "empty")}}
    NotebookClient(theirs, kernel_name="python3", resources=place, record_timing=False).execute()
    assert outputs(ours) == outputs(theirs)
    assert all(outputs(ours)[name] for name in ("streams", "updated", "figure", "widget", "error"))
    assert states(ours) == states(theirs)
    assert len(states(ours)) > 3
    counts = [[cell.execution_count for cell in code(one)] for one in (ours, theirs)]
    assert counts == [list(range(1, len(CELLS) + 1))] * 2


@pytest.mark.parametrize(
    ("cells", "kept"), [({"bad": "1 / 0", "good": "1"}, None), ({"other": "print(1)"}, "2\n")]
)
def test_a_notebook_that_fails_is_not_stored(
    tmp_path: Path, cells: dict[str, str], kept: str | None
) -> None:
    bad = notebook(tmp_path / "bad.ipynb", cells, kept=kept)
    good = notebook(tmp_path / "good.ipynb", {"fine": "print(3)"}, kept="3\n")
    assert record(tmp_path / "cache", bad, good) == 1
    with pytest.raises(KeyError):
        stored(tmp_path / "cache", bad)
    assert stored(tmp_path / "cache", good).cells[0].outputs[0].text == "3\n"

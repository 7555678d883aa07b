"""Keep what nbval's kernels say, so that the book is built from the run that tested it.

A pytest plugin: ``pytest --nbval-lax -p tools.recorder --record-into FOLDER``. nbval executes every
cell and compares its outputs; this file hands the same messages of the kernel to `nbclient`, which
makes outputs and states of widgets of them, and stores each notebook whose cells all passed in the
jupyter-cache in FOLDER. A notebook is thereby executed in an empty folder, once.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import nbval.plugin
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile


class RecordedKernel(RunningKernel):  # type: ignore[misc]
    """A kernel of nbval that starts in an empty folder and keeps what it is asked and says."""

    def __init__(self, kernel_name: str, cwd: str, startup_timeout: int = 60) -> None:
        """Start it, not in ``cwd``, the notebook's own folder, but in an empty one."""
        del cwd
        self.folder = tempfile.TemporaryDirectory()
        self.requests: list[str] = []
        self.heard: list[dict[str, Any]] = []
        super().__init__(kernel_name, cwd=self.folder.name, startup_timeout=startup_timeout)

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """Note what comes from the kernel to all that listen."""
        message: dict[str, Any] = super().get_message(stream, timeout)
        if stream == "iopub":
            self.heard.append(message)
        return message

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        """With the history, by which IPython sees the semicolon that silences a value."""
        options = {"allow_stdin": allow_stdin, "stop_on_error": False, "store_history": True}
        self.requests.append(self.kc.execute(cell_input, **options))
        return self.requests[-1]

    def stop(self) -> None:
        """End the kernel and take its folder away."""
        super().stop()
        self.folder.cleanup()


class Recording:
    """One notebook while nbval executes it."""

    def __init__(self, file: IPyNbFile) -> None:
        self.path, self.kernel = Path(file.path), file.kernel
        self.notebook = copy.deepcopy(file.nb)
        self.code = [n for n, cell in enumerate(self.notebook.cells) if cell.cell_type == "code"]
        for n in self.code:
            self.notebook.cells[n].outputs = []
        self.client = NotebookClient(self.notebook, record_timing=False)
        self.client.reset_execution_trackers()
        self.places: dict[str, int] = {}  # request -> cell
        self.passed: set[int] = set()
        self.seconds = 0.0

    def add(self, number: int, *, passed: bool, seconds: float) -> None:
        """Take over what the kernel said about the code cell with this number."""
        place = self.code[number]
        self.places[self.kernel.requests[-1]] = place
        self.client.clear_before_next_output = False
        for message in self.kernel.heard:
            at = self.places.get(message["parent_header"].get("msg_id"))
            if at is None:
                continue
            with contextlib.suppress(CellExecutionComplete):
                self.client.process_message(message, self.notebook.cells[at], at)
        self.kernel.heard.clear()
        self.seconds += seconds
        if passed:
            self.passed.add(place)

    def store(self, folder: str) -> None:
        """Write the notebook into the cache, if all its cells were executed and passed."""
        if self.passed != set(self.code):
            return
        self.client.set_widgets_metadata()
        data = {"execution_seconds": self.seconds}
        bundle = CacheBundleIn(self.notebook, str(self.path), data=data)
        get_cache(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


RECORDINGS = pytest.StashKey[Recording]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that switches this plugin on."""
    parser.addoption("--record-into", metavar="FOLDER", help="jupyter-cache for the outputs")


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval start kernels that can be recorded."""
    if config.getoption("--record-into"):
        nbval.plugin.RunningKernel = RecordedKernel


def _recorded(item: pytest.Item) -> bool:
    return isinstance(item, IPyNbCell) and bool(item.config.getoption("--record-into"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Record the cell."""
    if not _recorded(item):
        return (yield)
    stash = item.parent.stash  # type: ignore[union-attr]
    if RECORDINGS not in stash:
        stash[RECORDINGS] = Recording(item.parent)
    start, passed = time.perf_counter(), False
    try:
        yield
        passed = True
    finally:
        seconds = time.perf_counter() - start
        stash[RECORDINGS].add(item.cell_num, passed=passed, seconds=seconds)  # type: ignore[attr-defined]
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """After the last cell of a notebook, store it."""
    last = nextitem is None or nextitem.parent is not item.parent
    if _recorded(item) and last and RECORDINGS in item.parent.stash:  # type: ignore[union-attr]
        item.parent.stash[RECORDINGS].store(item.config.getoption("--record-into"))  # type: ignore[union-attr]
    return (yield)

"""Execute the chapters before Sphinx starts, two at a time, into the cache that Sphinx reads.

jupyter-cache compares the code cells of a notebook and nothing else, so a changed package would
leave old outputs in the pages. A fingerprint of everything else that outputs depend on lies beside
the cache; when it changes, the cache is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FINGERPRINT = "fingerprint"
DEPENDS_ON = ("src/minillm", "models", "requirements.txt")


@dataclass(frozen=True)
class Run:
    """How the execution of one chapter went.

    Attributes:
        chapter: The notebook.
        seconds: Wall time of the execution that produced the outputs.
        stated: ``minillm.cpu_seconds`` in the notebook's metadata, if it says.
        cached: Whether the outputs come from an earlier execution.
        error: What went wrong, or None.
    """

    chapter: Path
    seconds: float
    stated: float | None
    cached: bool
    error: str | None = None


def fingerprint(root: Path) -> str:
    """Hash of the package, the trained weights, the lock and the Python version."""
    digest = hashlib.sha256(platform.python_version().encode())
    for name in DEPENDS_ON:
        top = root / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_stale(cache: Path, root: Path) -> bool:
    """Delete the cache when what its outputs depend on has changed; say whether it was deleted."""
    record, current = cache / FINGERPRINT, fingerprint(root)
    if record.is_file() and record.read_text(encoding="utf-8") == current:
        return False
    stale = cache.exists()
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    record.write_text(current, encoding="utf-8")
    return stale


def failure(chapter: Path, notebook: Any, error: Exception) -> str:
    """The error of a chapter with the id of the cell that raised it."""
    for cell in notebook.cells:
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return f"{chapter}: cell {cell.id!r} failed\n{error}"
    return f"{chapter}: {error}"


async def _execute(chapter: Path, notebook: Any, timeout: int) -> tuple[float, str | None]:
    def report(cell_index: int, **_: Any) -> None:
        done = cell_index + 1
        if done % 10 == 0:
            print(f"  {chapter.stem}: cell {done} of {len(notebook.cells)}", flush=True)

    start, error = time.perf_counter(), None
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,  # it writes into the cells, which would then not match the cache
            resources={"metadata": {"path": folder}},
            on_cell_executed=report,
            extra_arguments=["--IPKernelApp.log_level=40"],  # it warns of what does not matter here
        )
        try:
            await client.async_execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
            error = failure(chapter, notebook, problem)
    return time.perf_counter() - start, error


def _stated(notebook: Any) -> float | None:
    return notebook.metadata.get("minillm", {}).get("cpu_seconds")


async def _run(chapter: Path, cache: Any, turn: asyncio.Semaphore, timeout: int) -> Run:
    notebook = nbformat.read(chapter, as_version=4)
    try:
        record = cache.match_cache_notebook(notebook)
        seconds = float(record.data.get("execution_seconds", 0.0))
        return Run(chapter, seconds, _stated(notebook), cached=True)
    except KeyError:
        pass
    async with turn:
        print(f"  {chapter.stem}: executing", flush=True)
        seconds, error = await _execute(chapter, notebook, timeout)
        print(
            f"  {chapter.stem}: {'failed' if error else 'done'} after {seconds:.0f} s", flush=True
        )
    if error is None:
        bundle = CacheBundleIn(notebook, str(chapter), data={"execution_seconds": seconds})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return Run(chapter, seconds, _stated(notebook), cached=False, error=error)


async def _run_all(chapters: list[Path], cache: Any, workers: int, timeout: int) -> list[Run]:
    turn = asyncio.Semaphore(workers)
    return list(await asyncio.gather(*(_run(path, cache, turn, timeout) for path in chapters)))


def execute(
    chapters: list[Path], cache_path: Path, *, workers: int = 2, timeout: int = 600
) -> list[Run]:
    """Execute every chapter whose outputs are not in the cache.

    Args:
        chapters: Notebooks.
        cache_path: Folder of the jupyter-cache.
        workers: How many notebooks run at once, each on one thread.
        timeout: Seconds that one cell may take.

    Returns:
        One `Run` per chapter, in the order given.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    return asyncio.run(_run_all(chapters, get_cache(str(cache_path)), workers, timeout))

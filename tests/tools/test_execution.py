"""Chapters are executed into the cache, again only when something they depend on changes."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import execution

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "minillm").mkdir(parents=True)
    (tmp_path / "src" / "minillm" / "a.py").write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    return tmp_path


def write(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "minillm": {"cpu_seconds": 3}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def test_cache_is_dropped_when_the_package_changes(root: Path) -> None:
    cache = root / "cache"
    assert not execution.drop_stale(cache, root)
    (cache / "outputs").write_text("old")
    assert not execution.drop_stale(cache, root)
    assert (cache / "outputs").exists()
    (root / "src" / "minillm" / "a.py").write_text("x = 2\n")
    assert execution.drop_stale(cache, root)
    assert not (cache / "outputs").exists()


@pytest.mark.parametrize("name", ["requirements.txt", "src/minillm/b.js", "models/a.safetensors"])
def test_fingerprint_sees_everything_outputs_depend_on(root: Path, name: str) -> None:
    before = execution.fingerprint(root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("changed")
    assert execution.fingerprint(root) != before


def test_fingerprint_ignores_compiled_files(root: Path) -> None:
    before = execution.fingerprint(root)
    (root / "src" / "minillm" / "__pycache__").mkdir()
    (root / "src" / "minillm" / "__pycache__" / "a.pyc").write_text("x")
    assert execution.fingerprint(root) == before


def test_execution_is_cached_isolated_and_explained(root: Path) -> None:
    good = write(root / "good.ipynb", "import os\nassert not os.listdir()", "print(1)")
    bad = write(root / "bad.ipynb", "x = 1", "x / 0")
    dead = write(root / "dead.ipynb", "import os\nos._exit(1)")
    first = execution.execute([good, bad, dead], root / "cache")
    second = execution.execute([good], root / "cache")
    assert [run.cached for run in (*first, *second)] == [False, False, False, True]
    assert first[0].error is None
    assert first[0].stated == 3
    assert second[0].seconds == pytest.approx(first[0].seconds)
    error = first[1].error or ""
    assert str(bad) in error
    assert "cell 'cell-1' failed" in error
    assert "ZeroDivisionError" in error
    assert str(dead) in (first[2].error or "")

"""The table of a part's results says what its chapters printed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat.v4 import new_code_cell, new_notebook, new_output
from sphinx.errors import ExtensionError

from web.extension.headlines import COLUMNS, headline

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
HEAD = " | ".join(COLUMNS)
ROW = "spam | F1 | 0.97 | 0.96 to 0.98 | one word | 0.81"


def executed(folder: Path, printed: str | None, *, name: str = "headline") -> tuple[Path, Path]:
    cell = new_code_cell("print(rows)", id=name)
    path, cache = folder / "spam.ipynb", folder / "cache"
    nbformat.write(new_notebook(cells=[cell]), path)
    if printed is not None:
        cell.outputs = [new_output("stream", name="stdout", text=printed)]
        bundle = CacheBundleIn(new_notebook(cells=[cell]), str(path))
        get_cache(str(cache)).cache_notebook_bundle(bundle, check_validity=False)
    return path, cache


def test_rows_come_from_the_run(tmp_path: Path) -> None:
    assert headline(*executed(tmp_path, f"{HEAD}\n{ROW}\n")) == [tuple(ROW.split(" | "))]


def test_a_chapter_without_the_cell_has_no_rows(tmp_path: Path) -> None:
    assert headline(*executed(tmp_path, None, name="other")) is None


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (None, "has not been executed"),
        ("", "the first line"),
        (ROW, "the first line"),
        (f"{HEAD}\nspam | F1 | 0.97", "6 columns are wanted, not 'spam | F1 | 0.97'"),
        (f"{HEAD}\n{ROW.replace('0.81', '')}", "6 columns are wanted"),
    ],
)
def test_what_cannot_be_a_row_stops_the_build(
    tmp_path: Path, printed: str | None, said: str
) -> None:
    with pytest.raises(ExtensionError, match=said):
        headline(*executed(tmp_path, printed))

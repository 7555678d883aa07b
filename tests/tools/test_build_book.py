"""Building the book stops at every failure and says what failed."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from tools import build_book
from tools.execution import Run

CHAPTER = build_book.ROOT / "book" / "part" / "chapter.ipynb"


@pytest.fixture(autouse=True)
def _one_chapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_book, "HTML", tmp_path / "html")
    monkeypatch.setattr(build_book, "BUILD", tmp_path)
    monkeypatch.setattr(build_book, "chapters", lambda: [CHAPTER])
    monkeypatch.setattr(build_book, "pages", lambda **_: [CHAPTER])
    monkeypatch.setattr(build_book, "execute_chapters", lambda *_: True)
    monkeypatch.setattr(build_book, "build_html", lambda *_: 0)


def test_book_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert build_book.build_all() == 0
    assert str(build_book.HTML / "book" / "part" / "chapter.html") in capsys.readouterr().out


def test_failed_cell_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_book, "execute_chapters", lambda *_: False)
    monkeypatch.setattr(build_book, "build_html", lambda *_: pytest.fail("built all the same"))
    assert build_book.build_all() == 1
    assert build_book.build_one("chapter") == 1


def test_warning_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_book, "build_html", lambda *options: int("-W" in options))
    assert build_book.build_all() == 1


def test_preview_that_was_not_built_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "preview" / "chapter").mkdir(parents=True)
    assert build_book.build_one("chapter") == 1
    assert "not built" in capsys.readouterr().err


def test_unknown_chapter_is_told_the_known_ones() -> None:
    with pytest.raises(SystemExit, match="'chaptre': chapter"):
        build_book.build_one("chaptre")


def test_report_marks_a_wrong_time(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [Run(Path(name), 20.0, stated, cached=False) for name, stated in (("a", 12), ("b", 9))]
    build_book.report(runs)
    right, wrong = capsys.readouterr().out.splitlines()[-2:]
    assert "factor of two" not in right
    assert "factor of two" in wrong


def test_full_disk_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "argv", ["build_book"])
    monkeypatch.setattr(build_book, "fetch_artefacts", full)
    with pytest.raises(SystemExit, match="Free some space"):
        build_book.main()

"""Histories: columns, and what is written comes back."""

import json

import pytest

from minillm.training.history import History, Record


def record(step, val_loss=None):
    return Record(
        step=step, tokens=8 * step, loss=3.0 / step, lr=0.1, grad_norm=1.0, seconds=0.1 * step,
        val_loss=val_loss,
    )  # fmt: skip


@pytest.fixture
def history():
    return History([record(1), record(2, 2.5), record(3), record(4, 2.25)])


def test_it_is_a_sequence(history):
    assert len(history) == 4
    assert history[-1].step == 4
    assert history[1:3] == History([record(2, 2.5), record(3)])
    assert [r.step for r in history] == [1, 2, 3, 4]
    assert history != [record(1)]
    history.append(record(5))
    assert history[-1] == record(5)
    assert repr(history) == "History(5 records)"


def test_columns_hold_what_was_measured_with_the_steps_it_belongs_to(history):
    assert history.column("loss") == [3.0, 1.5, 1.0, 0.75]
    assert (history.steps("val_loss"), history.column("val_loss")) == ([2, 4], [2.5, 2.25])
    for read in (history.column, history.steps):
        with pytest.raises(ValueError, match="'accuracy' is no column of a history; it has step"):
            read("accuracy")


def test_jsonl_round_trip_is_exact(history, tmp_path):
    path = tmp_path / "history.jsonl"
    history.to_jsonl(path)
    assert History.from_jsonl(path) == history
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert "val_loss" not in json.loads(lines[0])


@pytest.mark.parametrize("line", ["{", '{"step": 1}', '{"stop": 1}', "[1]"])
def test_a_bad_line_is_named(tmp_path, history, line):
    path = tmp_path / "history.jsonl"
    history.to_jsonl(path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"history.jsonl, line 5 is no training record"):
        History.from_jsonl(path)

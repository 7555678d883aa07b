"""Checkpoints: whole or not at all, and never code."""

import os
import pickle

import pytest
import torch

from minillm.training.checkpoint import file as checkpoint
from minillm.training.checkpoint.file import (
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    set_rng_states,
)

CONTENT = {"step": 3, "weights": torch.arange(4.0), "nested": {"list": [1, "two", None, True]}}


def test_round_trip_in_a_new_folder(tmp_path):
    path = tmp_path / "a" / "b" / "run.pt"
    save_checkpoint(CONTENT, path)
    content = load_checkpoint(path)
    assert torch.equal(content.pop("weights"), CONTENT["weights"])
    assert content == {"format": 2, "step": 3, "nested": CONTENT["nested"]}
    assert [p.name for p in path.parent.iterdir()] == ["run.pt"]


def test_it_is_written_aside_and_then_renamed(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(CONTENT, path)
    before = path.read_bytes()
    seen = []

    def replace(source, target):
        seen.append((path.read_bytes() == before, load_checkpoint(source)["step"], target))
        raise OSError("the power failed")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="the power failed"):
        save_checkpoint({**CONTENT, "step": 4}, path)
    assert seen == [(True, 4, path)]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), real_fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b)))
    save_checkpoint(CONTENT, tmp_path / "run.pt")
    assert calls[:2] == ["fsync", "replace"]


def test_a_really_full_disk_is_reported():
    if not os.path.exists("/dev/full"):
        pytest.skip("needs Linux's /dev/full")

    with open("/dev/full", "wb", buffering=0) as file, pytest.raises((OSError, RuntimeError)):
        torch.save(CONTENT, file)


@pytest.mark.parametrize("keep", [0, 1, 10, 500, -1])
def test_a_damaged_file_is_refused(tmp_path, keep):
    path = tmp_path / "run.pt"
    save_checkpoint(CONTENT, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"run\.pt is no checkpoint, or a damaged one"):
        load_checkpoint(path)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


@pytest.mark.parametrize("write", [torch.save, lambda c, path: path.write_bytes(pickle.dumps(c))])
def test_a_file_with_code_is_refused(tmp_path, write, capfd):
    path = tmp_path / "run.pt"
    write({"format": 2, "evil": Evil()}, path)
    with pytest.raises(ValueError, match="is no checkpoint"):
        load_checkpoint(path)
    assert "never run" not in capfd.readouterr().out


@pytest.mark.parametrize("content", [{"format": 1}, {"step": 1}, [1, 2]])
def test_another_format_is_refused(tmp_path, content):
    path = tmp_path / "run.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"has checkpoint format (1|None), this package reads 2"):
        load_checkpoint(path)


def test_the_newest_is_the_highest_step(tmp_path):
    assert list_checkpoints(tmp_path / "nothing") == []
    for step in (5, 100, 20):
        checkpoint_path(tmp_path, step).touch()
    (tmp_path / ".step-00000200.pt.tmp").touch()  # left by a process that was killed
    assert [p.name[-6:] for p in list_checkpoints(tmp_path)] == ["005.pt", "020.pt", "100.pt"]
    assert newest_checkpoint(tmp_path) == checkpoint_path(tmp_path, 100)
    assert newest_checkpoint(tmp_path / "a.pt") == tmp_path / "a.pt"


def test_random_states_of_gpus_that_are_lacking_are_left_out(monkeypatch):
    given = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *given_: given.append(given_))
    set_rng_states({"cpu": torch.get_rng_state(), "cuda": ["first", "second"]})
    assert given == [("first", 0)]


def test_the_format_version_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    save_checkpoint({}, tmp_path / "run.pt")
    assert torch.load(tmp_path / "run.pt", weights_only=True) == {"format": 7}

"""Stored results: what is written comes back, another text is refused, every file says whence."""

import json

import pytest

from minillm import results

RECORD = {"command", "python", "torch", "minillm", "seeds", "seconds", "data"}
STORED = sorted(results._folder().glob("*.json"))


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "_folder", lambda: tmp_path)
    return tmp_path


def put(result, data):
    return results.store("a", result, command="python a.py", seeds=[1], seconds=2.4, data=data)


def test_what_is_stored_comes_back_with_its_record(folder):
    put({"losses": [1.5, 2.5]}, {"text": "the cat"})
    found = results.load("a", data={"text": "the cat"})
    assert found["losses"] == [1.5, 2.5]
    assert found["provenance"].keys() == RECORD
    assert found["provenance"]["data"] == {"text": results.fingerprint("the cat")}


@pytest.mark.parametrize("data", [{"text": "the cat "}, {"other": "the cat"}])
def test_another_text_is_refused(folder, data):
    put({}, {"text": "the cat"})
    with pytest.raises(ValueError, match="'a' were made with another text"):
        results.load("a", data=data)


@pytest.mark.parametrize("result", [{"provenance": 1}, {"loss": float("nan")}])
def test_what_cannot_be_kept_leaves_no_file(folder, result):
    with pytest.raises(ValueError, match=r"provenance|JSON"):
        put(result, {})
    assert not list(folder.iterdir())


def test_an_unknown_name_lists_those_that_exist(folder):
    put({}, {})
    with pytest.raises(ValueError, match=r"no stored results 'b'; there are \['a'\]"):
        results.load("b")


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_every_stored_file_says_how_it_came_about(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content.get("provenance", {}).keys() == RECORD or content["note"].strip()

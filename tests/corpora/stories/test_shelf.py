"""Stories on disk: the same stories, whatever happens to the file."""

import gzip
import json
import logging
import shutil

import pytest

from minillm.corpora.stories import shelf
from minillm.corpora.stories.corpus import stories
from minillm.corpora.stories.story import tell


@pytest.fixture
def told_again(tmp_path, monkeypatch):
    """An empty cache, two stories are enough for a file, and a count of the stories told."""
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shelf, "FEWEST", 2)
    numbers = []

    def counted(seed, index):
        numbers.append(index)
        return tell(seed, index)

    monkeypatch.setattr(shelf, "tell", counted)
    return numbers


def test_everything_in_a_story_survives(told_again):
    fresh = shelf.told(60, 7)
    assert len(told_again) == 60
    kept = shelf.told(60, 7)
    assert len(told_again) == 60, "they were read, not told"
    assert kept == fresh == [tell(7, i) for i in range(60)]
    for a, b in zip(kept, fresh, strict=True):
        for name in vars(a):
            assert type(getattr(a, name)) is type(getattr(b, name))
        assert {type(fact) for fact in a.facts} == {type(fact) for fact in b.facts}
        assert {type(q) for q in a.questions} == {type(q) for q in b.questions}
        assert hash(a) == hash(b)


def test_number_and_seed_are_part_of_the_name(told_again):
    shelf.told(3, 0)
    assert shelf.told(2, 0) == [tell(0, 0), tell(0, 1)]
    assert shelf.told(3, 1) == [tell(1, i) for i in range(3)]
    assert len(told_again) == 3 + 2 + 3
    assert len(list(shelf.shelf_path(3, 0).parent.iterdir())) == 3


def test_a_change_of_the_package_gives_another_name(tmp_path, monkeypatch):
    package = tmp_path / "stories"
    package.mkdir()
    for name in ("events.txt", "world.py"):
        shutil.copy(shelf.files(shelf.__package__).joinpath(name), package)
    monkeypatch.setattr(shelf, "files", lambda _: package)
    names = [shelf._digest.__wrapped__()]
    for name in ("events.txt", "world.py"):
        with (package / name).open("a", encoding="utf-8") as file:
            file.write("# more\n")
        names.append(shelf._digest.__wrapped__())
    (package / "notes.md").write_text("not a source")
    assert shelf._digest.__wrapped__() == names[-1]
    assert len(set(names)) == 3


def zipped(data):
    return gzip.compress(data.encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-3],
        lambda _: b"not gzip" * 30,
        lambda data: data[:200] + bytes(byte ^ 1 for byte in data[200:220]) + data[220:],
        lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
        lambda data: zipped("".join(gzip.decompress(data).decode().splitlines(True)[:-1])),
        lambda _: zipped("{}\n" * 4),
        lambda _: zipped("[]\n" * 4),
        lambda _: zipped("no json"),
        lambda _: zipped(json.dumps({"text": 1, "facts": [[[], 2]]}) + "\n"),
        lambda _: gzip.compress(b"\xff\xfe\n"),
    ],
)
def test_a_damaged_file_is_replaced_and_that_is_said(told_again, caplog, damage):
    fresh = shelf.told(4, 0)
    path = shelf.shelf_path(4, 0)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert shelf.told(4, 0) == fresh
    (line,) = caplog.messages
    assert f"{path} is damaged and is made again" in line
    assert len(told_again) == 8
    assert shelf.read_stories(path, 4) == fresh


def test_where_nothing_can_be_written_stories_are_told(told_again, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "file"))
    assert shelf.told(3, 0) == shelf.told(3, 0) == [tell(0, i) for i in range(3)]
    assert len(told_again) == 6


def test_without_a_home_stories_are_told(told_again, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINILLM_CACHE")
    monkeypatch.setattr(shelf.Path, "home", homeless)
    assert shelf.told(3, 0) == [tell(0, i) for i in range(3)]
    assert len(told_again) == 3


def test_an_interrupted_write_leaves_nothing(told_again, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shelf.os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        shelf.told(3, 0)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_few_stories_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    assert len(stories(n=30, seed=91)) == 30
    assert not (tmp_path / "cache").exists()


def test_the_corpus_is_the_same_from_the_disk(told_again):
    fresh = stories.__wrapped__(n=50, seed=5)
    assert stories.__wrapped__(n=50, seed=5) == fresh
    assert len(told_again) == 50

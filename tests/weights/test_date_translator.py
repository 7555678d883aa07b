"""The shipped translator of dates: it loads by its name, is small, and translates."""

from __future__ import annotations

import pytest
import torch

import minillm
from minillm import results
from minillm.corpora import dates
from minillm.weights.model_folder import shipped


@pytest.fixture(scope="module")
def loaded() -> minillm.Loaded:
    return minillm.load("date-translator")


def test_is_small_and_has_its_card():
    folder = shipped()["date-translator"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    card = (folder / "README.md").read_text(encoding="utf-8")
    for word in ("Data", "Result", "Made by", "Limits", "Licence"):
        assert f"**{word}**" in card


def test_is_an_encoder_decoder_of_the_stated_size(loaded):
    assert isinstance(loaded.model, minillm.Seq2Seq)
    count = f"{minillm.count_parameters(loaded.model):,} parameters"
    card = (shipped()["date-translator"] / "README.md").read_text(encoding="utf-8")
    assert count in card


def test_the_card_says_what_was_measured():
    stored = results.load("date_translator")
    own, days = stored["runs"][stored["best"]], stored["judged"]
    card = (shipped()["date-translator"] / "README.md").read_text(encoding="utf-8")
    for part in ("validation", "test"):
        right = [p.target for to in stored["languages"] for p in getattr(dates(to), part)[:days]]
        share = sum(a == b for a, b in zip(own[part], right, strict=True)) / len(right)
        assert f"{share:.3f} of" in card


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("de>Friday, January 5, 2024", "Freitag, 5. Januar 2024"),
        ("fr>5 January 2024", "5 janvier 2024"),
        ("es>5 Jan 2024", "5 de enero de 2024"),
        ("zh>Saturday, 12 November 2033", "2033年11月12日星期六"),
    ],
)
def test_translates(loaded, source, target):
    start, end = loaded.tokenizer.encode("^$")
    writer = minillm.Conditioned(loaded.model, torch.tensor([loaded.tokenizer.encode(source)]))
    ids = minillm.generate(writer, torch.tensor([[start]]), max_new_tokens=40, stop={end})
    assert loaded.tokenizer.decode(ids[0, 1:].tolist()).split("$")[0] == target


def test_letters_that_it_has_not_read_are_named(loaded):
    with pytest.raises(ValueError, match="U\\+0416"):
        loaded.tokenizer.encode("de>Ж")

"""Pronunciations, simulated hearing and transfers of things."""

import random

import pytest

from minillm.corpora.mishearing import Ear, mishear, variants
from minillm.corpora.pronunciations import alike, homophones, pronunciations
from minillm.corpora.stories import tell
from minillm.corpora.stories.transfers import ROLES, transfers

SAID = {
    "ice": [("AY", "S")],
    "an": [("AE", "N"), ("AH", "N")],
    "a": [("AH",)],
    "nice": [("N", "AY", "S")],
}


def test_the_dictionary_has_homophones_and_all_ways_to_say_a_word():
    found = pronunciations(["two", "too", "a"])
    assert set(homophones(found)["T", "UW"]) == {"two", "too"}
    assert found["a"] == [("AH",), ("EY",)]


def test_likeness_is_mutual():
    assert all(phone in alike()[other] for phone, others in alike().items() for other in others)


def test_word_boundaries_move():
    ear = Ear(SAID, {}, unseen=1.0, weight=0.0)
    free = {g.words for g in ear.guesses(("AH", "N", "AY", "S"), 9) if g.cost == 0}
    assert free == {"an ice", "a nice"}


def test_guesses_are_sorted_different_and_reachable():
    ear = Ear(SAID, {"a": 0.5}, unseen=2.0, weight=0.3)
    found = ear.guesses(("AH", "M", "AY", "S"), 6)
    assert [g.first for g in found] == sorted(g.first for g in found)
    assert len({g.words for g in found}) == len(found) > 1
    assert all(word in SAID for guess in found for word in guess.words.split())
    assert found[0].cost == 1  # M for N


def test_a_variant_has_at_most_one_edit():
    for variant, cost in variants(("K", "AE", "T")):
        assert abs(len(variant) - 3) <= 1
        assert (cost == 0) == (variant == ("K", "AE", "T"))


def test_mishearing_happens_at_the_given_rate():
    phones = ("K", "AE", "T") * 1000
    assert mishear(phones, 0.0, random.Random(0)) == phones
    heard = mishear(phones, 0.1, random.Random(0))
    assert 20 < len(phones) - len(heard) < 100
    with pytest.raises(ValueError, match="rate=2 must lie"):
        mishear(phones, 2, random.Random(0))


def test_bad_input_is_refused():
    ear = Ear(SAID, {}, unseen=1.0, weight=0.0)
    assert ear.guesses((), 3) == []
    with pytest.raises(ValueError, match="n=0"):
        ear.guesses(("AH",), 0)
    with pytest.raises(ValueError, match="needs words"):
        Ear({}, {}, unseen=1.0, weight=0.0)


def test_transfers_name_two_people_and_a_thing_of_their_text():
    told = [tell(3, i) for i in range(60)]
    found = transfers(told)
    assert len(found) > 10
    for transfer in found:
        assert transfer.kind in ROLES
        assert transfer.giver != transfer.receiver
        assert all(part in transfer.text for part in transfer[1:4])
    assert len(transfers(told, before=0)[0].text) < len(found[0].text)
    with pytest.raises(ValueError, match="before=-1"):
        transfers(told, before=-1)

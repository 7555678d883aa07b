"""Verses in two Englishes, and dates whose alignment is known."""

import re

import pytest

from minillm.corpora import Pair, bible, dates, known_alignment, verse_pairs


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_pairs_are_the_same_verse_and_short(part):
    old = {v.text: v.id for v in getattr(bible("kjv"), part)}
    basic = {v.text: v.id for v in getattr(bible("bbe"), part)}
    pairs = getattr(verse_pairs(12), part)
    assert len(pairs) > 50
    for pair in pairs:
        assert old[pair.source] == basic[pair.target]
        assert max(len(text.split()) for text in pair) <= 12


def test_longer_pairs_are_more():
    assert len(verse_pairs(12)) < len(verse_pairs(25))


def test_no_pair():
    with pytest.raises(ValueError, match="longest=0, but no pair"):
        verse_pairs(0)


def test_every_character_that_says_something_is_aligned():
    for pair in dates("zh", n=3000).train:
        places = known_alignment(pair)
        silent = {i for i, sign in enumerate(pair.target) if sign in "年月星期" or i in days(pair)}
        assert set(places) == set(range(len(pair.target))) - silent
        for place, source in places.items():
            assert 0 <= source.start < source.stop <= len(pair.source)
            if len(source) == 1:
                assert pair.target[place] == pair.source[source.start]
            else:
                assert re.fullmatch("[A-Z][a-z]+", pair.source[source.start : source.stop])


def days(pair):
    """The place of the sign that stands behind the day; it is a weekday's sign, too."""
    return {re.search(r"月\d+(日)", pair.target).start(1)}


def test_by_hand():
    places = known_alignment(Pair("Sunday, May 14, 1905", "1905年5月14日星期日"))
    assert places == {
        0: range(16, 17),
        1: range(17, 18),
        2: range(18, 19),
        3: range(19, 20),
        5: range(8, 11),
        7: range(12, 13),
        8: range(13, 14),
        12: range(6),
    }


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("3 May 1902", "3. Mai 1902"),
        ("3 May 1902", "1902年5月3日星期六"),
        ("Saturday, 3 May 1902", "1902年5月3日"),
        ("3. Mai", "1902年5月3日"),
    ],
)
def test_no_date(source, target):
    with pytest.raises(ValueError, match="is no English form of the date"):
        known_alignment(Pair(source, target))

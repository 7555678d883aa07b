"""The truth test: silent on what is true, loud on what is not."""

import pytest

from minillm.corpora.stories.story import tell
from minillm.corpora.stories.truth import check, contradictions
from tests.corpora.stories.corruptions import ALL, catch_rate

SAMPLE = [tell(21, i) for i in range(3000)]
LEAST = {
    "swap_name": 0.95,
    "strange_name": 0.97,
    "swap_thing": 0.97,
    "strange_thing": 0.97,
    "swap_place": 0.88,
    "flip_pronoun": 0.93,
    "drop_move": 0.82,
    "shuffle_two": 0.88,
}
OPENING = "One fine morning, Mira was at the market. Mira had a red kite. "


def test_stories_are_read_completely_and_contain_no_contradiction():
    for story in SAMPLE:
        found = check(story.text)
        assert found.contradictions == [], story.text
        assert found.unparsed == 0, story.text


def test_reading_recovers_the_facts():
    for story in SAMPLE[:1000]:
        assert check(story.text).world.facts() == story.facts, story.text


@pytest.mark.parametrize("corrupt", ALL, ids=lambda corrupt: corrupt.__name__)
def test_spoiled_stories_are_caught(corrupt):
    rate, number = catch_rate(corrupt, SAMPLE[:500])
    assert number > 200
    assert rate > LEAST[corrupt.__name__]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (OPENING + "Omar gave Mira the kite.", "Omar was never introduced"),
        (OPENING + "Mira lost it.", None),
        (OPENING + "Mira had a blue kite.", "the kite is red, not blue"),
        (OPENING + "Mira had a red kite.", "kite is introduced twice"),
        (OPENING + "He went to the school.", "it is not clear who 'He' is"),
        (OPENING + "Then Mira walked to the market.", "at(Mira) is market already"),
        (OPENING + "Omar was there as well. Omar ate the kite.", None),
        (OPENING + "His friend Omar was there too.", "it is not clear who 'His' is"),
        (OPENING + "Omar was there as well. Omar thanked Mira.", "helper(Omar) is unknown"),
        (
            OPENING + "Omar was there as well. Mira gave Omar the kite. Mira played with the kite"
            " until it was dark.",
            "with(kite) is Omar, not Mira",
        ),
        (OPENING + "There she met Omar, a engineer.", "'a engineer' has the wrong article"),
        (OPENING + "It had been a good day. Mira went to the school.", "story was over"),
    ],
)
def test_single_faults(text, fault):
    """A fault of None means that the sentence is none of the world's."""
    found = check(text)
    if fault is None:
        assert found.unparsed > 0
    else:
        assert any(fault in said for said in found.contradictions), found.contradictions


def test_without_a_fault_the_opening_is_true():
    assert contradictions(OPENING) == []
    assert check(OPENING).world.get("with", "kite") == "Mira"


def test_unparsed_is_a_share_of_characters():
    found = check("One fine morning, Mira was at the market. Colourless ideas sleep! And so on")
    assert [reading.event is None for reading in found.readings] == [False, True, True]
    assert found.unparsed == pytest.approx(32 / 73)
    assert check("").unparsed == 0
    assert check("no end").unparsed == 1


def test_a_diary_without_its_owner():
    assert "it is not said who tells the story" in str(contradictions("I went to the market."))

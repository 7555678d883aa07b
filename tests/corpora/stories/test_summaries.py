"""Reading summaries: the inverse of the sixteen forms, and words of the world in any text."""

import pytest

from minillm.corpora.stories import stories
from minillm.corpora.stories.story import PLOTS
from minillm.corpora.stories.summaries import FORMS, mentions, read_summary
from minillm.corpora.stories.world import Fact

TOLD = stories(600, seed=5)
ALL = (*TOLD.train, *TOLD.validation, *TOLD.test)


def test_every_plot_has_a_form_and_is_told_here() -> None:
    assert [plot.__name__ for plot in PLOTS] == [*FORMS]
    assert {story.plot for story in ALL} == {*FORMS}


@pytest.mark.parametrize("plot", FORMS)
def test_every_summary_is_read_as_its_own_plot_with_every_role(plot: str) -> None:
    for story in (story for story in ALL if story.plot == plot):
        facts = read_summary(story.summary)
        roles = FORMS[plot].count("{") - (plot == "lesson")  # its pupil stands there twice
        assert {fact.relation for fact in facts} == {plot}
        assert len(facts) == roles
        assert all(fact.value in story.summary for fact in facts)


def test_claims_of_the_story_are_words_of_the_story() -> None:
    for story in ALL:
        assert mentions(story.summary) <= mentions(story.text)


def test_two_names_exchanged_change_the_claims_and_not_the_mentions() -> None:
    right = "Mira mended a clock with a saw that Omar lent."
    wrong = "Omar mended a clock with a saw that Mira lent."
    assert mentions(right) == mentions(wrong)
    assert read_summary(right) - read_summary(wrong) == {
        Fact("borrowed", "mender", "Mira"),
        Fact("borrowed", "lender", "Omar"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mira mended a clock.",
        "Edvin taught Amina to play the harp, and Edvin played at the inn.",  # who was taught?
        "Rania shared a peach with Taha, who had no lunch. And more.",
        "\ud800\x00 拉妮亚",
    ],
)
def test_another_form_claims_nothing(text: str) -> None:
    assert read_summary(text) == frozenset()


def test_whole_words_and_the_capital_of_names() -> None:
    assert mentions("mira went to the Market with hats, a Rocking-Horse and a ring.") == {
        "market",
        "rocking-horse",
        "ring",
    }


@pytest.mark.parametrize("read", [read_summary, mentions])
def test_what_is_no_text_is_refused(read) -> None:
    with pytest.raises(ValueError, match="text must be a str, got bytes"):
        read(b"Mira")

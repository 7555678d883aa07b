"""The table of events and the vocabulary: complete, unambiguous in kind, well formed."""

import itertools
import re

import pytest

from minillm.corpora.stories.choices import Choices
from minillm.corpora.stories.events import STYLES, kinds
from minillm.corpora.stories.templates import Template
from minillm.corpora.stories.vocabulary import FLAVOURS, KINDS, PREPOSITION, SPOTS, WORDS, article
from minillm.corpora.stories.world import Statement, World

KIND_NAMES = sorted(kinds())


@pytest.mark.parametrize("name", KIND_NAMES)
def test_every_event_can_be_told_in_every_style(name):
    for style in STYLES:
        assert kinds()[name].templates[style], style


@pytest.mark.parametrize("name", KIND_NAMES)
def test_slots_are_parameters_or_colour(name):
    kind = kinds()[name]
    lines = [template for _, template in kind.sentences]
    for template in [*lines, *itertools.chain(*kind.questions)]:
        for slot in template.slots:
            assert slot.name in kind.parameters or slot.name[0] in FLAVOURS, template.text


@pytest.mark.parametrize("name", KIND_NAMES)
def test_new_things_are_described_and_people_named(name):
    kind = kinds()[name]
    for (_, template), slot in itertools.product(kind.sentences, sorted(kind.new)):
        forms = {s.form for s in template.slots if s.name == slot}
        if slot in "xyz":
            assert "a" in forms, template.text
        else:
            assert forms & {"", "o", "s", "name"}, template.text


@pytest.mark.parametrize("name", KIND_NAMES)
def test_rules_speak_of_parameters(name):
    kind = kinds()[name]
    for statement in kind.needs + kind.makes:
        assert statement.subject in {*kind.parameters, "day", "story"}, statement


def test_first_person_sentences_keep_the_grammar():
    """No "to I", "of I", "said I" and no "I and": what serves the first person has these forms."""
    for kind in kinds().values():
        for styles, template in kind.sentences:
            if set(styles) & {"D", "E"}:
                bad = r"\b(to|for|from|with|told|of|and got|said|asked|cried) \{a\}(?! [a-z]+ed\b)"
                assert not re.search(bad, template.text), template.text
                assert "{a} and {" not in template.text, template.text


def test_nouns_belong_to_one_kind_only():
    groups = [*KINDS, "she", "he", "job", "at-out", "in-out", "on-out", "at-in", "in-in"]
    for one, other in itertools.combinations(groups, 2):
        assert not set(WORDS[one]) & set(WORDS[other]), (one, other)
    for name, words in WORDS.items():
        assert len(words) == len(set(words)), name


def test_the_world_is_rich():
    assert len(WORDS["she"]) + len(WORDS["he"]) >= 200
    assert abs(len(WORDS["she"]) - len(WORDS["he"])) <= 20
    assert len(PREPOSITION) >= 60
    assert len(SPOTS) >= 60


@pytest.mark.parametrize(
    ("word", "expected"), [("acorn", "an acorn"), ("ukulele", "a ukulele"), ("honest", "an honest")]
)
def test_articles(word, expected):
    assert article(word) == expected


def test_choices_multiply():
    choices = Choices(0, 0)
    before = choices.nats
    for n in (2, 3, 7):
        choices.pick(range(n))
    assert before == 0
    assert choices.nats == pytest.approx(3.7376696, abs=1e-6)  # log 42
    with pytest.raises(ValueError, match="one of 0"):
        choices.pick([])


def test_choices_are_uniform_and_repeatable():
    draws = [Choices(5, i).pick("abc") for i in range(3000)]
    assert draws == [Choices(5, i).pick("abc") for i in range(3000)]
    for letter in "abc":
        assert abs(draws.count(letter) - 1000) < 130  # five standard deviations


def test_statements_and_worlds():
    with pytest.raises(ValueError, match="nonsense"):
        Statement.read("nonsense")
    world = World()
    world.set("at", "Mira", "market")
    same_place = Statement.read("at(a)=at(b)")
    names = {"a": "Mira", "b": "Omar"}
    assert world.complaint(same_place, names) == "at(Mira) is market, not known"
    world.set("at", "Omar", "market")
    assert world.complaint(same_place, names) is None
    assert world.complaint(Statement.read("at(a)!=at(b)"), names) == "at(Mira) is market already"
    other = world.copy()
    other.set("at", "Mira", "school")
    assert world.get("at", "Mira") == "market"


def test_a_template_reads_what_it_tells():
    template = Template("{a} gave {b.o} {x} {p.in}.")
    assert template.pattern.match("Mira gave Omar the kite at the market.").groups() == (
        "Mira",
        "Omar",
        "the kite",
        "at the market",
    )
    assert template.pattern.match("Mira gave Omar a kite at the market.") is None

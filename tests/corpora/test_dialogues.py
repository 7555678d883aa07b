"""Dialogues: nothing said in test is said in training, nothing unfit, nothing twice."""

import re
import sys

import pytest

from minillm.corpora import Dialogue, chatterbot_dialogues
from minillm.corpora.catalogue import corpus_texts
from minillm.corpora.dialogues import _groups, _read

LANGUAGES = ("en", "zh")


def everything(corpus):
    return [*corpus.train, *corpus.validation, *corpus.test]


def plain(turn):
    return re.sub(r"[\W_]+", " ", turn.lower()).strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_parts_share_no_turn(language):
    corpus = chatterbot_dialogues(language)
    parts = (corpus.train, corpus.validation, corpus.test)
    turns = [{plain(turn) for d in part for turn in d.turns} for part in parts]
    assert sum(map(len, turns)) == len(set.union(*turns))
    assert all(len(part) > 20 for part in parts)


@pytest.mark.parametrize(("language", "least"), [("en", 750), ("zh", 270)])
def test_dialogues_are_typed_and_distinct(language, least):
    found = everything(chatterbot_dialogues(language))
    assert least < len(found) == len({tuple(map(plain, d.turns)) for d in found})
    for dialogue in found:
        assert isinstance(dialogue, Dialogue)
        assert dialogue.topic
        assert len(dialogue.turns) >= 2
        assert dialogue.text.split("\n") == list(dialogue.turns)
        assert all(turn == " ".join(turn.split()) != "" for turn in dialogue.turns)
    assert any(len(d.turns) > 4 for d in found)


def test_the_split_is_fixed():
    corpus = chatterbot_dialogues("en")
    part = {
        d.turns[:2]: name for name in ("train", "validation", "test") for d in getattr(corpus, name)
    }
    assert part["electricity", "Electricity is food for robots."] == "train"
    assert part["Who is your father", "A human."] == "validation"
    assert part["What is a ratchet jaw", "A chatterbox."] == "test"


def test_what_a_textbook_must_not_say_is_left_out():
    english = {d.topic for d in everything(chatterbot_dialogues("en"))}
    assert english & {"psychology", "politics", "humor", "gossip", "coding"} == set()
    assert "tech support" in english
    text = "\n".join(d.text for d in everything(chatterbot_dialogues("en"))).lower()
    assert not re.search(r"\b(die|kill|stupid|suicide|testicles|bend over|illuminati)\b", text)
    chinese = "\n".join(d.text for d in everything(chatterbot_dialogues("zh")))
    assert not re.search("死|交配|蠢|驴", chinese)


def test_repeated_templates_stand_once():
    support = [d for d in everything(chatterbot_dialogues()) if d.topic == "tech support"]
    assert len(support) == 10
    assert "1,041 repeated dialogues" in chatterbot_dialogues().card.faults


def test_alternative_replies_are_dialogues_of_their_own(tmp_path):
    text = "conversations:\n- - Hi\n  - Hello\n  - Good  morning\n- not a list\n"
    for name, expected in (
        ("english-emotion.yml", [("Hi", "Hello"), ("Hi", "Good morning")]),
        ("english-small_talk.yml", [("Hi", "Hello", "Good morning")]),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        read = list(_read(tmp_path / name))
        assert [d.turns for d in read] == expected
    assert read[0].topic == "small talk"


def test_groups_are_linked_through_others():
    dialogues = [Dialogue("", turns) for turns in (("z", "b"), ("x", "y"), ("B!", "x"), ("p", "q"))]
    one, two, three, four = _groups(dialogues)
    assert one == two == three == "dialogues/b"
    assert four == "dialogues/p"


def test_as_running_text_a_blank_line_parts_them():
    first, second, *_ = chatterbot_dialogues("en").train
    text = corpus_texts("chatterbot-dialogues").train
    assert text.startswith(f"{first.text}\n\n{second.text}\n\n")


def test_an_unknown_language():
    with pytest.raises(ValueError, match=r"language 'fr' is not one of \['en', 'zh'\]"):
        chatterbot_dialogues("fr")


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    (tmp_path / "english-ai.yml").write_text("conversations: []", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r'needs PyYAML: pip install "minillm\[data\]"'):
        list(_read(tmp_path / "english-ai.yml"))

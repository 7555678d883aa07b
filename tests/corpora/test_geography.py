"""Facts about countries: answers stand in the passage, no country is in two parts."""

import re

import pytest

from minillm.corpora import Question, geo_facts, split_of

LANGUAGES = ("en", "zh")


def everything(corpus):
    return [*corpus.train, *corpus.validation, *corpus.test]


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_stand_in_the_passage_and_no_question_twice(language):
    found = everything(geo_facts(language))
    assert len({q.question for q in found}) == len(found) > 1200
    for question in found:
        assert isinstance(question, Question)
        assert question.answer.lower() in question.passage.lower()
        assert question.question.endswith(("?", "？"))
        assert not re.search(r"[{}]|None|  ", question.question + question.passage)
        assert question.text == f"{question.question} {question.answer}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_country_is_in_two_parts(language):
    corpus = geo_facts(language)
    parts = (corpus.train, corpus.validation, corpus.test)
    passages = [{q.passage for q in part} for part in parts]
    assert sum(map(len, passages)) == len(set.union(*passages)) > 240
    assert all(len(part) > 100 for part in parts)
    said = [" ".join(passage) for passage in passages]
    capital = r"capital of (.+?) is" if language == "en" else "。?([^。]+)的首都"
    named = [set(re.findall(capital, text)) for text in said]
    assert sum(map(len, named)) == len(set.union(*named)) > 120


def test_both_languages_are_split_alike():
    for part in ("train", "validation", "test"):
        domains = [
            {q.answer for q in getattr(geo_facts(language), part) if q.answer.startswith(".")}
            for language in LANGUAGES
        ]
        assert domains[0] == domains[1]
        for code in {domain[1:].upper() for domain in domains[0]} - {"UK", "GP", "GB"}:
            assert split_of(f"geo/{code}") == part


def test_the_split_is_fixed():
    assert [split_of(f"geo/{iso}") for iso in ("FR", "CN", "AT")] == ["train", "validation", "test"]


def test_known_answers():
    english = {q.question: q.answer for q in everything(geo_facts("en"))}
    assert english["What is the capital of France?"] == "Paris"
    assert english["Which country or territory has the capital Amsterdam?"] == "the Netherlands"
    assert english["What is the currency of the United States?"] == "US Dollar"
    assert english["What is the official language of Brazil?"] == "Portuguese"
    assert english["How many land neighbours does Germany have?"] == "9"
    assert english["On which continent is Kenya?"] == "Africa"
    chinese = {q.question: q.answer for q in everything(geo_facts("zh"))}
    assert chinese["法国的首都或首府是哪里？"] == "巴黎"
    assert chinese["中国的首都或首府是哪里？"] == "北京"
    assert chinese["日本使用什么货币？"] == "日元"


def test_what_has_no_certain_answer_is_not_asked():
    english = {q.question: q.answer for q in everything(geo_facts("en"))}
    assert "Which country or territory has the capital Kingston?" not in english, "there are two"
    assert "What is the capital of Jamaica?" in english
    assert "What is the capital of Singapore?" not in english, "the question says it"
    assert "What is the official language of Switzerland?" not in english, "there are four"
    for name in ("Israel", "Taiwan", "the Palestinian Territory", "Western Sahara"):
        assert f"What is the capital of {name}?" not in english
        assert f"On which continent is {name}?" in english
    assert "What is the currency of Namibia?" not in english, "the rand is legal tender too"
    chinese = {q.answer for q in everything(geo_facts("zh"))}
    assert "圣胡安" not in chinese, "San Juan of Puerto Rico is not the one whose name CLDR has"
    assert not any("Antilles" in question for question in english)


def test_neighbours_are_counted_and_not_named():
    for question in everything(geo_facts("en")):
        if "neighbours" in question.question:
            assert int(question.answer) > 0


def test_an_unknown_language():
    with pytest.raises(ValueError, match=r"language 'de' is not one of \['en', 'zh'\]"):
        geo_facts("de")


def test_the_card_attributes_the_data():
    for language in LANGUAGES:
        card = geo_facts(language).card
        assert "GeoNames" in card.origin
        assert "CC BY" in card.licence
        assert f"{len(geo_facts(language)):,} questions" in card.size

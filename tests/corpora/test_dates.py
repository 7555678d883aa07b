"""Dates: the same day on both sides, each day in one part, the weekday on both sides or neither."""

import re
from datetime import date, timedelta

import pytest

from minillm.corpora import Pair, dates, split_of

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
CHINESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日(?:星期([一二三四五六日]))?")


def everything(corpus):
    return [*corpus.train, *corpus.validation, *corpus.test]


def read_chinese(text):
    match = CHINESE.fullmatch(text)
    return date(*map(int, match.groups()[:3])), match[4]


def read_english(text):
    year, day = re.search(r"\b\d{4}\b", text), re.search(r"\b\d{1,2}\b", text)
    (month,) = [i for i, name in enumerate(MONTHS, 1) if re.search(rf"\b{name}", text)]
    weekday = re.search(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)", text)
    return date(int(year[0]), month, int(day[0])), weekday[0] if weekday else None


def test_both_sides_are_the_same_day_and_the_weekday_is_right():
    for pair in everything(dates(n=3000)):
        assert isinstance(pair, Pair)
        (there, named), (here, weekday) = read_chinese(pair.target), read_english(pair.source)
        assert there == here
        assert (named is None) == (weekday is None)
        if named:
            assert "一二三四五六日".index(named) == here.weekday()
            assert weekday == here.strftime("%a")


def test_every_way_of_writing_occurs_and_the_month_is_a_word():
    shapes = {
        re.sub(r"\d+", "1", re.sub(r"[A-Z][a-z]{3,}", "Long", re.sub(r"\bMay\b", "May.", p.source)))
        for p in everything(dates(n=3000))
    }
    assert {re.sub(r"[A-Z][a-z]{2}\b(?!g)", "Abc", shape) for shape in shapes} >= {
        "Long 1, 1", "Abc 1, 1", "1 Long 1", "1 Abc 1",
        "Long, Long 1, 1", "Abc, Abc 1, 1", "Long, 1 Long 1", "Abc 1 Abc 1",
    }  # fmt: skip
    assert not any(re.search(r"\d[/.-]\d", p.source) for p in everything(dates(n=3000)))


def test_each_day_is_in_one_part_and_occurs_once():
    corpus = dates(n=3000)
    for name in ("train", "validation", "test"):
        for pair in getattr(corpus, name):
            assert split_of(f"dates/{read_chinese(pair.target)[0]}") == name
    found = everything(corpus)
    assert len({p.source for p in found}) == len({read_chinese(p.target)[0] for p in found}) == 3000
    assert len(corpus.train) / 3000 == pytest.approx(0.8, abs=0.03)


def test_other_languages_are_split_alike_and_more_dates_keep_their_part():
    small, large = dates(n=500), dates(n=3000)
    for name in ("train", "validation", "test"):
        assert set(getattr(small, name)) < set(getattr(large, name))
        assert len(getattr(dates("de", n=500), name)) == len(getattr(small, name))
    assert small.train[0] == Pair("Saturday, 12 November 2033", "2033年11月12日星期六")


def test_other_locales():
    assert everything(dates("de", n=8))[0].target == "Samstag, 12. November 2033"
    finnish = everything(dates(source="fi", n=40))  # its weekday has another letter in CLDR
    assert {p.source[0].isalpha() for p in finnish} == {True, False}
    assert all(p.source[0].isalpha() == ("星期" in p.target) for p in finnish)
    pairs = everything(dates("fr", source="zh_Hant", n=200))
    assert any(re.fullmatch(r"lundi \d+ \w+ \d{4}", p.target) for p in pairs)
    assert all(("星期" in p.source) == (" " in p.target[:9] and "di" in p.target.split()[0])
               for p in pairs)  # fmt: skip


def test_the_days_are_those_of_two_centuries():
    days = {read_chinese(p.target)[0] for p in everything(dates(n=3000))}
    assert min(days) < date(1901, 1, 1)
    assert max(days) > date(2098, 12, 31)
    assert max(days) - min(days) < timedelta(days=73_049)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "zh-Hans"}, r"locale 'zh-Hans' is not one of CLDR's \d+, such as 'zh_Hans'"),
        ({"source": "klingon"}, r"locale 'klingon' is not one of CLDR's \d+, such as"),
        ({"target": "en"}, "source and target are both 'en'"),
        ({"n": 0}, "n=0, but there are 1 to 73049 dates"),
        ({"n": 73_050}, "n=73050, but there are 1 to 73049 dates"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        dates(**arguments)


def test_the_card_counts():
    card = str(dates(n=3000).card)
    assert "3,000 pairs" in card
    assert "en -> zh" in card
    assert "CLDR 47" in card

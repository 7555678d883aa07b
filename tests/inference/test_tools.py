"""Tools: arithmetic without eval, a calendar, a search, and calls that are checked."""

import datetime as dt
import json
import operator
import random
import time

import pytest

from minillm.inference.calculator import calculate
from minillm.inference.patterns import matches, one_of
from minillm.inference.toolbox import book_search, calculator, calendar, sum_pattern
from minillm.inference.tools import Call, Tool, call_pattern, parse_call, use

TODAY = dt.date(2026, 12, 1)
PASSAGES = ["a token is a piece of text", "a head attends to positions", "perplexity is exp(loss)"]


@pytest.fixture
def tools():
    return (calculator(), calendar(TODAY), book_search(PASSAGES))


def test_sums_are_those_of_python():
    rng = random.Random(0)
    signs = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    for _ in range(300):
        a, b, c = (rng.randint(-99, 99) for _ in range(3))
        one, other = rng.choice("+-*"), rng.choice("+-*")
        expected = signs[other](signs[one](a, b), c)
        assert calculate(f"(({a}) {one} ({b})) {other} ({c})") == str(expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 / 3", "0.3333333333"), ("-2 ** 2", "-4"), ("6 / 2", "3"), (" 2 ** 0.5 ", "1.414213562")],
)
def test_values_are_short(text, value):
    assert calculate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "9 ** 9 ** 9", "10 ** 10 ** 10", "2 ** 99999", "1 / 0", "0 ** -1", "1e999",
        "(-8) ** 0.5",
        "abs(1)", "__import__('os')", "(1).real", "True", "'a' * 9", "[1] * 9", "1 if 1 else 2",
        "1 << 9", "1 // 2", "x", "(" * 150, "-" * 190 + "1", "\x00", "\ud800", "1 +", "9" * 199,
        "lambda: 1", "1j", "1; 2", "10 ** 20 * 10 ** 20",
    ],
)  # fmt: skip
def test_what_is_no_small_sum_is_refused_at_once(text):
    started = time.perf_counter()
    try:
        value = calculate(text)
    except ValueError:
        value = None
    assert time.perf_counter() - started < 0.5
    assert value is None or text.startswith("-")


def test_long_text_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="200000 characters"):
        calculate("1" * 200_000)


def test_the_calendar_agrees_with_datetime(tools):
    rng = random.Random(1)
    for _ in range(100):
        one, other = (dt.date(2000, 1, 1) + dt.timedelta(rng.randrange(20000)) for _ in range(2))
        assert tools[1].run(f"{one}") == f"{one:%A}, {one.day} {one:%B} {one.year}"
        assert tools[1].run(f"{one} - {other}").split()[0] == str(abs((one - other).days))
        later = one + dt.timedelta(77)
        assert tools[1].run(f"{one} + 77") == tools[1].run(f"{later}")
        assert tools[1].run(f"{later} - 77") == tools[1].run(f"{one}")
    assert tools[1].run("2026-12-02 - today") == "1 day"


@pytest.mark.parametrize(
    "asked", ["2026-02-30", "2026-19-39", "today + 99999999", "0001-01-01 - 5"]
)
def test_days_that_are_none_come_back_as_a_text(tools, asked):
    assert use(tools, Call("calendar", asked)).startswith("error: ")


def test_the_search_finds_by_words(tools):
    assert tools[2].run("What is perplexity?") == PASSAGES[2]
    assert tools[2].run("xyz") == "nothing found"
    assert book_search(PASSAGES, longest=7).run("token") == "a token"


def test_the_pattern_and_the_check_agree(tools):
    pattern = call_pattern(tools)
    good = [
        Call("calculator", "12 * 7"), Call("calculator", "(15 + 27) * 3"), Call("none", ""),
        Call("calendar", "today"), Call("calendar", "2026-12-25 - today"),
        Call("search", "BLEU & more"),
    ]  # fmt: skip
    for call in good:
        assert matches(pattern, call.text)
        assert parse_call(tools, call.text) == call
    bad = [
        Call("none", "x"), Call("calculator", "12"), Call("calculator", "9 ** 9"),
        Call("search", ""),
        Call("calendar", "tomorrow"), Call("shell", "ls"), Call("search", "a" * 61),
        Call("search", 'a"b'), Call("search", "a\nb"), Call("search", "ä"),
    ]  # fmt: skip
    for call in bad:
        assert not matches(pattern, call.text)
        with pytest.raises(ValueError, match=r"."):
            parse_call(tools, call.text)


@pytest.mark.parametrize(
    "said",
    ["", "12 * 7", "[]", "null", "{", '{"tool": 1, "input": "x"}', '{"tool": "none"}',
     '{"tool": "none", "input": "", "more": 1}', "[" * 1500, '{"tool": "x" ' * 400, "\ud800"],
)  # fmt: skip
def test_what_is_no_call_is_refused(tools, said):
    with pytest.raises(ValueError, match=r"JSON|texts tool|too long"):
        parse_call(tools, said)


def test_inputs_made_of_a_request_are_inputs(tools):
    request = "From 2026-01-05 I pay 12.50 for 3 days, 'today'; what is a KV-cache — 漢字?"
    for tool, said, other in zip(
        tools,
        ("3 * 12.50", "2026-01-05 + 3", "a KV-cache"),
        ("3 * 13", "2026-01-06", "12 3"),
        strict=True,
    ):
        narrow = tool.pattern_for(request)
        assert matches(narrow, said)
        assert matches(tool.pattern, said)
        assert not matches(narrow, other)
    assert tools[0].pattern_for("no numbers") == tools[0].pattern
    assert tools[2].pattern_for("漢字") == one_of(["?"])
    assert tools[2].run("?") == "nothing found"
    assert matches(tools[1].pattern_for("漢字"), "today")


def test_sums_have_at_most_six_parts():
    ones = sum_pattern(one_of(["1"]))
    assert matches(ones, "1 + 1 + 1 + 1 + 1 + 1")
    assert not matches(ones, "1 + 1 + 1 + 1 + 1 + 1 + 1")


def test_a_tool_that_fails_does_not_stop_the_program():
    def fails(text):
        raise ValueError(f"no {text}")

    broken = Tool("broken", "fails", one_of(["x"]), fails)
    assert use([broken], Call("broken", "x")) == "error: no x"
    with pytest.raises(ValueError, match="no tool 'other'"):
        use([broken], Call("other", "x"))
    with pytest.raises(ValueError, match="same name"):
        call_pattern([broken, broken])


@pytest.mark.parametrize("name", ["none", "", "two words", 'a"', "ä"])
def test_names_of_tools_are_words(name):
    with pytest.raises(ValueError, match="must be a word"):
        Tool(name, "", one_of(["x"]), str)


def test_calls_are_json():
    assert json.loads(Call("search", "é").text) == {"tool": "search", "input": "é"}


def test_whatever_a_tool_raises_becomes_a_text():
    tool = Tool("coin", "flips", one_of(["one"]), {}.__getitem__)
    assert use([tool], Call("coin", "one")) == "error: KeyError('one')"


@pytest.mark.filterwarnings("error")
def test_an_odd_spelling_is_refused_without_a_warning(recwarn):
    with pytest.raises(ValueError, match="is no arithmetic"):
        calculate("1or 2")
    assert not recwarn.list


def test_digits_are_those_of_ascii_and_words_around_them_may_be_of_any_language(tools):
    counter, days, _ = tools
    assert matches(days.pattern_for("今天是2026-03-14吗"), "2026-03-14")
    assert not matches(days.pattern_for("２０２６-01-01"), "２０２６-01-01")
    assert not matches(days.pattern_for("in ５ days"), "today + ５")
    started = time.perf_counter()
    assert matches(counter.pattern_for("12 " * 60_000), "12 + 12")
    assert time.perf_counter() - started < 5

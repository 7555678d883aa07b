import itertools
import math
import random
from typing import Any

import pytest

from minillm.programs import pass_at_k, right_calls
from minillm.programs.run import Outcome
from minillm.programs.score import same


@pytest.mark.parametrize("n", range(1, 8))
def test_pass_at_k_is_the_share_of_all_choices(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            sets = list(itertools.combinations([1] * c + [0] * (n - c), k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, sets)) / len(sets))


def test_pass_at_k_is_unbiased_and_the_plug_in_is_not() -> None:
    n, k, p = 6, 5, 0.2
    weights = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean = sum(w * pass_at_k(n, c, k) for c, w in enumerate(weights))
    plug_in = sum(w * (1 - (1 - c / n) ** k) for c, w in enumerate(weights))
    assert mean == pytest.approx(1 - (1 - p) ** k)
    assert plug_in < mean - 0.05


def test_pass_at_k_of_many_samples_is_a_number() -> None:
    assert 0.9 < pass_at_k(100_000, 300, 1000) < 1


@pytest.mark.parametrize("wrong", [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)])
def test_pass_at_k_refuses_what_cannot_be(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="0 <= c <= n"):
        pass_at_k(*wrong)


@pytest.mark.parametrize(
    ("text", "value", "is_same"),
    [
        ("1", 1, True), ("0.30000000000000004", 0.3, True), ("[1, 2]", [1, 2], True),
        ("'a'", "a", True), ("{'a': 1}", {"a": 1}, True), ("(1, 2)", [1, 2], False),
        ("<object object>", 1, False), ("1 + 1", 2, False), ("'a", "a", False),
        ("nan", float("nan"), False), ("", None, False), ("[" * 10_000, [], False),
        ("1", True, False), ("True", 1, False), ("True", 1.0, False), ("[1]", [True], False),
        ("4.0", 4, True), ("-0.0", 0.0, True), ("{1, 2}", {2, 1}, True), ("set()", set(), True),
        ("[0.30000000000000004]", [0.3], True), ("{'a': (0.1, 1)}", {"a": (0.1 + 1e-12, 1)}, True),
        ("[0.3, 0.3]", [0.3], False), ("{'a': 1}", {"b": 1}, False), ("[0.31]", [0.3], False),
        ("1" + "0" * 400, 1.0, False), ("9" * 5000, 1, False), ("{[1]}", 1, False),
        ("{[]: 1}", 1, False), ("-" * 9000 + "1", 1, False), ("\ud800", 1, False),
    ],
)  # fmt: skip
def test_same(text: str, value: Any, is_same: bool) -> None:
    assert same(text, value) is is_same


def test_right_calls_wants_a_value_for_each_call() -> None:
    outcome = Outcome("ok", "", ("1", None), (None, ("E", "")), "", 0.0)
    assert right_calls(outcome, [1, 2]) == [True, False]
    with pytest.raises(ValueError, match="1 values, but 2 calls"):
        right_calls(outcome, [1])


def test_random_estimates_have_the_right_mean() -> None:
    chance = random.Random(0)
    draws = [sum(chance.random() < 0.1 for _ in range(20)) for _ in range(4000)]
    mean = sum(pass_at_k(20, c, 10) for c in draws) / len(draws)
    assert mean == pytest.approx(1 - 0.9**10, abs=0.02)

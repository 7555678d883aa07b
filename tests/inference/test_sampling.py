"""Sampling: what the filters keep, and what `sample` draws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.inference.sampling import (
    GREEDY,
    Sampling,
    apply_filters,
    filter_min_p,
    filter_top_k,
    filter_top_p,
    sample,
)

INF = math.inf


def kept(logits):
    return logits > -INF


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", INF),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 2.0),
        ("min_p", -0.1),
        ("min_p", 1.1),
    ],
)
def test_a_field_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"{field}={value}"):
        Sampling(**{field: value})


def test_top_k_keeps_exactly_k_on_ties():
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0], [5.0, 5.0, 5.0, 9.0, 5.0]])
    for k in range(1, 6):
        assert kept(filter_top_k(logits, k)).sum(-1).tolist() == [k, k]
    assert kept(filter_top_k(logits, 1))[1].tolist() == [False, False, False, True, False]


def test_top_k_beyond_the_vocabulary_keeps_everything_as_it_is():
    logits = torch.randn(2, 3, 7)
    assert torch.equal(filter_top_k(logits, 100), logits)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=12),
    st.floats(0.01, 0.99),
)
def test_top_p_keeps_the_least_set_that_reaches_p(counts, p):
    probabilities = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    mask = kept(filter_top_p(probabilities.float().log()[None], p))[0]
    mass, smallest = probabilities[mask].sum(), probabilities[mask].min()
    assert mass >= p - 1e-5  # it reaches p,
    assert mass - smallest < p + 1e-5  # no smaller set does,
    dropped = probabilities[~mask]
    assert dropped.numel() == 0 or smallest >= dropped.max() - 1e-9  # and it holds the largest


def test_top_p_of_an_exact_sum_does_not_take_one_more():
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    assert kept(filter_top_p(logits, 0.75)).tolist() == [True, True, False, False]
    assert kept(filter_top_p(logits, 0.76)).tolist() == [True, True, True, False]


def test_top_p_always_keeps_the_best_and_1_keeps_all():
    logits = torch.tensor([[0.0, 3.0, 1.0], [40.0, 0.0, -40.0]])
    assert kept(filter_top_p(logits, 1e-9)).sum(-1).tolist() == [1, 1]
    assert torch.equal(filter_top_p(logits, 1.0), logits)


def test_min_p_is_relative_to_the_best():
    probabilities = torch.tensor([[0.6, 0.3, 0.06, 0.04], [0.25, 0.25, 0.25, 0.25]])
    assert kept(filter_min_p(probabilities.log(), 0.2)).tolist() == [
        [True, True, False, False],
        [True] * 4,
    ]
    assert torch.equal(filter_min_p(probabilities.log(), 0.0), probabilities.log())


@pytest.mark.parametrize(
    ("filter_", "bad"),
    [(filter_top_k, 0), (filter_top_p, 0.0), (filter_top_p, 1.5), (filter_min_p, 2)],
)
def test_filters_refuse_what_sampling_refuses(filter_, bad):
    with pytest.raises(ValueError, match=str(bad)):
        filter_(torch.zeros(1, 3), bad)


def test_filters_work_on_any_leading_shape_and_do_not_change_their_input():
    logits = torch.randn(2, 3, 11)
    before = logits.clone()
    for out in (filter_top_k(logits, 4), filter_top_p(logits, 0.6), filter_min_p(logits, 0.3)):
        assert out.shape == logits.shape
        assert torch.equal(out[kept(out)], logits[kept(out)])
    assert torch.equal(logits, before)


def test_temperature_comes_before_the_filters():
    # At temperature 1 the two best hold 0.88 of the mass, at 4 only 0.60: top_p then keeps three.
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    cold = apply_filters(logits, Sampling(temperature=1.0, top_p=0.8))
    hot = apply_filters(logits, Sampling(temperature=4.0, top_p=0.8))
    assert (kept(cold).sum().item(), kept(hot).sum().item()) == (2, 3)


def test_filters_combine():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.06, 0.04]]).log()
    chosen = Sampling(top_k=4, top_p=0.9, min_p=0.6)
    assert kept(apply_filters(logits, chosen)).tolist() == [[True, True, False, False, False]]


def test_no_distribution_at_temperature_0():
    with pytest.raises(ValueError, match="temperature=0"):
        apply_filters(torch.zeros(1, 3), GREEDY)


def test_greedy_is_the_argmax_and_the_limit_of_cold_sampling():
    logits = torch.randn(64, 50)
    assert torch.equal(sample(logits, GREEDY), logits.argmax(-1, keepdim=True))
    assert torch.equal(sample(logits, Sampling(temperature=1e-4)), sample(logits, GREEDY))


def test_frequencies_follow_the_filtered_distribution():
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([[2.0, 1.0, 0.0, -3.0]]).expand(40_000, -1)
    sampling = Sampling(temperature=0.8, top_k=3)
    drawn = sample(logits, sampling, generator=generator).flatten().bincount(minlength=4) / 40_000
    expected = torch.tensor([2.0, 1.0, 0.0]).div(0.8).softmax(-1)
    torch.testing.assert_close(drawn[:3], expected, atol=0.01, rtol=0)
    assert drawn[3] == 0


def test_the_generator_alone_decides():
    logits = torch.randn(8, 30)
    draws = [
        sample(logits, Sampling(), generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("sampling", [GREEDY, Sampling()])
@pytest.mark.parametrize("bad", [[0.0, math.nan], [0.0, INF], [-INF, -INF]])
def test_logits_that_are_no_distribution_are_refused(sampling, bad):
    with pytest.raises(ValueError, match="row 1"):
        sample(torch.tensor([[0.0, 1.0], bad]), sampling)


def test_forbidden_tokens_are_never_drawn():
    logits = torch.tensor([[0.0, -INF, 0.0]]).expand(200, -1)
    assert 1 not in sample(logits, Sampling()).tolist()


def test_logits_need_two_dimensions():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        sample(torch.zeros(2, 3, 4))


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-38, 1e-5])
def test_the_coldest_temperatures_take_the_best_token(temperature):
    logits = torch.tensor([[0.0, 3e4, 2.9e4, -math.inf]]).repeat(50, 1)
    assert (sample(logits, Sampling(temperature=temperature)) == 1).all()


@pytest.mark.parametrize("temperature", [1e30, 1e38, 1e39, 1e308])
def test_the_hottest_temperatures_are_uniform_over_what_is_allowed(temperature):
    logits = torch.tensor([-1e4, 0.0, 1e4, -math.inf])
    p = apply_filters(logits, Sampling(temperature=temperature)).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]))


def test_the_filters_come_in_their_order():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    # Of the two tokens that top-k leaves, 0.625 reaches p = 0.6 alone; of all four, 0.5 does not.
    kept = apply_filters(logits, Sampling(top_k=2, top_p=0.6)) > -math.inf
    assert kept.tolist() == [True, False, False, False]
    # After top-p = 0.79 two are left, and the second has 0.3 / 0.5 of the first one's share.
    cool = apply_filters(logits, Sampling(temperature=0.5, top_p=0.79, min_p=0.5)) > -math.inf
    assert cool.tolist() == [True, False, False, False]
    warm = apply_filters(logits, Sampling(temperature=1.0, top_p=0.79, min_p=0.5)) > -math.inf
    assert warm.tolist() == [True, True, False, False]

"""Speculative decoding: the distribution is the target's, exactly; greedy texts are the same."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
import torch

from minillm.inference.generate import generate
from minillm.inference.sampling import Sampling, apply_filters
from minillm.inference.speculative import speculative_generate, verify
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM

V, GRID = 3, 8
CONFIG = ModelConfig(vocab_size=V, context_length=24, d_model=8, n_layers=2, n_heads=2)


def random_model(seed, config=CONFIG, size=1.0):
    torch.manual_seed(seed)
    model = CausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(size * torch.randn_like(p))
    return model.eval()


@pytest.fixture(scope="module")
def pair():
    return random_model(0), random_model(1)


def eighths(*numbers):
    assert sum(numbers) == GRID
    return torch.tensor(numbers) / GRID


# Distributions after every context of up to two tokens, in eighths; every ratio p / q is a multiple
# of 1/8 too, so that a grid of eight chances is exact.
Q = {
    (): eighths(4, 2, 2),
    (0,): eighths(4, 4, 0),
    (1,): eighths(1, 1, 6),
    (2,): eighths(2, 2, 4),
}
P = {
    (): eighths(1, 3, 4),
    (0,): eighths(2, 2, 4),
    (1,): eighths(1, 7, 0),
    (2,): eighths(2, 2, 4),
    **{
        pair: eighths(1 + pair[0], 5 - pair[0], 2) for pair in itertools.product(range(V), repeat=2)
    },
}


def outcomes(q, p):
    """Every text that two proposals and one pass can give, with its exact probability."""
    for proposed in itertools.product(range(V), repeat=2):
        drawn = q[()][proposed[0]] * q[proposed[:1]][proposed[1]]
        if drawn == 0:
            continue
        rows_q = torch.stack([q[()], q[proposed[:1]]])
        rows_p = torch.stack([p[()], p[proposed[:1]], p[proposed]])
        for chances in itertools.product(range(GRID), repeat=2):
            middle = (torch.tensor(chances) + 0.5) / GRID
            kept, rest = verify(torch.tensor(proposed), rows_q, rows_p, middle)
            for token in range(V):
                yield (*proposed[:kept], token), float(drawn / GRID**2 * rest[token])


def test_exact_enumeration_gives_the_targets_distribution():
    """Sum over all draws: the first token, and the second given the first, are those of p."""
    first, pairs = Counter(), Counter()
    for text, probability in outcomes(Q, P):
        first[text[0]] += probability
        if len(text) > 1:
            pairs[text[:2]] += probability
        else:  # the next pass draws the second token from p, by the same rule
            for token in range(V):
                pairs[text[0], token] += probability * float(P[text][token])
    for a in range(V):
        assert first[a] == pytest.approx(float(P[()][a]), abs=1e-6)
        for b in range(V):
            assert pairs[a, b] == pytest.approx(float(P[()][a] * P[(a,)][b]), abs=1e-6)


def test_share_of_accepted_first_proposals_is_one_minus_the_distance():
    p, q = P[()], Q[()]
    accepted = sum(probability for text, probability in outcomes(Q, P) if len(text) > 1)
    assert accepted == pytest.approx(float(torch.minimum(p, q).sum()), abs=1e-6)
    assert accepted == pytest.approx(1 - float((p - q).abs().sum()) / 2, abs=1e-6)


def test_a_draft_equal_to_the_target_is_always_believed():
    p = torch.rand(4, V).softmax(-1)
    kept, rest = verify(torch.tensor([0, 1, 2]), p[:3], p, torch.rand(3))
    assert kept == 3
    assert torch.equal(rest, p[3])


def test_no_proposals_leave_the_targets_own_distribution():
    p = torch.rand(1, V).softmax(-1)
    kept, rest = verify(torch.empty(0, dtype=torch.long), torch.empty(0, V), p, torch.empty(0))
    assert kept == 0
    assert torch.equal(rest, p[0])


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_greedy_texts_are_the_same(pair, k):
    target, draft = pair
    for start in range(V):
        prompt = torch.tensor([[start, 1]])
        for new in (1, 2, 9, 22):
            expected = generate(target, prompt, max_new_tokens=new)
            found = speculative_generate(target, draft, prompt, max_new_tokens=new, k=k)
            assert torch.equal(found.tokens, expected)


def test_greedy_texts_end_with_a_stop_token(pair):
    target, draft = pair
    for stop in range(V):
        prompt = torch.tensor([[0, 1, 2]])
        expected = generate(target, prompt, max_new_tokens=15, stop=[stop])
        found = speculative_generate(target, draft, prompt, max_new_tokens=15, k=4, stop=[stop])
        assert torch.equal(found.tokens, expected)


def test_a_good_draft_saves_calls(pair):
    target, _ = pair
    prompt = torch.tensor([[0]])
    same = speculative_generate(target, target, prompt, max_new_tokens=20, k=4)
    assert (same.calls, same.accepted, same.judged) == (4, 16, 16)
    drafted = speculative_generate(target, random_model(5), prompt, max_new_tokens=20, k=4)
    assert drafted.tokens.shape == (1, 21)
    assert drafted.accepted + drafted.calls == 20
    assert drafted.accepted <= drafted.judged


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.7, top_k=2)])
def test_frequencies_of_texts_follow_the_target(pair, sampling):
    target, draft = pair
    prompt, generator, n = torch.tensor([[1, 0]]), torch.Generator().manual_seed(0), 500
    seen = Counter()
    for _ in range(n):
        found = speculative_generate(
            target, draft, prompt, max_new_tokens=3, k=2, sampling=sampling, generator=generator
        )
        seen[tuple(found.tokens[0, 2:].tolist())] += 1
    chi_square, cells = 0.0, 0
    for text in itertools.product(range(V), repeat=3):
        whole = torch.cat((prompt, torch.tensor([text])), 1)
        rows = apply_filters(target(whole).detach()[0, 1:-1], sampling).softmax(-1)
        expected = n * float(rows[torch.arange(3), torch.tensor(text)].prod())
        if expected == 0:
            assert seen[text] == 0
            continue
        chi_square += (seen[text] - expected) ** 2 / expected
        cells += 1
    # mean cells - 1, standard deviation √(2 (cells - 1)): four of these are far in the tail
    assert chi_square < cells - 1 + 4 * (2 * (cells - 1)) ** 0.5


def test_modes_are_given_back(pair):
    target, draft = random_model(0), random_model(1)
    target.train()
    speculative_generate(target, draft, torch.tensor([[0]]), max_new_tokens=3)
    assert target.training
    assert not draft.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draft": random_model(1, replace(CONFIG, vocab_size=4))}, "3 tokens, the draft one of 4"),
        ({"tokens": torch.zeros(2, 3, dtype=torch.long)}, r"\(2, 3\)"),
        ({"tokens": torch.zeros(1, 0, dtype=torch.long)}, r"\(1, 0\)"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"k": 0}, "k=0"),
        ({"max_new_tokens": 30}, "31 positions exceeds context_length=24"),
        ({"draft": random_model(1, replace(CONFIG, context_length=5))}, "context_length=5"),
    ],
)
def test_bad_input(pair, change, message):
    given = {"target": pair[0], "draft": pair[1], "tokens": torch.tensor([[0]])}
    given |= {"max_new_tokens": 9}
    with pytest.raises(ValueError, match=message):
        speculative_generate(**{**given, **change})


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), 2), ((1, 3), (3, 3), 2), ((2, 3), (3, 3), 1)])
def test_shapes_that_do_not_fit_are_named(shapes):
    q, p, chances = (torch.rand(shape) for shape in shapes)
    with pytest.raises(ValueError, match="2 proposals"):
        verify(torch.tensor([0, 1]), q, p, chances)

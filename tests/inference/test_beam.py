"""Beam search finds what exhaustive search finds, and its bookkeeping is exact."""

import itertools

import pytest
import torch

from minillm.inference.beam import beam_search
from minillm.inference.generate import generate
from minillm.ngram import NGramLM
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM

V = 5


@pytest.fixture
def model():
    torch.manual_seed(3)
    config = ModelConfig(vocab_size=V, context_length=16, d_model=8, n_layers=1, n_heads=2)
    model = CausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    return model.eval()


def log_prob(model, prompt, tokens):
    text = torch.cat((prompt, torch.tensor([tokens])), 1)
    log_probs = model(text).log_softmax(-1)[0, prompt.shape[1] - 1 : -1]
    return log_probs.gather(1, torch.tensor(tokens)[:, None]).sum().item()


PROMPT = torch.tensor([[1, 2]])


def test_enough_beams_find_the_best_of_all_texts(model):
    everything = {
        tokens: log_prob(model, PROMPT, tokens) for tokens in itertools.product(range(V), repeat=3)
    }
    found = beam_search(model, PROMPT, max_new_tokens=3, n_beams=V**2)
    ranked = sorted(everything, key=everything.get, reverse=True)
    assert [tuple(h.tokens.tolist()) for h in found[:10]] == ranked[:10]
    for hypothesis in found:
        expected = everything[tuple(hypothesis.tokens.tolist())]
        assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)
        assert hypothesis.score == pytest.approx(expected / 3, abs=1e-4)


def test_with_stop_tokens_and_without_length_penalty(model):
    stop, n = 0, 3
    texts = {}
    for length in range(1, n + 1):
        for tokens in itertools.product(range(V), repeat=length):
            if stop in tokens[:-1] or (length < n and tokens[-1] != stop):
                continue
            texts[tokens] = log_prob(model, PROMPT, tokens)
    best = max(texts, key=texts.get)
    found = beam_search(
        model, PROMPT, max_new_tokens=n, n_beams=25, stop=[stop], length_penalty=0.0
    )
    assert tuple(found[0].tokens.tolist()) == best
    assert all(stop not in h.tokens[:-1].tolist() for h in found)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_one_beam_is_greedy(model):
    found = beam_search(model, PROMPT, max_new_tokens=8, n_beams=1)
    assert len(found) == 1
    assert torch.equal(found[0].tokens, generate(model, PROMPT, max_new_tokens=8)[0, 2:])


def test_hypotheses_differ(model):
    found = beam_search(model, PROMPT, max_new_tokens=4, n_beams=6)
    assert len({tuple(h.tokens.tolist()) for h in found}) == len(found) == 6


def test_every_token_a_stop_token(model):
    found = beam_search(model, PROMPT, max_new_tokens=4, n_beams=2, stop=range(V))
    assert [len(h.tokens) for h in found] == [1, 1]


@pytest.mark.parametrize(
    ("tokens", "new", "beams", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.long), 2, 2, r"\(2, 3\)"),
        (torch.zeros(1, 0, dtype=torch.long), 2, 2, r"\(1, 0\)"),
        (PROMPT, 0, 2, "max_new_tokens=0"),
        (PROMPT, 2, 0, "n_beams=0"),
        (PROMPT, 15, 2, "17 positions exceeds context_length=16"),
    ],
)
def test_bad_input(model, tokens, new, beams, message):
    with pytest.raises(ValueError, match=message):
        beam_search(model, tokens, max_new_tokens=new, n_beams=beams)


def test_the_search_ends_when_nothing_can_overtake():
    calls = []

    class Certain:
        """Says 2, the end, with probability 1 - 1e-9, at every place."""

        def __call__(self, tokens, **_state):
            calls.append(tokens.shape)
            logits = torch.zeros(*tokens.shape, 3)
            logits[..., 2] = 25.0
            return logits

        def new_state(self, batch, length):
            return NGramLM(3, 1).new_state(batch, length)

    found = beam_search(Certain(), torch.tensor([[0]]), max_new_tokens=50, n_beams=1, stop=[2])
    assert found[0].tokens.tolist() == [2]
    assert len(calls) < 3

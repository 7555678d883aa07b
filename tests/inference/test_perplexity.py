"""Perplexity scores every token once; evaluation mode comes and goes without a trace."""

import math

import pytest
import torch
from torch import nn

from minillm.inference.perplexity import perplexity
from minillm.ngram import NGramLM
from minillm.nn.config import ModelConfig
from minillm.nn.eval_mode import eval_mode
from minillm.nn.models import CausalLM

V = 13


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=V, context_length=12, d_model=16, n_layers=1, n_heads=2, dropout=0.4
    )
    model = CausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


class Uniform:
    def __call__(self, tokens):
        return torch.zeros(*tokens.shape, V)


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (4, 4), (4, 1), (7, 3), (100, 50)])
def test_the_uniform_model_wavers_between_all_tokens(length, stride):
    tokens = torch.randint(V, (31,))
    assert perplexity(Uniform(), tokens, length=length, stride=stride) == pytest.approx(V)


@pytest.mark.parametrize(("length", "stride"), [(12, 12), (12, 5), (12, 1), (6, 4), (30, 7)])
@pytest.mark.parametrize("n", [2, 12, 13, 14, 40])
def test_each_token_is_scored_once_with_the_context_that_its_window_has(model, n, length, stride):
    if length > 12 and n > 12:
        length = 12
        stride = min(stride, length)
    tokens = torch.randint(V, (n,))
    total, ends = 0.0, [min(length, n - 1)]
    while ends[-1] < n - 1:
        ends.append(min(ends[-1] + stride, n - 1))
    model.eval()
    for target in range(1, n):
        end = next(e for e in ends if e >= target)  # the first window that reaches the token
        context = tokens[None, max(0, end - length) : target]
        total -= model(context)[0, -1].log_softmax(-1)[tokens[target]].item()
    expected = math.exp(total / (n - 1))
    assert perplexity(model, tokens, length=length, stride=stride) == pytest.approx(
        expected, rel=1e-5
    )


def test_dropout_is_off_and_the_mode_restored(model):
    tokens = torch.randint(V, (40,))
    model.eval()
    expected = perplexity(model, tokens, length=12, stride=6)
    model.train()
    assert perplexity(model, tokens, length=12, stride=6) == expected
    assert model.training


def test_eval_mode_gives_each_module_its_own_mode_back_even_after_an_error():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    model[0].eval()

    def fail():
        with eval_mode(model):
            assert not any(module.training for module in model.modules())
            raise KeyError("a bug in the block")

    with pytest.raises(KeyError, match="a bug"):
        fail()
    assert [module.training for module in model.modules()] == [True, False, True]
    with eval_mode("no module"):
        pass


@pytest.mark.parametrize(
    ("tokens", "length", "stride", "message"),
    [
        (torch.tensor([1]), 4, 2, r"\(1,\)"),
        (torch.zeros(2, 5), 4, 2, r"\(2, 5\)"),
        (torch.arange(9), 4, 5, "stride=5 must be >= 1 and <= length=4"),
        (torch.arange(9), 4, 0, "stride=0"),
    ],
)
def test_bad_input(tokens, length, stride, message):
    with pytest.raises(ValueError, match=message):
        perplexity(Uniform(), tokens, length=length, stride=stride)


def test_a_hopeless_model_has_infinite_perplexity():
    class Certain:
        def __call__(self, tokens, **_state):
            logits = torch.zeros(*tokens.shape, 3)
            logits[..., 0] = 2000.0
            return logits

        def new_state(self, batch, length): ...

    assert perplexity(Certain(), torch.tensor([1, 2, 1, 2]), length=3, stride=3) == math.inf
    counts = NGramLM(3, 1, smoothing="mle").fit([0, 0])
    assert counts.perplexity([1, 2]) == math.inf

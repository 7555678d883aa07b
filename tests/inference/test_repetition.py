"""Rules against repetition: equal to `transformers`, row by row, and obeyed by `generate`."""

import pytest
import torch
import transformers as hf

from minillm.inference.beam import beam_search
from minillm.inference.generate import generate, left_pad
from minillm.inference.repetition import Restrained, forbid_repeated_ngrams, penalise_repeats
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM

V = 7


@pytest.fixture
def text_and_logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(V, (5, 12), generator=generator), torch.randn(5, V, generator=generator)


@pytest.mark.parametrize("penalty", [0.8, 1.0, 1.2, 2.5])
def test_penalty_is_that_of_transformers(text_and_logits, penalty):
    tokens, logits = text_and_logits
    theirs = hf.RepetitionPenaltyLogitsProcessor(penalty)(tokens, logits.clone())
    assert torch.equal(penalise_repeats(logits, tokens, penalty), theirs)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 13])
def test_forbidden_ngrams_are_those_of_transformers(text_and_logits, n):
    tokens, logits = text_and_logits
    theirs = hf.NoRepeatNGramLogitsProcessor(n)(tokens, logits.clone())
    assert torch.equal(forbid_repeated_ngrams(logits, tokens, n), theirs)


def test_the_penalty_depends_on_where_zero_is_and_softmax_does_not():
    logits, tokens = torch.tensor([[1.0, 0.0]]), torch.tensor([[0]])
    apart = [
        penalise_repeats(logits + shift, tokens, 2.0).softmax(-1)[0, 0].item()
        for shift in (0.0, 10.0)
    ]
    assert apart[0] > 0.6
    assert apart[1] < 0.02


@pytest.fixture
def model():
    torch.manual_seed(1)
    config = ModelConfig(vocab_size=V, context_length=32, d_model=8, n_layers=1, n_heads=2)
    return CausalLM(config).eval()


def test_no_ngram_comes_twice(model):
    prompt = torch.tensor([[1, 2, 1], [3, 3, 3]])
    ruled = Restrained(model, lambda logits, text: forbid_repeated_ngrams(logits, text, 3))
    for row in generate(ruled, prompt, max_new_tokens=25).tolist():
        grams = list(zip(row, row[1:], row[2:], strict=False))
        assert len(set(grams)) == len(grams)
    free = generate(model, prompt, max_new_tokens=25)[0].tolist()
    assert len({*zip(free, free[1:], free[2:], strict=False)}) < 20


def test_a_rule_that_changes_nothing_changes_nothing(model):
    prompt = torch.tensor([[1, 2, 1], [3, 3, 3]])
    ruled = Restrained(model, lambda logits, _text: logits)
    assert torch.equal(
        generate(ruled, prompt, max_new_tokens=40), generate(model, prompt, max_new_tokens=40)
    )
    found = beam_search(ruled, prompt[:1], max_new_tokens=9, n_beams=3)
    expected = beam_search(model, prompt[:1], max_new_tokens=9, n_beams=3)
    assert [h.tokens.tolist() for h in found] == [h.tokens.tolist() for h in expected]


def test_beams_carry_their_own_texts(model):
    ruled = Restrained(model, lambda logits, text: forbid_repeated_ngrams(logits, text, 1))
    for found in beam_search(ruled, torch.tensor([[1]]), max_new_tokens=5, n_beams=4):
        assert len({1, *found.tokens.tolist()}) == 6


def test_padding_is_refused(model):
    tokens, mask = left_pad([[1, 2, 3], [4]])
    ruled = Restrained(model, lambda logits, _text: logits)
    with pytest.raises(ValueError, match="2 tokens of padding"):
        generate(ruled, tokens, mask=mask, max_new_tokens=2)
    everything = torch.ones_like(mask)
    assert torch.equal(
        generate(ruled, tokens, mask=everything, max_new_tokens=2),
        generate(model, tokens, max_new_tokens=2),
    )


@pytest.mark.parametrize("rule", [penalise_repeats, forbid_repeated_ngrams])
def test_bad_input(rule):
    logits, tokens = torch.zeros(2, V), torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"=0 must be"):
        rule(logits, tokens, 0)
    with pytest.raises(ValueError, match=r"\(2, 7\), \(3, 3\)"):
        rule(logits, torch.zeros(3, 3, dtype=torch.long), 2)

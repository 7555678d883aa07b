from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, MaskedLM, Seq2Seq, SequenceClassifier, Transformer
from tests.conftest import BERT, GPT2, LLAMA, VASWANI, randomise


def embedding_gradient(model, tokens, position):
    """|d logits[position] / d embedding[t]| for every t."""
    kept = {}

    def keep(_module, _args, output):
        output.retain_grad()
        kept["x"] = output

    handle = model.transformer.embedding.register_forward_hook(keep)
    model(tokens)[0, position].square().sum().backward()
    handle.remove()
    return kept["x"].grad[0].abs().sum(-1)


def test_nothing_leaks_from_the_future(causal_config):
    gradient = embedding_gradient(randomise(CausalLM(causal_config)), torch.randint(97, (1, 10)), 4)
    assert (gradient[:5] > 0).all()
    assert (gradient[5:] == 0).all()


def test_an_encoder_looks_both_ways():
    gradient = embedding_gradient(randomise(MaskedLM(BERT)), torch.randint(97, (1, 10)), 4)
    assert (gradient > 0).all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "config", [GPT2, LLAMA, BERT, VASWANI], ids=["gpt2", "llama", "bert", "enc"]
)
def test_padding_changes_nothing(config, side):
    model = randomise(Transformer(replace(config, cross_attention=False)))
    text = torch.randint(97, (1, 7))
    pad = torch.full((1, 4), 3)
    real, blank = torch.ones(1, 7, dtype=torch.bool), torch.zeros(1, 4, dtype=torch.bool)
    if side == "left":
        tokens, mask, kept = torch.cat((pad, text), 1), torch.cat((blank, real), 1), slice(4, None)
    else:
        tokens, mask, kept = torch.cat((text, pad), 1), torch.cat((real, blank), 1), slice(0, 7)
    torch.testing.assert_close(model(tokens, mask=mask)[:, kept], model(text), atol=1e-5, rtol=1e-4)


def test_without_positions_an_encoder_is_blind_to_order():
    model = randomise(Transformer(replace(BERT, position="none")))
    tokens, order = torch.randint(97, (1, 8)), torch.randperm(8)
    torch.testing.assert_close(
        model(tokens[:, order]), model(tokens)[:, order], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rope"])
def test_positions_tell_order(position):
    model = randomise(Transformer(replace(BERT, position=position)))
    tokens, order = torch.arange(8)[None], torch.arange(7, -1, -1)
    assert (model(tokens[:, order]) - model(tokens)[:, order]).abs().max() > 1e-3


def test_rows_of_a_batch_do_not_meet(causal_config):
    model, tokens = randomise(CausalLM(causal_config)), torch.randint(97, (4, 9))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(tokens[order]), model(tokens)[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("tokens", "kwargs", "message"),
    [
        (torch.zeros(1, 65, dtype=torch.long), {}, "65 positions exceed context_length=64"),
        (torch.zeros(5, dtype=torch.long), {}, r"tokens must be \(B, T\), got a shape of \(5,\)"),
        (torch.tensor([[5, 97]]), {}, "token ids 5 … 97 do not all lie in a vocabulary of 97"),
        (torch.tensor([[-1, 2]]), {}, "token ids -1 … 2 do not all lie in a vocabulary of 97"),
        (
            torch.zeros(1, 4, dtype=torch.long),
            {"mask": torch.ones(1, 5, dtype=torch.bool)},
            r"mask has shape \(1, 5\), tokens read so far \(1, 4\)",
        ),
    ],
)
def test_bad_input_is_named(tokens, kwargs, message):
    with pytest.raises(ValueError, match=message):
        CausalLM(GPT2)(tokens, **kwargs)


def test_a_memory_mask_of_ones_and_zeros_is_one_of_true_and_false():
    model = randomise(Seq2Seq(VASWANI))
    source, target = torch.randint(97, (2, 6)), torch.randint(97, (2, 4))
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1] * 6])
    expected = model(source, target, source_mask=mask.bool())
    torch.testing.assert_close(model(source, target, source_mask=mask), expected)


def test_classifier_ignores_padding():
    model = randomise(SequenceClassifier(replace(BERT, n_segments=0), 3))
    text = torch.randint(97, (1, 6))
    padded = torch.cat((text, torch.full((1, 5), 2)), dim=1)
    mask = torch.arange(11)[None] < 6
    torch.testing.assert_close(model(padded, mask=mask), model(text), atol=1e-5, rtol=1e-4)


def test_compiles_without_a_graph_break(causal_config):
    model = randomise(CausalLM(causal_config))
    tokens = torch.randint(97, (2, 6))
    exported = torch.export.export(model, (tokens,), strict=True).module()
    torch.testing.assert_close(exported(tokens), model(tokens), atol=1e-5, rtol=1e-4)

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from minillm import (
    BERT_BASE,
    GPT2_SMALL,
    SMOLLM2_135M,
    CausalLM,
    MaskedLM,
    Seq2Seq,
    capture,
    count_parameters,
    init_weights,
    kv_bytes_per_token,
    training_flops,
)
from tests.conftest import BERT, GPT2, VASWANI


@pytest.mark.parametrize(
    ("model", "config", "parameters"),
    [
        (CausalLM, GPT2_SMALL, 124_439_808),
        (CausalLM, SMOLLM2_135M, 134_515_008),
        (MaskedLM, BERT_BASE, 109_514_298),
    ],
)
def test_parameter_counts_of_the_published_models(model, config, parameters):
    with torch.device("meta"):
        assert count_parameters(model(config)) == parameters


def test_first_loss_is_the_uniform_guess(causal_config):
    model = CausalLM(replace(causal_config, vocab_size=1000))
    tokens = torch.randint(1000, (8, 33))
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert abs(loss.item() / math.log(1000) - 1) < 0.02


def test_init_by_table(causal_config):
    model = CausalLM(replace(causal_config, n_layers=8, d_model=96))
    block = model.transformer.blocks[3]
    assert block.attention.q_proj.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert block.attention.o_proj.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)
    assert block.ffn.down_proj.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)
    assert model.transformer.embedding.token.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            assert not p.any(), name
        elif "norm" in name:
            assert (p == 1).all(), name
    init_weights(model, into_stream=0.0)
    assert block.attention.q_proj.weight.any()
    assert not block.attention.o_proj.weight.any()
    assert not block.ffn.down_proj.weight.any()


def test_init_leaves_sinusoids_alone():
    model = Seq2Seq(VASWANI)
    before = model.encoder.embedding.position.weight.clone()
    init_weights(model)
    torch.testing.assert_close(model.encoder.embedding.position.weight, before)


@pytest.mark.parametrize("tied", [True, False])
def test_tying(tied):
    model = CausalLM(replace(GPT2, tie_embeddings=tied))
    assert (model.lm_head.weight is model.transformer.embedding.token.weight) == tied


def test_a_masked_model_refuses_a_causal_config():
    with pytest.raises(ValueError, match="causal=True"):
        MaskedLM(replace(BERT, causal=True))


def test_training_flops_against_the_profiler(causal_config):
    model = CausalLM(causal_config)
    tokens = torch.randint(97, (2, causal_config.context_length))
    # PyTorch's profiler does not know the fused kernel on the CPU: count the written-out one.
    with FlopCounterMode(display=False) as counter, capture(model, grad=True):
        model(tokens).sum().backward()
    assert counter.get_total_flops() == training_flops(causal_config, tokens.numel())


def test_kv_bytes_equal_what_is_allocated(causal_config):
    state = CausalLM(causal_config).new_state(1, 10)
    assert state.nbytes == 10 * kv_bytes_per_token(causal_config)


@pytest.mark.parametrize("change", [{"causal": False}, {"cross_attention": True}])
def test_a_causal_model_refuses_a_config_that_is_none(change):
    with pytest.raises(ValueError, match="looks back and has no encoder"):
        CausalLM(replace(GPT2, **change))
    with pytest.raises(ValueError, match="looks both ways and has no encoder"):
        MaskedLM(replace(BERT, causal=False, cross_attention=True))

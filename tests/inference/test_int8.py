"""Weights in bytes: the error bound, both ways of multiplying, and what stays as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm import SMOLLM2_135M, CausalLM, Int8Linear, ModelConfig, generate, int8_weights, load
from minillm.corpora import bible
from tests.conftest import LLAMA


def random_layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(64, 48, bias=bias)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return layer


def test_no_weight_is_off_by_more_than_half_a_step():
    layer = random_layer()
    small = Int8Linear(layer)
    step = layer.weight.abs().amax(1, keepdim=True) / 127
    error = (small.dequantise() - layer.weight).abs()
    # half a step of rounding, and the scale's own rounding to bfloat16 (1/512 of the weight)
    assert (error <= 0.5 * 1.01 * step + layer.weight.abs() / 256).all()
    assert error.max() > 0.3 * step.min()  # it is really quantised
    assert (small.weight.abs().amax(1) >= 126).all()  # and uses the whole range


@pytest.mark.parametrize("rows", [1, 16, 17, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_both_ways_multiply_by_the_stored_matrix(rows, dtype, bias):
    layer = random_layer(bias)
    small, x = Int8Linear(layer), torch.randn(rows, 1, 64).to(dtype)
    expected = F.linear(x.float(), small.dequantise(), layer.bias)
    y = small(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.05)


def test_a_row_of_zeros_stays_zero():
    layer = random_layer(bias=False)
    with torch.no_grad():
        layer.weight[3] = 0
    assert Int8Linear(layer)(torch.randn(2, 64))[:, 3].tolist() == [0, 0]


def test_weights_that_are_not_finite_are_named():
    model = CausalLM(LLAMA)
    with torch.no_grad():
        model.transformer.blocks[1].ffn.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"transformer\.blocks\.1\.ffn\.up_proj: 1 weights"):
        int8_weights(model)
    with pytest.raises(ValueError, match="Tanh has 0 linear layers"):
        int8_weights(nn.Tanh())


def test_the_embedding_stays_and_the_head_becomes_its_own():
    model = CausalLM(LLAMA)
    table = model.transformer.embedding.token.weight.clone()
    int8_weights(model)
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    torch.testing.assert_close(model.transformer.embedding.token.weight, table)
    assert (model.lm_head.dequantise() - table).abs().max() < table.abs().max() / 120
    assert not model.training


def test_reading_in_chunks_equals_reading_at_once():
    model = int8_weights(CausalLM(LLAMA).bfloat16())
    tokens = torch.randint(97, (2, 20))
    whole = model(tokens)
    state = model.new_state(2, 20)
    parts = torch.cat([model(t, state=state) for t in tokens.split((9, 1, 1, 9), dim=1)], dim=1)
    torch.testing.assert_close(parts.float(), whole.float(), rtol=0.05, atol=0.05)
    assert state[0].k.dtype == torch.bfloat16
    assert generate(model, tokens, max_new_tokens=3).shape == (2, 23)


@pytest.mark.slow
@torch.no_grad()
def test_the_loss_of_smollm2_is_at_most_one_percent_worse():
    smollm = load("smollm2-135m-instruct", dtype=torch.bfloat16)
    assert smollm.config == SMOLLM2_135M
    text = " ".join(verse.text for verse in bible("kjv").test[:20])
    tokens = torch.tensor([smollm.tokenizer.encode(text)])

    def loss() -> float:
        return F.cross_entropy(smollm.model(tokens)[0, :-1].float(), tokens[0, 1:]).item()

    before, bytes_before = loss(), memory(smollm.model)
    int8_weights(smollm.model)
    assert loss() < 1.01 * before
    assert memory(smollm.model) < 0.75 * bytes_before  # the table stays in 16 bits


def memory(model: nn.Module) -> int:
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("width", [1, 7, 8, 33, 50, 64, 100, 160])
@pytest.mark.parametrize("rows", [1, 2, 16, 17])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_any_width_is_multiplied_exactly(width, rows, dtype):
    torch.manual_seed(0)
    small = Int8Linear(nn.Linear(width, 9))
    x = torch.randn(rows, width).to(dtype)
    expected = F.linear(x.double(), small.dequantise().double(), small.bias.double())
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    assert small(x).dtype == dtype
    torch.testing.assert_close(small(x).double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("d_model", "heads"), [(50, 2), (100, 4), (96, 6)])
def test_a_model_of_any_width_stays_close(d_model, heads):
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "context_length": 32, "d_model": d_model, "n_layers": 2}
    model = CausalLM(ModelConfig(**sizes, n_heads=heads)).eval()
    tokens = torch.tensor([[1, 2, 3]])
    before = model(tokens)
    assert (int8_weights(model)(tokens) - before).abs().max() < 0.02


def test_a_model_that_is_one_layer_is_replaced():
    assert isinstance(int8_weights(nn.Linear(4, 4)), Int8Linear)
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight[:, :1], float("nan"))
    with pytest.raises(ValueError, match="Linear: 1 weights"):
        int8_weights(layer)

"""Weights in four bits: the error bound, the product, and what a real model loses by them."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm import CausalLM, Int4Linear, Int8Linear, generate, int4_weights, load
from minillm.corpora import bible
from minillm.inference.int4 import GROUP, quantise_groups
from tests.conftest import LLAMA

SMALL = replace(LLAMA, d_model=64, n_heads=4, d_ff=96)  # widths of whole groups


def random_layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(96, 48, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(48, 96) * 0.3 + torch.arange(48)[:, None] * 0.01)
    return layer


def test_no_weight_is_off_by_more_than_half_a_step():
    layer = random_layer()
    groups = layer.weight.detach().view(48, 3, GROUP)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    step = (high - low) / 15
    error = (Int4Linear(layer).dequantise().view_as(groups) - groups).abs()
    # half a step; scale, zero and product are each rounded to bfloat16, 1/256 of their size at most
    assert (error <= 0.5 * step + (15 * step + 3 * groups.abs()) / 256).all()
    assert error.max() > 0.4 * step.min()  # it is really quantised


def test_a_matrix_that_is_stored_in_four_bits_already_is_kept():
    """What Q4_1 holds, sixteen levels from the least to the greatest of 32, comes out again."""
    torch.manual_seed(0)
    codes = torch.randint(16, (48, 3, GROUP))
    codes[..., 0], codes[..., 1] = 0, 15
    matrix = (codes * 0.125 - 1.0).view(48, 96)  # both numbers are exact in bfloat16
    layer = nn.Linear(96, 48, bias=False)
    layer.weight.data = matrix
    found, scale_zero = quantise_groups(matrix)
    assert torch.equal(found, codes.view(48, 96).int())
    assert scale_zero.shape == (3, 48, 2)
    assert torch.equal(Int4Linear(layer).dequantise(), matrix)


@pytest.mark.parametrize("rows", [1, 5, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_it_multiplies_by_the_stored_matrix(rows, dtype, bias):
    layer = random_layer(bias)
    small, x = Int4Linear(layer), torch.randn(rows, 1, 96).to(dtype)
    y = small(x)
    assert y.shape == (rows, 1, 48)
    assert y.dtype == dtype
    expected = F.linear(x.float(), small.dequantise(), layer.bias)
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.05)


def test_a_group_of_equal_weights_is_kept():
    layer = random_layer(bias=False)
    with torch.no_grad():
        layer.weight[3, :GROUP], layer.weight[4, GROUP : 2 * GROUP] = 0, 0.5
    stored = Int4Linear(layer).dequantise()
    assert stored[3, :GROUP].tolist() == [0.0] * GROUP
    assert stored[4, GROUP : 2 * GROUP].tolist() == [0.5] * GROUP


def test_what_cannot_be_stored_is_named_and_changes_nothing():
    model = CausalLM(SMALL)
    with torch.no_grad():
        model.transformer.blocks[1].ffn.up_proj.weight[0, 0] = float("inf")
    with pytest.raises(ValueError, match=r"transformer\.blocks\.1\.ffn\.up_proj: 1 weights"):
        int4_weights(model)
    assert not any(isinstance(module, Int4Linear) for module in model.modules())
    with pytest.raises(ValueError, match="40 columns and 48 rows are not multiples of 32 and 16"):
        Int4Linear(nn.Linear(40, 48))
    with pytest.raises(ValueError, match="32 columns and 8 rows are not multiples of 32 and 16"):
        Int4Linear(nn.Linear(32, 8))
    with pytest.raises(ValueError, match="Tanh has 0 linear layers"):
        int4_weights(nn.Tanh())
    with pytest.raises(ValueError, match="laid out for the cpu, but x is on meta"):
        Int4Linear(random_layer())(torch.empty(1, 96, device="meta"))
    moved = Int4Linear(random_layer()).to("meta")
    for use in (moved.dequantise, lambda: moved(torch.empty(1, 96))):
        with pytest.raises(ValueError, match="laid out for the cpu, but the layer is on meta"):
            use()
    with pytest.raises(ValueError, match=r"up_proj: four-bit .* the layer is on meta"):
        int4_weights(nn.ModuleDict({"up_proj": nn.Linear(32, 16, device="meta")}))


def test_reading_in_chunks_equals_reading_at_once():
    model = int4_weights(CausalLM(SMALL).bfloat16())
    assert isinstance(model.lm_head, Int8Linear)
    assert not model.training
    tokens = torch.randint(97, (2, 20))
    whole = model(tokens)
    state = model.new_state(2, 20)
    parts = torch.cat([model(t, state=state) for t in tokens.split((9, 1, 1, 9), dim=1)], dim=1)
    torch.testing.assert_close(parts.float(), whole.float(), rtol=0.05, atol=0.05)
    assert generate(model, tokens, max_new_tokens=3).shape == (2, 23)


@pytest.mark.slow
@torch.no_grad()
def test_the_loss_of_smollm2_is_at_most_one_percent_worse():
    """Its GGUF file holds four bits a weight, so hardly anything is lost."""
    smollm = load("smollm2-135m-instruct", dtype=torch.bfloat16)
    text = " ".join(verse.text for verse in bible("kjv").test[:20])
    tokens = torch.tensor([smollm.tokenizer.encode(text)])

    def loss() -> float:
        return F.cross_entropy(smollm.model(tokens)[0, :-1].float(), tokens[0, 1:]).item()

    before = loss()
    int4_weights(smollm.model)
    assert abs(loss() / before - 1) < 0.01

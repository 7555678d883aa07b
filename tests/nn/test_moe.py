from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn
from transformers.models.mixtral.modeling_mixtral import (
    MixtralSparseMoeBlock,
    load_balancing_loss_func,
)

from minillm.nn.models import CausalLM
from minillm.nn.moe import MixtureOfExperts
from tests.conftest import LLAMA, randomise


def mixture(n_experts=4, top_k=2, **changes):
    torch.manual_seed(0)
    layer = MixtureOfExperts(replace(LLAMA, **changes), n_experts=n_experts, top_k=top_k)
    return randomise(layer)


def by_hand(layer, x):
    """Every expert on every token, the weights of the unchosen set to 0."""
    p = (x @ layer.router.weight.T).softmax(-1)
    least = p.sort(-1, descending=True).values[..., layer.top_k - 1, None]
    weights = torch.where(p >= least, p, torch.zeros(()))
    if layer.top_k > 1:
        weights = weights / weights.sum(-1, keepdim=True)
    return torch.stack([weights[..., e, None] * f(x) for e, f in enumerate(layer.experts)]).sum(0)


@pytest.mark.parametrize("top_k", [1, 2, 3, 4])
@pytest.mark.parametrize("ffn", ["swiglu", "relu"])
def test_is_the_weighted_sum_of_the_chosen(top_k, ffn):
    layer, x = mixture(top_k=top_k, ffn=ffn), torch.randn(2, 5, LLAMA.d_model)
    torch.testing.assert_close(layer(x), by_hand(layer, x))


def test_with_all_experts_it_is_the_dense_weighted_sum():
    layer, x = mixture(top_k=4), torch.randn(2, 5, LLAMA.d_model)
    p = layer.router(x).softmax(-1)
    dense = sum(p[..., e, None] * expert(x) for e, expert in enumerate(layer.experts))
    torch.testing.assert_close(layer(x), dense)


def test_one_expert_is_a_feed_forward_network():
    layer, x = mixture(1, 1), torch.randn(2, 5, LLAMA.d_model)
    torch.testing.assert_close(layer(x), layer.experts[0](x))


@pytest.mark.parametrize("top_k", [1, 2])
def test_gradient_reaches_the_router_and_each_expert_that_was_used(top_k):
    layer = mixture(top_k=top_k)
    layer(torch.randn(2, 40, LLAMA.d_model)).square().sum().backward()
    assert layer.router.weight.grad.abs().min() > 0
    for share, expert in zip(layer.shares, layer.experts, strict=True):
        grads = [parameter.grad.abs().max() > 0 for parameter in expert.parameters()]
        assert share > 0
        assert all(grads)


def test_equals_mixtral():
    layer, x = mixture(), torch.randn(2, 7, LLAMA.d_model)
    config = transformers.MixtralConfig(
        hidden_size=LLAMA.d_model,
        intermediate_size=LLAMA.ffn_dim,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    theirs = MixtralSparseMoeBlock(config).eval()
    experts = layer.experts
    weights = {
        "gate.weight": layer.router.weight,
        "experts.gate_up_proj": torch.stack(
            [torch.cat((e.gate_proj.weight, e.up_proj.weight)) for e in experts]
        ),
        "experts.down_proj": torch.stack([e.down_proj.weight for e in experts]),
    }
    theirs.load_state_dict(weights)
    torch.testing.assert_close(layer(x), theirs(x), rtol=1e-4, atol=1e-4)
    logits = layer.router(x).flatten(0, 1)
    reference = load_balancing_loss_func((logits,), num_experts=4, top_k=2)
    torch.testing.assert_close(2 * layer.balance, reference)  # theirs counts both choices


def test_balance_is_one_when_even_and_n_experts_when_one_gets_all():
    layer = mixture(top_k=1)
    nn.init.zeros_(layer.router.weight)
    layer(torch.randn(2, 5, LLAMA.d_model))
    assert layer.balance.item() == pytest.approx(1.0)
    layer.router.weight.data[1] = 100.0
    layer(torch.ones(2, 5, LLAMA.d_model))
    assert layer.balance.item() == pytest.approx(4.0)
    assert layer.shares.tolist() == [0, 1, 0, 0]


def test_the_balance_of_a_block_in_a_model_moves_its_router():
    model = randomise(CausalLM(LLAMA))
    for block in model.transformer.blocks:
        block.ffn = mixture()
    model(torch.tensor([[1, 2, 3, 4]]))
    model.transformer.blocks[0].ffn.balance.backward()
    assert model.transformer.blocks[0].ffn.router.weight.grad.abs().max() > 0


def test_a_token_does_not_depend_on_its_neighbours():
    layer, x = mixture(), torch.randn(1, 6, LLAMA.d_model)
    torch.testing.assert_close(layer(x)[:, 2:3], layer(x[:, 2:3]))


@pytest.mark.parametrize(("n_experts", "top_k"), [(4, 5), (4, 0), (0, 1)])
def test_refuses_more_experts_than_there_are(n_experts, top_k):
    with pytest.raises(ValueError, match=f"top_k={top_k}.*n_experts={n_experts}"):
        MixtureOfExperts(LLAMA, n_experts=n_experts, top_k=top_k)

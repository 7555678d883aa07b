"""The short way for one vector gives what the matrix product gives."""

import pytest
import torch
import torch.nn.functional as F

from minillm import CausalLM, ModelConfig
from minillm.nn.linear import Linear

SMALL = ModelConfig(vocab_size=31, context_length=16, d_model=16, n_layers=2, n_heads=2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (1, 7), (1, 1, 7), (3, 1, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_vector_and_many_are_multiplied_alike(bias, shape, dtype):
    torch.manual_seed(0)
    layer, x = Linear(7, 5, bias=bias).to(dtype), torch.randn(shape, dtype=dtype)
    with torch.no_grad():
        y = layer(x)
    expected = F.linear(x, layer.weight, layer.bias)
    assert y.shape == expected.shape
    torch.testing.assert_close(y, expected.detach())


def test_gradients_flow_and_autocast_works_for_one_vector():
    layer, x = Linear(7, 5), torch.randn(1, 1, 7, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad[0, 0], layer.weight.sum(0))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        y = layer(x.bfloat16())  # what stands between two layers there; the weights are float32
    torch.testing.assert_close(y.float(), layer(x).detach(), rtol=0.02, atol=0.02)


def test_the_last_position_alone_has_the_logits_of_the_whole():
    model = CausalLM(SMALL).eval()
    tokens = torch.randint(31, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, :4] = False
    torch.testing.assert_close(
        model.next_logits(tokens, mask=mask), model(tokens, mask=mask)[:, -1]
    )
    state = model.new_state(2, 9)
    model.next_logits(tokens[:, :6], state=state)
    torch.testing.assert_close(
        model.next_logits(tokens[:, 6:], state=state), model(tokens)[:, -1], rtol=1e-4, atol=1e-5
    )

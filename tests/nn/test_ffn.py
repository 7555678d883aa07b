from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minillm.nn.ffn import FFNS
from tests.conftest import LLAMA, randomise

ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_mlp_is_two_matrices_and_an_activation(name, bias):
    ffn = randomise(FFNS[name](replace(LLAMA, ffn=name, bias=bias)))
    x = torch.randn(2, 3, 48)
    up = x @ ffn.up_proj.weight.T + (ffn.up_proj.bias if bias else 0)
    down = ACTIVATIONS[name](up) @ ffn.down_proj.weight.T + (ffn.down_proj.bias if bias else 0)
    torch.testing.assert_close(ffn(x), down)


def test_swiglu_is_a_gated_product():
    ffn = randomise(FFNS["swiglu"](LLAMA))
    x = torch.randn(2, 3, 48)
    gate, up = x @ ffn.gate_proj.weight.T, x @ ffn.up_proj.weight.T
    torch.testing.assert_close(ffn(x), (gate * gate.sigmoid() * up) @ ffn.down_proj.weight.T)


def test_swiglu_has_the_right_gradient():
    ffn = randomise(FFNS["swiglu"](replace(LLAMA, d_model=12, d_ff=4))).double()
    x = torch.randn(2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ffn, (x,))

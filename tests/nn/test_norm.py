import pytest
import torch
from torch import nn

from minillm import RMSNorm, post_norm, pre_norm


def make_norm(dtype=torch.float32):
    norm = RMSNorm(6, eps=1e-3).to(dtype)
    nn.init.normal_(norm.weight)
    return norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rms_norm_equals_torch(dtype):
    ours, theirs = make_norm(dtype), nn.RMSNorm(6, eps=1e-3, dtype=dtype)
    theirs.weight.data.copy_(ours.weight)
    x = torch.randn(2, 3, 6, dtype=dtype)
    torch.testing.assert_close(ours(x), theirs(x))


def test_rms_norm_computes_in_float32_for_half_inputs():
    x = torch.full((1, 6), 300.0, dtype=torch.float16)  # 300² overflows float16
    assert RMSNorm(6).half()(x).isfinite().all()


def test_rms_norm_gradient():
    norm = make_norm(torch.float64)
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))


def test_residual_rules():
    x, norm = torch.randn(2, 3, 6), make_norm()
    torch.testing.assert_close(pre_norm(x, norm, torch.sin), x + torch.sin(norm(x)))
    torch.testing.assert_close(post_norm(x, norm, torch.sin), norm(x + torch.sin(x)))

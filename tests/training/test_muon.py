"""Muon against torch's own, and five Newton–Schulz steps against singular values."""

import copy

import pytest
import torch
from torch import nn

from minillm.training.muon import COEFFICIENTS, Muon, newton_schulz


def by_svd(matrix, steps):
    """The same polynomial, applied to the singular values themselves."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    s = s / matrix.norm()
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ vt


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5)])
@pytest.mark.parametrize("steps", [1, 5])
def test_newton_schulz_acts_on_singular_values_only(shape, steps):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    expected = by_svd(matrix, steps)
    torch.testing.assert_close(newton_schulz(matrix, steps=steps), expected, atol=1e-9, rtol=1e-9)


def test_five_steps_make_directions_about_equally_long():
    torch.manual_seed(0)
    spread = torch.linalg.svdvals(newton_schulz(torch.randn(64, 32)))
    assert 0.6 < spread.min() < spread.max() < 1.25


def test_zero_stays_zero_and_a_vector_is_refused():
    assert newton_schulz(torch.zeros(3, 4)).abs().max() == 0
    with pytest.raises(ValueError, match=r"\(3,\)"):
        newton_schulz(torch.zeros(3))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])


@pytest.mark.parametrize("shape", [(16, 16), (32, 8), (8, 32)])
def test_equals_torchs_muon(shape, monkeypatch):
    monkeypatch.setenv("MINILLM_FAST_BFLOAT16", "1")  # torch's computes directions in bfloat16
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(shape))
    theirs = copy.deepcopy(ours)
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = Muon([ours], **options), torch.optim.Muon([theirs], nesterov=True, **options)
    for _ in range(4):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_a_parameter_without_gradient_stays_and_the_closures_loss_is_returned():
    p = nn.Parameter(torch.ones(2, 2))
    optimizer = Muon([p])
    assert optimizer.step(lambda: 3.0) == 3.0
    assert optimizer.step() is None
    assert torch.equal(p, torch.ones(2, 2))

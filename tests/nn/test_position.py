import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import Rope, rotate, sinusoids


def turn(x, position, theta=10_000.0):
    return rotate(x, Rope(x.shape[-1], theta)(torch.tensor([position])))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_rotated_products_depend_on_distance_only(m, n, shift):
    q, k = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64).unbind()
    here = (turn(q, m) * turn(k, n)).sum()
    there = (turn(q, m + shift) * turn(k, n + shift)).sum()
    torch.testing.assert_close(here, there, atol=2e-3, rtol=0)  # angles are float32


def test_rotation_keeps_lengths_and_moves_vectors():
    x = torch.randn(2, 3, 5, 8)
    y = rotate(x, Rope(8)(torch.arange(5)))
    torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(y[:, :, 0], x[:, :, 0])  # position 0 is not turned
    assert (y[:, :, 1:] - x[:, :, 1:]).abs().max() > 0.1


def test_rotation_is_complex_multiplication():
    x, position = torch.randn(1, 1, 1, 8), 7
    pairs = torch.complex(*x.chunk(2, dim=-1))
    angles = position * Rope(8).frequencies()
    expected = pairs * torch.polar(torch.ones(4), angles)
    got = turn(x, position)
    torch.testing.assert_close(got, torch.cat((expected.real, expected.imag), dim=-1))


def test_theta_sets_the_slowest_clock():
    torch.testing.assert_close(Rope(4, theta=100.0).frequencies(), torch.tensor([1.0, 0.1]))


def test_rotation_has_the_right_gradient():
    rope = Rope(4)(torch.arange(3))
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: rotate(y, rope), (x,))


def test_half_precision_models_keep_exact_angles():
    rope = Rope(8).half()
    torch.testing.assert_close(rope(torch.tensor([1000]))[0], Rope(8)(torch.tensor([1000]))[0])


def test_sinusoids_by_formula():
    table = sinusoids(50, 6)
    assert table.shape == (50, 6)
    for i in range(3):
        w = 10_000 ** (-2 * i / 6)
        torch.testing.assert_close(table[:, 2 * i], torch.sin(torch.arange(50) * w))
        torch.testing.assert_close(table[:, 2 * i + 1], torch.cos(torch.arange(50) * w))


def test_sinusoid_products_depend_on_distance_only():
    products = sinusoids(40, 32) @ sinusoids(40, 32).T
    for distance in (1, 7, 20):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


@pytest.mark.parametrize("make", [lambda: sinusoids(3, 5), lambda: Rope(5)])
def test_odd_widths_are_refused(make):
    with pytest.raises(ValueError, match="5"):
        make()

"""The pretend device computes as the CPU does, and refuses what a card refuses."""

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from tests.pretend import device
from tests.pretend.device import Lacking, MixedDevices
from tests.pretend.lacking import lacking_operators

PRETEND = device.NAME


@pytest.fixture
def x():
    return torch.arange(12.0, device=PRETEND).view(3, 4)


def refuses(run, kind=MixedDevices):
    """It raises, and the device has noted it."""
    with pytest.raises(kind):
        run()
    assert device.refused
    device.refused.clear()


def gradient(where):
    """Through views, an assignment to a slice, and a product of a transposed matrix."""
    w = torch.arange(12.0).view(3, 4).to(where).requires_grad_()
    y = torch.zeros(4, 3, device=where)
    y[1:, :2] = w.T[1:, 1:] * 2
    y[0] += w[:, 0].flip(0)
    (y @ w).square().sum().backward()
    return w.grad.cpu()


def test_gradients_through_views_are_those_of_the_cpu():
    torch.testing.assert_close(gradient(PRETEND), gradient("cpu"), rtol=0, atol=0)


def test_shapes_in_memory_are_those_of_the_cpu(x):
    assert x.T.stride() == (1, 4)
    assert not x.T.is_contiguous()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        x.T.view(12)
    assert x.clone().t_().shape == (4, 3)


def test_random_numbers_are_those_of_the_cpu():
    dice = torch.Generator(PRETEND).manual_seed(3)
    drawn = torch.randn(4, device=PRETEND, generator=dice)
    expected = torch.randn(4, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn.cpu(), expected)
    assert dice.device.type == PRETEND


def test_a_module_that_moves_keeps_its_parameters_and_what_is_tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    before = model[0].weight
    model.to(PRETEND)
    assert model[1].weight is model[0].weight is before
    assert before.device.type == PRETEND
    assert copy.deepcopy(model)[0].weight.device.type == PRETEND


def test_what_is_saved_is_read_without_the_device(x):
    file = io.BytesIO()
    torch.save({"x": x}, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True)["x"], x.cpu())


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(4),
        lambda x: torch.ones(4) * x,
        lambda x: x @ torch.ones(4, 2),
        lambda x: torch.cat([x, torch.ones(3, 4)]),
        lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
        lambda x: x.masked_fill(torch.ones(3, 4) > 0, 0.0),
        lambda x: torch.where(torch.ones(3, 4) > 0, x, x),
        lambda x: x.gather(1, torch.zeros(3, 1, dtype=torch.long)),
        lambda x: torch.ones(30)[x.long()],
        lambda x: nn.functional.embedding(torch.tensor([0]), x),
        lambda x: nn.functional.cross_entropy(x, torch.tensor([0, 1, 2])),
        lambda x: x.index_put_((torch.tensor([0]),), torch.ones(4)),
        lambda x: torch.equal(x, x.cpu()),
        nn.Linear(4, 2),
    ],
)
def test_tensors_of_two_devices_do_not_mix(x, mix):
    refuses(lambda: mix(x))


@pytest.mark.parametrize(
    "take",
    [
        lambda x: x + torch.tensor(1.0),
        lambda x: x * 2.5,
        lambda x: x[torch.tensor([0, 2])],
        lambda x: x[torch.tensor([True, False, True])],
        lambda x: x.cpu() + torch.ones(4),
        lambda x: x.clone().copy_(torch.ones(3, 4)),
    ],
)
def test_what_a_card_takes_from_the_cpu_is_taken(x, take):
    take(x)


def test_numpy_is_refused_without_cpu(x):
    refuses(x.numpy, TypeError)
    refuses(lambda: np.asarray(x), TypeError)
    assert x.cpu().numpy().sum() == 66


@pytest.mark.parametrize("other", ["cpu", PRETEND])
def test_a_generator_of_another_device_is_refused(other):
    mine = PRETEND if other == "cpu" else "cpu"
    dice = torch.Generator(other)
    refuses(lambda: torch.rand(3, device=mine, generator=dice))
    refuses(lambda: torch.multinomial(torch.ones(3, device=mine), 1, generator=dice))


def test_numbers_of_64_bits_are_refused_unless_allowed(x):
    refuses(x.double, Lacking)
    refuses(lambda: torch.zeros(2, dtype=torch.float64, device=PRETEND), Lacking)
    with device.may_lack({"torch.float64"}) as used:
        assert x.double().sum().item() == 66
    assert used == {"torch.float64"}


def test_an_operator_that_a_card_lacks_is_refused_unless_allowed(x):
    refuses(x.mode, Lacking)
    with device.may_lack({"aten::mode"}) as used:
        x.mode()
    assert used == {"aten::mode"}


def test_the_table_of_torch_tells_what_is_lacking():
    table = lacking_operators()
    assert table["aten::_weight_int4pack_mm_for_cpu"] == "CUDA and MPS"
    assert table["aten::_linalg_eigh"] == "MPS"
    assert not {"aten::mm", "aten::add.Tensor", "aten::_softmax"} & set(table)


# The three ways in which programs most often fail on a card; each must be caught.


def attention_with_a_mask_of_the_cpu(x):
    mask = torch.ones(3, 3, dtype=torch.bool).tril()
    return (x @ x.T).masked_fill(~mask, -1e9).softmax(-1) @ x


def drawn_without_cpu(x):
    return np.histogram(x.detach().numpy())


def targets_left_behind(x):
    targets = torch.tensor([0, 1, 3])
    return nn.functional.cross_entropy(x, targets)


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (attention_with_a_mask_of_the_cpu, MixedDevices),
        (drawn_without_cpu, TypeError),
        (targets_left_behind, MixedDevices),
    ],
)
def test_the_usual_faults_are_caught(x, broken, kind):
    broken(x.cpu())  # on the CPU nothing is wrong
    refuses(lambda: broken(x), kind)


def test_outside_the_block_torch_is_as_it_was():
    inside = torch.Generator
    with device.active():
        pass
    assert torch.Generator is inside is device.PretendGenerator
    assert torch.__future__.get_swap_module_params_on_conversion()

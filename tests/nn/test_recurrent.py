import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm import RecurrentConfig, RecurrentLM
from minillm.nn.recurrent import CELLS
from tests.conftest import randomise

TORCH_CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
TORCH_LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def copy_cell(ours, theirs, suffix=""):
    with torch.no_grad():
        for name, linear in (("ih", ours.input), ("hh", ours.hidden)):
            getattr(theirs, f"weight_{name}{suffix}").copy_(linear.weight)
            getattr(theirs, f"bias_{name}{suffix}").copy_(linear.bias)


@pytest.mark.parametrize("name", CELLS)
def test_cells_equal_torch(name):
    ours, theirs = randomise(CELLS[name](7)), TORCH_CELLS[name](7, 7)
    copy_cell(ours, theirs)
    x = torch.randn(3, 7)
    carry = tuple(torch.randn(3, 7) for _ in range(ours.carries))
    expected = theirs(x, carry if name == "lstm" else carry[0])
    expected = expected if name == "lstm" else (expected,)
    for a, b in zip(ours(x, carry), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_cells_have_the_right_gradient(name):
    cell = randomise(CELLS[name](3)).double()
    inputs = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda x, *c: cell(x, c[: cell.carries]), tuple(inputs))


@pytest.mark.parametrize("name", CELLS)
def test_model_equals_torch_layers(name):
    model = randomise(RecurrentLM(RecurrentConfig(vocab_size=11, d_model=6, n_layers=2, cell=name)))
    layers = TORCH_LAYERS[name](6, 6, num_layers=2, batch_first=True)
    for i, cell in enumerate(model.cells):
        copy_cell(cell, layers, f"_l{i}")
    tokens = torch.randint(11, (3, 9))
    expected = layers(model.embedding(tokens))[0] @ model.lm_head.weight.T
    torch.testing.assert_close(model(tokens), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [8, 1]], ids=str)
def test_reading_in_chunks_equals_reading_at_once(name, chunks):
    model = randomise(RecurrentLM(RecurrentConfig(vocab_size=11, d_model=6, n_layers=2, cell=name)))
    tokens, state = torch.randint(11, (3, 9)), model.new_state(3, 9)
    parts = [model(piece, state=state) for piece in tokens.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens))
    assert len(state) == 9


def test_reorder_permutes_the_batch():
    model = randomise(RecurrentLM(RecurrentConfig(vocab_size=11, d_model=6)))
    tokens, order = torch.randint(11, (3, 9)), torch.tensor([2, 2, 0])
    state = model.new_state(3, 9)
    model(tokens[:, :5], state=state)
    state.reorder(order)
    got = model(tokens[order, 5:], state=state)
    torch.testing.assert_close(got, model(tokens[order])[:, 5:])


def test_first_loss_is_near_the_uniform_guess():
    model = RecurrentLM(RecurrentConfig(vocab_size=500, d_model=64))
    tokens = torch.randint(500, (4, 33))
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert abs(loss.item() / math.log(500) - 1) < 0.02


@pytest.mark.parametrize(
    ("values", "message"),
    [({"cell": "qrnn"}, "cell='qrnn' is not one of"), ({"d_model": 0}, "d_model=0")],
)
def test_bad_configs_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        RecurrentConfig(**{"vocab_size": 5, "d_model": 4} | values)

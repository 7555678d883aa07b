"""Transforms, and strictness in both directions."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from minillm.weights.convert import Rule, Table, convert, load_into
from minillm.weights.transforms import drop_rows, same, split, transpose, unpermute

TABLE = Table(
    prefix="model.",
    renamed={".gamma": ".weight"},
    ignored=r"mask\.\d",
    copies={"head": "a"},
    zeros=frozenset({"idle"}),
    rules=(
        Rule(("first",), "a", same),
        Rule(("blocks.{i}.w",), "h.{i}.weight", transpose),
    ),
)
SOURCE = {
    "model.a": torch.arange(2.0),
    "h.0.weight": torch.zeros(2, 3),
    "h.1.gamma": torch.ones(2, 3),
    "mask.7": torch.zeros(1),
}


def test_names_prefixes_and_layers():
    result = convert(SOURCE, TABLE, n_layers=2, dtype=torch.bfloat16)
    assert {name: tuple(t.shape) for name, t in result.items()} == {
        "first": (2,),
        "blocks.0.w": (3, 2),
        "blocks.1.w": (3, 2),
    }
    assert {t.dtype for t in result.values()} == {torch.bfloat16}
    assert result["blocks.1.w"].is_contiguous()
    assert result["blocks.1.w"].eq(1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": torch.zeros(1)}, "^left over: b$"),
        ({"mask.x": torch.zeros(1)}, "left over: mask.x"),
        ({"a": torch.zeros(2)}, "model.a: the same tensor stands under two names"),
        ({"h.2.weight": torch.zeros(2, 3)}, "left over: h.2.weight"),
        ({"head": torch.ones(2)}, "head differs from model.a, but the config ties them"),
        ({"idle": torch.tensor([0.0, 1e-9])}, "idle is not 0, and our model has nothing like it"),
        ({"model.a": torch.tensor([1.0, float("nan")])}, "model.a holds infinite or undefined"),
        ({"model.a": torch.tensor([1.0, -float("inf")])}, "model.a holds infinite or undefined"),
    ],
)
def test_a_checkpoint_with_too_much(changes, message):
    with pytest.raises(ValueError, match=message):
        convert(SOURCE | changes, TABLE, n_layers=2)


def test_a_checkpoint_with_too_little():
    source = {name: t for name, t in SOURCE.items() if name != "h.1.gamma"}
    with pytest.raises(ValueError, match=r"^missing: h.1.weight$"):
        convert(source, TABLE, n_layers=2)
    with pytest.raises(ValueError, match=r"missing: h.1.weight; left over: b"):
        convert(source | {"b": torch.zeros(1)}, TABLE, n_layers=2)


def test_an_equal_copy_is_fine():
    assert "head" not in convert(SOURCE | {"head": SOURCE["model.a"]}, TABLE, n_layers=2)


def test_what_is_zero_may_be_left_over():
    assert "idle" not in convert(SOURCE | {"model.idle": torch.zeros(3)}, TABLE, n_layers=2)


def test_an_absurd_number_of_layers_ends_at_once():
    with pytest.raises(ValueError, match="1000000000000 layers, the checkpoint 4 tensors"):
        convert(SOURCE, TABLE, n_layers=10**12)


def test_a_tensor_under_any_one_of_its_names():
    source = {name: t for name, t in SOURCE.items() if name != "model.a"}
    table = replace(TABLE, copies={"head": "a", "tail": "a"})
    for names in (["head"], ["model.tail"], ["head", "tail"]):
        stored = source | {name: torch.arange(2.0) for name in names}
        assert convert(stored, table, n_layers=2)["first"].tolist() == [0.0, 1.0]
    differing = source | {"head": torch.arange(2.0), "tail": torch.zeros(2)}
    with pytest.raises(ValueError, match="tail differs from head, but the config ties them"):
        convert(differing, table, n_layers=2)
    with pytest.raises(ValueError, match=r"^missing: a$"):
        convert(source, table, n_layers=2)


def test_many_names_are_shortened():
    many = {f"x{i:02d}": torch.zeros(1) for i in range(20)}
    with pytest.raises(ValueError, match=r"x07 and 12 more$"):
        convert(SOURCE | many, TABLE, n_layers=2)


def test_split_gives_rows_of_q_k_and_v():
    fused = torch.randn(4, 12)
    q, _, v = split(3)(fused)
    x = torch.randn(4)
    torch.testing.assert_close(q @ x, (x @ fused)[:4])
    torch.testing.assert_close(v @ x, (x @ fused)[8:])
    assert q.is_contiguous()


def test_drop_rows_keeps_a_copy_of_the_rest():
    rows = torch.arange(6.0).view(3, 2)
    (rest,) = drop_rows(2)(rows)
    rows.zero_()
    assert rest.tolist() == [[4.0, 5.0]]


def permute(tensor, n_heads):
    """What llama.cpp does to the rows when it writes a file."""
    rows, columns = tensor.shape
    halves = tensor.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def test_unpermute_undoes_permute():
    matrix = torch.randn(24, 5)
    (back,) = unpermute(3)(permute(matrix, 3))
    assert torch.equal(back, matrix)
    assert not torch.equal(permute(matrix, 3), matrix)
    with pytest.raises(ValueError, match="24 rows do not divide into 5 heads"):
        unpermute(5)(matrix)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        self.b.weight = self.a.weight


def test_load_into_a_model_without_memory_keeps_the_tie():
    with torch.device("meta"):
        model = Tied()
    weight = torch.eye(2)
    load_into(model, {"a.weight": weight})
    assert model.a.weight is model.b.weight
    assert model.a.weight.data_ptr() == weight.data_ptr(), "no copy is made"
    assert model.a.weight.requires_grad


def test_load_into_a_model_in_memory_overwrites():
    model = Tied()
    parameter = model.a.weight
    load_into(model, {"a.weight": torch.eye(2)})
    assert model.a.weight is parameter
    assert torch.equal(parameter.data, torch.eye(2))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "missing: bias, weight"),
        ({"weight": (2, 3), "bias": (2,), "c": (1,)}, "left over: c"),
        ({"weight": (3, 2), "bias": (2,)}, r"weight is \(3, 2\), the model needs \(2, 3\)"),
    ],
)
def test_load_into_is_strict(tensors, message):
    with pytest.raises(ValueError, match=message):
        load_into(nn.Linear(3, 2), {name: torch.zeros(shape) for name, shape in tensors.items()})

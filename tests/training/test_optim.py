"""Optimisers and schedules: groups, AdamW and Muon against torch, and the shape of a schedule."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM
from minillm.training.config import TrainConfig
from minillm.training.optim import CombinedOptimizer, decay_groups, hidden_matrices, make_optimizer
from minillm.training.schedules import (
    SCHEDULES,
    learning_rate_factor,
    warmup_cosine,
    warmup_linear,
    warmup_stable_decay,
)

SIZES = {"vocab_size": 11, "context_length": 8, "d_model": 8, "n_layers": 2, "n_heads": 2}


def gpt(**changes):
    torch.manual_seed(0)
    return CausalLM(ModelConfig(**{**SIZES, **changes}))


def names_of(model, parameters):
    wanted = {id(p) for p in parameters}
    return {name for name, p in model.named_parameters() if id(p) in wanted}


def give_gradients(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


def test_matrices_decay_and_vectors_do_not():
    model = gpt()
    decayed, kept = decay_groups(list(model.parameters()), 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(name.endswith("bias") or "norm" in name for name in names_of(model, kept["params"]))
    assert len(decayed["params"]) + len(kept["params"]) == len(list(model.parameters()))


def test_adamw_is_torchs_with_these_groups():
    model = gpt()
    twin = copy.deepcopy(model)
    config = TrainConfig(steps=1, lr=3e-3, weight_decay=0.2, betas=(0.8, 0.9))
    ours = make_optimizer(model, config)
    theirs = torch.optim.AdamW(
        [
            {"params": [p for p in twin.parameters() if p.ndim >= 2], "weight_decay": 0.2},
            {"params": [p for p in twin.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=3e-3,
        betas=(0.8, 0.9),
    )
    for seed in range(3):
        for m, optimizer in ((model, ours), (twin, theirs)):
            give_gradients(m, seed)
            optimizer.step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_only_trainable_parameters_are_given():
    model = gpt()
    model.transformer.embedding.requires_grad_(False)
    given = [p for group in make_optimizer(model, TrainConfig(steps=1)).param_groups
             for p in group["params"]]  # fmt: skip
    assert all(p.requires_grad for p in given)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="CausalLM has 0 trainable"):
        make_optimizer(model, TrainConfig(steps=1))


@pytest.mark.parametrize("tied", [True, False])
def test_muon_gets_the_hidden_matrices_and_nothing_else(tied):
    model = gpt(tie_embeddings=tied)
    names = names_of(model, hidden_matrices(model))
    assert len(names) == 2 * 6
    assert all(".blocks." in name and name.endswith("proj.weight") for name in names)


def test_every_parameter_is_in_exactly_one_group_with_its_peak_rate():
    model = gpt(tie_embeddings=False)
    config = TrainConfig(steps=1, lr=1e-3, muon_lr=0.05, optimizer="muon")
    optimizer = make_optimizer(model, config)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    assert [group["initial_lr"] for group in optimizer.param_groups] == [0.05, 1e-3, 1e-3]


def test_together_follows_its_groups_and_gives_its_state_back():
    model = gpt()
    optimizer = make_optimizer(model, TrainConfig(steps=1, optimizer="muon"))
    assert isinstance(optimizer, CombinedOptimizer)
    give_gradients(model, 0)
    optimizer.step()
    twin = copy.deepcopy(model)
    second = make_optimizer(twin, TrainConfig(steps=1, optimizer="muon"))
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for m, o in ((model, optimizer), (twin, second)):
        for group in o.param_groups:  # a rate set from outside must reach the parts
            group["lr"] = group["initial_lr"] * 0.5
        give_gradients(m, 1)
        o.step()
        o.zero_grad()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
        assert p.grad is None


def test_a_rate_of_0_moves_nothing():
    model = gpt()
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(model, TrainConfig(steps=1, optimizer="muon"))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    give_gradients(model, 0)
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("schedule", SCHEDULES.values())
def test_schedules_rise_to_1_and_end_at_the_floor(schedule):
    rates = [schedule(s, steps=100, warmup_steps=10, min_ratio=0.2) for s in range(101)]
    assert rates[:10] == pytest.approx([(s + 1) / 10 for s in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.2)
    assert schedule(1000, steps=100, warmup_steps=10, min_ratio=0.2) == pytest.approx(0.2)
    assert schedule(0, steps=1) == 1.0


def test_schedules_at_known_points():
    args = {"steps": 100, "warmup_steps": 20, "min_ratio": 0.0}
    assert warmup_cosine(60, **args) == pytest.approx(0.5)
    assert warmup_cosine(40, **args) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert warmup_linear(40, **args) == pytest.approx(0.75)
    assert [warmup_stable_decay(s, **args) for s in (20, 80, 90)] == pytest.approx([1.0, 1.0, 0.5])


def test_the_config_chooses_the_schedule():
    for name, schedule in SCHEDULES.items():
        config = TrainConfig(steps=50, warmup_steps=5, min_lr_ratio=0.3, schedule=name)
        expected = schedule(45, steps=50, warmup_steps=5, min_ratio=0.3)
        assert learning_rate_factor(45, config) == expected


def test_minimises_a_bowl():
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False))
    torch.manual_seed(0)
    x, y = torch.randn(64, 6), torch.randn(64, 6) * 0.1
    for name in ("adamw", "muon"):
        twin = copy.deepcopy(model)
        optimizer = make_optimizer(twin, TrainConfig(steps=1, lr=0.02, optimizer=name))
        first = (twin(x) - y).square().mean().item()
        for _ in range(60):
            loss = (twin(x) - y).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        assert loss.item() < first / 5


def test_adamw_is_fused_and_equals_the_plain_one():
    torch.manual_seed(0)
    fused, plain = nn.Linear(5, 3), nn.Linear(5, 3)
    plain.load_state_dict(fused.state_dict())
    ours = make_optimizer(fused, TrainConfig(steps=9, lr=1e-2))
    assert ours.defaults["fused"]
    theirs = torch.optim.AdamW(
        decay_groups(list(plain.parameters()), 0.1), lr=1e-2, betas=(0.9, 0.95), fused=False
    )
    for _ in range(20):
        x = torch.randn(4, 5)
        for model, optimizer in ((fused, ours), (plain, theirs)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(fused.weight, plain.weight)
    torch.testing.assert_close(fused.bias, plain.bias)

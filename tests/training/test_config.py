"""A training config refuses what cannot be trained with, by name."""

import dataclasses
import math

import pytest

from minillm.training.config import TrainConfig
from minillm.training.schedules import learning_rate_factor


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("micro_batch_size", 0),
        ("eval_batches", 0),
        ("eval_every", -1),
        ("warmup_steps", -1),
        ("warmup_steps", 11),
        ("lr", 0.0),
        ("lr", -1.0),
        ("muon_lr", 0.0),
        ("clip_norm", 0.0),
        ("weight_decay", -0.1),
        ("min_lr_ratio", -0.1),
        ("ema_decay", 0.0),
        ("ema_decay", 1.0),
        ("precision", "float16"),
        ("optimizer", "sgd"),
        ("schedule", "exponential"),
    ],
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValueError, match=f"{field}={value!r}"):
        TrainConfig(**{"steps": 10, field: value})


def test_it_cannot_be_changed():
    config = TrainConfig(steps=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 2
    assert dataclasses.replace(config, steps=2).steps == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 1e3), ("steps", True), ("steps", "10"), ("steps", None), ("steps", 2**64),
        ("lr", math.nan), ("lr", math.inf), ("lr", 1e300), ("lr", "1e-3"), ("muon_lr", math.nan),
        ("batch_size", 2.0), ("clip_norm", math.inf), ("betas", (0.9,)), ("betas", (0.9, 1.5)),
        ("betas", 0.9), ("compile", 1), ("seed", 2**64), ("seed", 0.5), ("ema_decay", math.nan),
        ("weight_decay", math.nan), ("min_lr_ratio", math.inf), ("schedule", ["cosine"]),
    ],
)  # fmt: skip
def test_values_without_a_meaning_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        TrainConfig(**{"steps": 10, field: value})


def test_each_schedule_is_the_one_of_its_name():
    def curve(name):
        config = TrainConfig(steps=10, warmup_steps=2, schedule=name, min_lr_ratio=0.0)
        return [round(learning_rate_factor(step, config), 3) for step in range(2, 10)]

    assert curve("stable") == [1, 1, 1, 1, 1, 1, 1, 0.5]
    assert curve("linear") == [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert curve("cosine") == [1, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]

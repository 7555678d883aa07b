"""A training config refuses what cannot be trained with, by name."""

import dataclasses

import pytest

from minillm.training.config import TrainConfig


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

from dataclasses import FrozenInstanceError, replace

import pytest

from minillm import BERT_BASE, GPT2_SMALL, SMOLLM2_135M, VASWANI_BASE, ModelConfig


@pytest.mark.parametrize("config", [GPT2_SMALL, BERT_BASE, SMOLLM2_135M, VASWANI_BASE])
def test_json_round_trip(config):
    assert ModelConfig.from_json(config.to_json()) == config


def test_unknown_key_names_the_nearest():
    text = GPT2_SMALL.to_json().replace("n_layers", "n_layer")
    with pytest.raises(ValueError, match=r"'n_layer'; did you mean 'n_layers'"):
        ModelConfig.from_json(text)


def test_a_missing_key_is_named():
    with pytest.raises(ValueError, match="the config has no context_length, only vocab_size, d_m"):
        ModelConfig.from_json('{"vocab_size": 5, "d_model": 8, "n_layers": 1, "n_heads": 2}')


def test_json_must_be_an_object():
    with pytest.raises(ValueError, match="not list"):
        ModelConfig.from_json("[1]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 770}, "d_model=770 is not a multiple of n_heads=12"),
        ({"n_kv_heads": 5}, "n_heads=12 is not a multiple of n_kv_heads=5"),
        ({"n_kv_heads": 0}, "n_heads=12 is not a multiple of n_kv_heads=0"),
        ({"n_layers": 0}, "n_layers=0 must be at least 1"),
        ({"d_ff": 0}, "d_ff=0 must be at least 1"),
        ({"n_segments": -1}, "n_segments=-1 must be at least 0"),
        ({"norm": "batchnorm"}, "norm='batchnorm' is not one of"),
        ({"dropout": 1.0}, r"dropout=1.0 must lie in \[0, 1\)"),
        ({"position": "rope", "d_model": 12 * 3}, "needs an even head_dim, not 3"),
    ],
)
def test_bad_values_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(GPT2_SMALL, **change)


def test_config_is_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        GPT2_SMALL.n_layers = 3  # type: ignore[misc]
    assert len({GPT2_SMALL, replace(GPT2_SMALL), BERT_BASE}) == 2


def test_defaults_are_filled_in():
    config = ModelConfig(vocab_size=5, context_length=4, d_model=8, n_layers=1, n_heads=2)
    assert (config.head_dim, config.kv_heads, config.ffn_dim) == (4, 2, 32)

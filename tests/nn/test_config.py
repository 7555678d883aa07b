import json
import math
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from minillm import BERT_BASE, GPT2_SMALL, SMOLLM2_135M, VASWANI_BASE, ModelConfig


@pytest.mark.parametrize("config", [GPT2_SMALL, BERT_BASE, SMOLLM2_135M, VASWANI_BASE])
def test_json_round_trip(config):
    assert ModelConfig.from_json(config.to_json()) == config


def test_unknown_key_names_the_nearest():
    text = GPT2_SMALL.to_json().replace("n_layers", "n_layer")
    with pytest.raises(ValueError, match=r"'n_layer' in the config; did you mean 'n_layers'"):
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_layers", 2.5), ("n_layers", True), ("d_model", "16"), ("vocab_size", None),
        ("norm_eps", -1), ("norm_eps", math.nan), ("norm_eps", "x"), ("norm_eps", 0.0),
        ("rope_theta", -1), ("rope_theta", math.inf), ("dropout", math.nan), ("causal", "no"),
        ("bias", 0), ("tie_embeddings", "no"), ("n_kv_heads", 1.0), ("d_ff", "64"),
        ("context_length", 2**70), ("norm", None), ("n_segments", 0.5),
    ],
)  # fmt: skip
def test_values_without_a_meaning_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        replace(GPT2_SMALL, **{field: value})
    with pytest.raises(ValueError, match=field):
        ModelConfig.from_json(json.dumps(asdict(GPT2_SMALL) | {field: value}))

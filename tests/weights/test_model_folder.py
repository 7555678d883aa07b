"""Folders of our own models: what is not as it should be is refused, on reading and on writing."""

import codecs
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from minillm.files import read_text
from minillm.inference.int4 import int4_weights
from minillm.inference.int8 import int8_weights
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM, Seq2Seq
from minillm.runs.config import read_run_config
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.weights.load import load
from minillm.weights.model_folder import save_model

TEXT = "the cat sat on the mat and the dog sat on the log. " * 4
SMALL = {"vocab_size": 300, "context_length": 8, "d_model": 16, "n_layers": 1, "n_heads": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": "16"}, "config.json: d_model is '16', not a whole number"),
        ({"d_model": 16.0}, "config.json: d_model is 16.0, not a whole number"),
        ({"n_layers": None}, "config.json: n_layers is None, not a whole number"),
        ({"n_layers": True}, "config.json: n_layers is True, not a whole number"),
        ({"n_heads": [2]}, r"config.json: n_heads is \[2\], not a whole number"),
        ({"d_ff": "4"}, "config.json: d_ff is '4', not a whole number"),
        ({"norm_eps": "x"}, "config.json: norm_eps is 'x', not a number"),
        ({"norm_eps": None}, "config.json: norm_eps is None, not a number"),
        ({"norm_eps": float("nan")}, "config.json: norm_eps is nan, not a number"),
        ({"rope_theta": float("inf")}, "config.json: rope_theta is inf, not a number of at most"),
        ({"rope_theta": {"a": 1}}, "config.json: rope_theta is "),
        ({"causal": "no"}, "config.json: causal is 'no', not true or false"),
        ({"bias": "false"}, "config.json: bias is 'false', not true or false"),
        ({"tie_embeddings": 0}, "config.json: tie_embeddings is 0, not true or false"),
        ({"norm": 3}, "config.json: norm is 3, not one of 'layernorm', 'rmsnorm'"),
        ({"n_layers": 10**9}, "n_layers=1000000000, but the file has"),
    ],
)
def test_a_config_of_wrong_types(tmp_path, change, message):
    save_model(tmp_path, CausalLM(ModelConfig(**SMALL)), None, "")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tokens", [1, 2], "'tokens' must hold texts, not 1"),
        ("special", [[1]], r"'special' must hold texts, not \[1\]"),
        ("merges", [1], "'merges' must hold texts, not 1"),
        ("merges", [["a", "b"]], r"'merges' must hold texts, not \['a', 'b'\]"),
        ("pattern", None, "'pattern' must be a str"),
        ("special", {"a": 1}, "'special' must be a list"),
    ],
)
def test_a_tokenizer_of_wrong_types(tmp_path, key, value, message):
    save_model(tmp_path, CausalLM(ModelConfig(**SMALL)), BPETokenizer.train(TEXT, 280), "")
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(data | {key: value}))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path):
    save_model(tmp_path, CausalLM(ModelConfig(**SMALL)), CharTokenizer("abc"), "")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(codecs.BOM_UTF8 + (tmp_path / name).read_bytes())
    assert load(tmp_path).tokenizer.alphabet == "abc"
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"text")
    assert read_text(tmp_path / "a.txt") == "text"
    (tmp_path / "a.toml").write_bytes(codecs.BOM_UTF8 + b"[run]\n")
    with pytest.raises(ValueError, match=r"\[train\] needs the key"):
        read_run_config(tmp_path / "a.toml")


def with_an_adapter(model):
    model.transformer.blocks[0].ffn.register_parameter("extra", nn.Parameter(torch.zeros(1)))
    return model


def with_a_buffer(model):
    model.register_buffer("steps", torch.zeros(1))
    return model


def parted(model):
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    return model


def wider(model):
    model.transformer.norm = nn.LayerNorm(2 * model.config.d_model)
    return model


def of_a_wrong_type(model):
    model.config = replace(model.config, norm_eps="1e-5")
    return model


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (int8_weights, r"_proj.weight, .* and \d+ more: not as in a CausalLM of this config"),
        (int4_weights, r"_proj.weight, .* and \d+ more: not as in a CausalLM of this config"),
        (with_an_adapter, "transformer.blocks.0.ffn.extra: not as in a CausalLM"),
        (with_a_buffer, "steps: not as in a CausalLM"),
        (parted, "lm_head.weight: not as in a CausalLM"),
        (wider, "transformer.norm.weight, transformer.norm.bias: not as in a CausalLM"),
        (of_a_wrong_type, "norm_eps='1e-5' must be a number"),
    ],
)
def test_no_folder_is_written_that_load_would_refuse(tmp_path, spoil, message):
    model = CausalLM(ModelConfig(**SMALL | {"d_model": 32, "vocab_size": 304}))
    with pytest.raises(ValueError, match=message):
        save_model(tmp_path / "m", spoil(model), None, "")
    assert not (tmp_path / "m").exists()


def test_a_tokenizer_that_has_no_file_of_ours_is_refused(tmp_path):
    model = CausalLM(ModelConfig(**SMALL))
    words = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    with pytest.raises(ValueError, match="WordPieceTokenizer has no place in a model folder"):
        save_model(tmp_path / "m", model, words, "")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_stored(tmp_path, number):
    model = CausalLM(ModelConfig(**SMALL))
    with torch.no_grad():
        model.transformer.norm.bias[0] = number
    with pytest.raises(ValueError, match=r"norm\.bias holds a number that torch\.float32 cannot"):
        save_model(tmp_path / "m", model, None, "")
    assert not (tmp_path / "m").exists()


def test_a_translator_comes_back(tmp_path):
    model = Seq2Seq(ModelConfig(**SMALL)).eval()
    save_model(tmp_path, model, BPETokenizer.train(TEXT, 300), "")
    loaded = load(tmp_path)
    source, target = torch.randint(300, (2, 5)), torch.randint(300, (2, 3))
    assert isinstance(loaded.model, Seq2Seq)
    torch.testing.assert_close(loaded.model(source, target), model(source, target))
    assert loaded.tokenizer.vocab_size <= 300

"""Loading from a path: what is refused, and a small Llama written to GGUF and read back."""

import json
import random
import subprocess
import sys
from dataclasses import replace

import gguf
import pytest
import torch
from gguf.constants import GGMLQuantizationType as Kind

from minillm import CausalLM
from minillm.tokenizer.alphabet import BYTE_ORDER, to_printable
from minillm.weights.gguf import GGUF
from minillm.weights.load import load
from minillm.weights.safetensors import write_safetensors
from tests.conftest import LLAMA, randomise

CONFIG = replace(LLAMA, vocab_size=288, d_model=64, n_heads=4, n_kv_heads=2, d_ff=96, n_layers=2)
TOKENS = [*(to_printable(bytes([byte])) for byte in BYTE_ORDER), "ab"]
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TYPES = {
    int: gguf.GGUFValueType.UINT32,
    float: gguf.GGUFValueType.FLOAT32,
    bool: gguf.GGUFValueType.BOOL,
    str: gguf.GGUFValueType.STRING,
}
NAMES = {
    "attention_norm": "attn_norm",
    "ffn_norm": "ffn_norm",
    **{
        f"attention.{ours}_proj": f"attn_{theirs}"
        for ours, theirs in zip("qkv", "qkv", strict=True)
    },
    "attention.o_proj": "attn_output",
    **{f"ffn.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
}


def interleave(rows: torch.Tensor, n_heads: int) -> torch.Tensor:
    """The order of q and k rows in a GGUF file."""
    halves = rows.unflatten(0, (n_heads, 2, -1))
    return halves.transpose(1, 2).flatten(0, 2)


def tensors_of(model: CausalLM) -> dict[str, torch.Tensor]:
    state = {name: p.detach() for name, p in model.named_parameters()}
    heads = {"attention.q_proj": model.config.n_heads, "attention.k_proj": model.config.kv_heads}
    result = {
        "token_embd.weight": state["transformer.embedding.token.weight"],
        "output_norm.weight": state["transformer.norm.weight"],
    }
    if not model.config.tie_embeddings:
        result["output.weight"] = state["lm_head.weight"]
    for i in range(model.config.n_layers):
        for ours, theirs in NAMES.items():
            tensor = state[f"transformer.blocks.{i}.{ours}.weight"]
            tensor = interleave(tensor, heads[ours]) if ours in heads else tensor
            result[f"blk.{i}.{theirs}.weight"] = tensor
    return result


def write_gguf(path, model: CausalLM, *, kind: Kind = Kind.F32, tokens=None, **changes: object):
    """The model as llama.cpp would write it, with a tokenizer of bytes and two marks."""
    c = model.config
    tokens = [*TOKENS, "<|im_start|>", "<|im_end|>"] if tokens is None else tokens
    writer = gguf.GGUFWriter(path, str(changes.pop("architecture", "llama")))
    values = {
        "block_count": c.n_layers,
        "context_length": c.context_length,
        "embedding_length": c.d_model,
        "feed_forward_length": c.ffn_dim,
        "attention.head_count": c.n_heads,
        "attention.head_count_kv": c.kv_heads,
        "vocab_size": c.vocab_size,
        "rope.dimension_count": c.head_dim,
    }
    ends = {key: changes.pop(key) for key in ("eot", "eom") if key in changes}
    for end, token in ends.items():
        writer.add_uint32(f"tokenizer.ggml.{end}_token_id", token)
    for key, value in (values | changes).items():
        writer.add_key_value(f"llama.{key}", value, TYPES[type(value)])
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", c.norm_eps)
    writer.add_float32("llama.rope.freq_base", c.rope_theta)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(258)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in tensors_of(model).items():
        plain = tensor.ndim == 1
        encoding = Kind.F32 if plain else kind
        writer.add_tensor(name, gguf.quantize(tensor.numpy(), encoding), raw_dtype=encoding)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def model():
    return randomise(CausalLM(CONFIG))


@pytest.fixture
def ids():
    return torch.tensor([[1, 2, 3, 250, 7, 7, 9]])


@pytest.mark.parametrize("tied", [True, False])
def test_a_llama_through_gguf_is_the_same_model(tmp_path, ids, tied):
    config = replace(CONFIG, tie_embeddings=tied)
    model = randomise(CausalLM(config))
    loaded = load(write_gguf(tmp_path / "a.gguf", model))
    assert loaded.config == config, "every size comes from the file"
    assert torch.equal(loaded.model(ids), model(ids))
    assert loaded.stop == (258,)
    assert loaded.tokenizer.special == {"<|im_start|>": 257, "<|im_end|>": 258}
    assert loaded.chat_template.default_system is None
    assert (loaded.model.lm_head.weight is loaded.model.transformer.embedding.token.weight) is tied
    assert all(p.requires_grad for p in loaded.model.parameters()), "it can be trained on"


def test_every_id_that_ends_an_answer(tmp_path, model):
    assert load(write_gguf(tmp_path / "a.gguf", model, eot=257)).stop == (258, 257)
    assert load(write_gguf(tmp_path / "a.gguf", model, eot=258, eom=9)).stop == (258, 9)


def test_a_suffix_in_capitals(tmp_path, model, ids):
    path = write_gguf(tmp_path / "MODEL.GGUF", model)
    assert torch.equal(load(path).model(ids), model(ids))
    (tmp_path / "MODEL.BIN").write_bytes(b"")
    with pytest.raises(ValueError, match=r"MODEL.BIN is a pickle"):
        load(tmp_path / "MODEL.BIN")


def test_a_folder_may_be_called_like_a_file(tmp_path):
    (tmp_path / "a.gguf").mkdir()
    with pytest.raises(ValueError, match=r"a.gguf holds no config.json"):
        load(tmp_path / "a.gguf")


def test_an_unknown_chat_template_is_left_out(tmp_path, model, monkeypatch, caplog):
    monkeypatch.setitem(globals(), "TEMPLATE", "{{ raise_exception() }}")
    assert load(write_gguf(tmp_path / "a.gguf", model)).chat_template is None
    assert "not plain ChatML" in caplog.text


def test_loading_does_not_import_the_compiler(tmp_path, model):
    path = write_gguf(tmp_path / "a.gguf", model)
    code = (
        f"import minillm, sys; minillm.load({str(path)!r}); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_quantised_file_is_close(tmp_path, model, ids):
    exact = model(ids)
    for kind, distance in ((Kind.Q8_0, 0.02), (Kind.Q4_1, 0.4)):
        loaded = load(write_gguf(tmp_path / f"{kind.name}.gguf", model, kind=kind))
        error = (loaded.model(ids) - exact).norm() / exact.norm()
        assert 0 < error < distance


def test_the_type_that_was_asked_for(tmp_path, model, ids):
    loaded = load(write_gguf(tmp_path / "a.gguf", model), dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert torch.equal(loaded.model(ids), model.bfloat16()(ids))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_count": 3}, "missing: blk.2.attn_k.weight"),
        ({"block_count": 1}, "left over: blk.1.attn_k.weight"),
        ({"block_count": 4_000_000_000}, "4000000000 layers, the checkpoint 20 tensors"),
        ({"block_count": 0}, "llama.block_count is 0, not a positive"),
        ({"embedding_length": 128, "rope.dimension_count": 32}, r"the model needs \(288, 128\)"),
        ({"feed_forward_length": 100}, r"the model needs \(100, 64\)"),
        ({"attention.head_count": 3}, "n_heads=3"),
        ({"attention.head_count": 8, "rope.dimension_count": 8}, r"the model needs \(16, 64\)"),
        ({"vocab_size": 300}, r"the model needs \(300, 64\)"),
        ({"rope.dimension_count": 8}, "rope.dimension_count is 8, only"),
        ({"expert_count": 4}, "expert_count is 4"),
        ({"architecture": "gemma"}, "general.architecture is 'gemma'"),
        ({"tokens": [*TOKENS, *(f"<|{i}|>" for i in range(256))]}, "513 tokens, but the model"),
    ],
)
def test_metadata_that_do_not_fit_the_tensors(tmp_path, model, changes, message):
    with pytest.raises(ValueError, match=message):
        load(write_gguf(tmp_path / "a.gguf", model, **changes))


def test_flipped_bytes_are_refused_or_change_only_numbers(tmp_path, model):
    path = write_gguf(tmp_path / "a.gguf", model)
    data, chance, refused = path.read_bytes(), random.Random(0), 0
    start = GGUF(path)._start
    for _ in range(120):
        broken = bytearray(data)
        broken[chance.randrange(start)] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            loaded = load(path)
        except ValueError:
            refused += 1
        else:
            shapes = {name: p.shape for name, p in model.named_parameters()}
            assert {name: p.shape for name, p in loaded.model.named_parameters()} == shapes
    assert refused > 40


def folder(tmp_path, **changes: object):
    config = {
        "model_type": "gpt2",
        "vocab_size": 97,
        "n_positions": 64,
        "n_embd": 48,
        "n_layer": 3,
        "n_head": 6,
    } | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    table = {f"{name}.weight": torch.zeros(97, 48) for name in ("wte", "extra", "more")}
    write_safetensors(tmp_path / "model.safetensors", table)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "missing: h.0.attn.c_attn.bias, "),
        ({"n_layer": 4}, "4 layers, the checkpoint 3 tensors"),
        ({"model_type": "mamba"}, "'mamba' is not one of gpt2, llama, bart, bert"),
        ({"model_type": ["gpt2"]}, "is not one of gpt2, llama, bart, bert"),
        ({"n_embd": None}, "n_embd is None, not a positive whole number"),
        ({"n_layer": 2.5}, "n_layer is 2.5"),
        ({"n_layer": True}, "n_layer is True"),
        ({"n_embd": 10**30}, "n_embd is 1000000000000000000000000000000, not"),
        ({"layer_norm_epsilon": 10**400}, "layer_norm_epsilon is 1000"),
        ({"n_head": 5}, "n_heads=5"),
        ({"layer_norm_epsilon": -1.0}, "layer_norm_epsilon is -1.0"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon is nan"),
        ({"activation_function": "swish"}, "activation_function is 'swish'"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'"),
        ({"n_layer": 10**9}, "1000000000 layers, the checkpoint 3 tensors"),
        ({"model_type": "bert"}, "max_position_embeddings is None"),
        ({"model_type": "bert", "hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"model_type": "llama", "attention_bias": True}, "attention_bias is True"),
        (
            {"model_type": "llama", "rope_parameters": {"rope_type": "llama3"}},
            "rope_type is 'llama3'",
        ),
    ],
)
def test_a_config_that_does_not_fit(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load(folder(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "[1]", "{", "\x00", "[" * 100_000])
def test_a_config_that_is_not_json(tmp_path, text):
    (folder(tmp_path) / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json is not (a )?JSON"):
        load(tmp_path)


def test_an_index_without_file_names_is_named(tmp_path):
    (folder(tmp_path) / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    with pytest.raises(ValueError, match=r"index.json has the weight_map 3, not file names"):
        load(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    (folder(tmp_path) / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for shard, name in zip(shards, "ab", strict=True):
        write_safetensors(tmp_path / shard, {name: torch.ones(1), "x": torch.ones(1)})
    with pytest.raises(ValueError, match=r"x is in model-00002.* and in another shard"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.pkl"])
def test_pickles_are_refused_unopened(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'exit 3'\ntR.")
    with pytest.raises(ValueError, match=f"{name} is a pickle"):
        load(tmp_path / name)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match=rf"no model.safetensors; {name} is a pickle"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm", "did you mean 'smollm2-135m-instruct'"),
        ("bible-kjv", "is a text, not a model"),
        ("/no/such/folder", "is no model or path"),
        ("", "is neither|holds no config.json|is no model"),
    ],
)
def test_what_is_no_model(name, message):
    with pytest.raises(ValueError, match=message):
        load(name)


def test_a_folder_without_config_and_a_stray_file(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config.json"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"notes.txt is neither a folder nor a GGUF file"):
        load(tmp_path / "notes.txt")

"""Every setting of a config is one that we have, one that changes nothing, or refused by name."""

import pytest
import transformers
from gguf.constants import Keys

from minillm.weights.configs import bart_config, bert_config, gguf_config, gpt2_config, llama_config
from minillm.weights.lookups import Settings

SIZES = {
    "gpt2": {"vocab_size": 97, "n_positions": 64, "n_embd": 48, "n_layer": 3, "n_head": 6},
    "llama": {
        "vocab_size": 97,
        "max_position_embeddings": 64,
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "intermediate_size": 80,
    },
    "bart": {
        "vocab_size": 97,
        "max_position_embeddings": 64,
        "d_model": 48,
        **{f"{side}_layers": 3 for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": 6 for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": 80 for side in ("encoder", "decoder")},
    },
    "gguf": {
        "general.architecture": "llama",
        "llama.vocab_size": 97,
        "llama.context_length": 64,
        "llama.embedding_length": 48,
        "llama.block_count": 3,
        "llama.feed_forward_length": 80,
        "llama.attention.head_count": 6,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
    },
}
SIZES["bert"] = SIZES["llama"]
READ = {
    "gpt2": gpt2_config,
    "llama": llama_config,
    "bert": bert_config,
    "bart": bart_config,
    "gguf": lambda settings: gguf_config(settings, tied=True),
}


def read(family, **changes):
    return READ[family](Settings(SIZES[family] | changes, "file"))


@pytest.mark.parametrize(
    ("family", "key", "value"),
    [
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("gpt2", "add_cross_attention", True),
        ("gpt2", "activation_function", "quick_gelu"),
        ("gpt2", "multi_query", True),
        ("gpt2", "quantization_config", {"bits": 4}),
        ("llama", "hidden_act", "gelu"),
        ("llama", "attention_bias", True),
        ("llama", "mlp_bias", True),
        ("llama", "head_dim", 16),
        ("llama", "partial_rotary_factor", 0.5),
        ("llama", "sliding_window", 16),
        ("llama", "logit_scale", 0.5),
        ("llama", "final_logit_softcapping", 30.0),
        ("llama", "embedding_multiplier", 2.0),
        ("llama", "rope_interleaved", True),
        ("llama", "no_rope_layers", [0, 1]),
        ("llama", "rope_scaling", {"type": "linear", "factor": 4.0}),
        ("llama", "rope_scaling", {"rope_type": "llama3", "factor": 4.0}),
        ("llama", "rope_scaling", {"factor": 4.0}),
        ("llama", "rope_scaling", {"mrope_section": [1, 2]}),
        ("llama", "rope_scaling", "linear"),
        ("llama", "rope_scaling", {"type": "default", "rope_type": "yarn"}),
        ("llama", "rope_parameters", {"type": "linear", "factor": 4.0, "rope_theta": 1e4}),
        ("llama", "rope_parameters", {"rope_type": "default", "partial_rotary_factor": 0.5}),
        ("llama", "rope_parameters", {"rope_type": "default", "factor": 2.0}),
        ("llama", "rope_parameters", {"full_attention": {"rope_type": "linear"}}),
        ("llama", "rope_parameters", [1]),
        ("bert", "hidden_act", "gelu_new"),
        ("bert", "is_decoder", True),
        ("bert", "add_cross_attention", True),
        ("bert", "position_embedding_type", "relative_key"),
        ("bert", "embedding_size", 16),
        ("bert", "pruned_heads", {"0": [1]}),
        ("bart", "scale_embedding", True),
        ("bart", "normalize_before", True),
        ("bart", "normalize_embedding", False),
        ("bart", "add_final_layer_norm", True),
        ("bart", "static_position_embeddings", True),
        ("bart", "extra_pos_embeddings", 0),
        ("bart", "tie_word_embeddings", False),
        ("gguf", "general.type", "adapter"),
        ("gguf", "split.count", 2),
        ("gguf", "llama.rope.scaling.factor", 4.0),
        ("gguf", "llama.rope.scale_linear", 4.0),
        ("gguf", "llama.rope.scaling.type", "yarn"),
        ("gguf", "llama.rope.scaling.attn_factor", 0.5),
        ("gguf", "llama.rope.dimension_count", 4),
        ("gguf", "llama.attention.key_length", 16),
        ("gguf", "llama.attention.causal", False),
        ("gguf", "mystery.number", 3),
    ],
)
def test_what_would_change_the_model_is_refused_by_name(family, key, value):
    with pytest.raises(ValueError, match=rf"^file: .*{key.split('.')[-1]}"):
        read(family, **{key: value})


LLAMA_KEYS = {
    key.format(arch="llama")
    for group in (Keys.LLM, Keys.Attention, Keys.Rope)
    for key in vars(group).values()
    if isinstance(key, str) and key.startswith("{arch}.") and "{dense}" not in key
}
NEUTRAL = {"llama.tensor_data_layout", "llama.rope.freq_base", "llama.attention.head_count_kv"} | {
    f"llama.rope.scaling.{key}" for key in ("original_context_length", "finetuned")
}


@pytest.mark.parametrize("key", sorted(LLAMA_KEYS - SIZES["gguf"].keys() - NEUTRAL))
def test_every_other_key_that_a_gguf_file_can_hold(key):
    with pytest.raises(ValueError, match=key):
        read("gguf", **{key: 7})


@pytest.mark.parametrize(
    ("family", "changes", "theta"),
    [
        ("llama", {}, 1e4),
        ("llama", {"rope_theta": 5e2}, 5e2),
        ("llama", {"rope_theta": 5e2, "rope_scaling": None}, 5e2),
        ("llama", {"rope_scaling": {"type": "default"}}, 1e4),
        ("llama", {"rope_scaling": {"rope_type": "default", "rope_theta": 5e2}}, 5e2),
        ("llama", {"rope_parameters": {"rope_theta": 5e2}, "rope_theta": 5e2}, 5e2),
        ("llama", {"partial_rotary_factor": 1.0, "hidden_act": "swish", "pretraining_tp": 2}, 1e4),
        ("llama", {"sliding_window": None, "rope_interleaved": False, "head_dim": 8}, 1e4),
        ("gguf", {"llama.rope.freq_base": 5e2, "general.name": "x"}, 5e2),
        ("gguf", {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 1.0}, 1e4),
        ("gguf", {"llama.rope.scaling.type": "none", "llama.rope.scaling.finetuned": True}, 1e4),
        ("gguf", {"llama.attention.key_length": 8, "llama.rope.dimension_count": 8}, 1e4),
    ],
)
def test_what_changes_nothing_is_read(family, changes, theta):
    assert read(family, **changes).rope_theta == theta


def test_two_bases_of_the_rotation_are_refused():
    with pytest.raises(ValueError, match=r"rope_theta is 500.0 and 700.0"):
        read("llama", rope_theta=5e2, rope_parameters={"rope_theta": 7e2})


@pytest.mark.parametrize(
    "config",
    [
        transformers.GPT2Config,
        transformers.LlamaConfig,
        transformers.BertConfig,
        transformers.BartConfig,
    ],
)
def test_whatever_transformers_writes_is_known(config):
    values = config().to_dict()
    READ[config.model_type](Settings(values, "file"))

"""A model's config in our words, read from config.json or from the metadata of a GGUF file.

Sizes always come from the file, never from a preset that is only believed to fit. A setting that
our model does not have is refused by name, and so is one that nobody here has heard of. Dropout is
not read: it belongs to training and starts at 0. Left out on purpose: scaled rotary positions
(long-context Llamas) and attention biases.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from typing import Any

from minillm.nn.config import ModelConfig
from minillm.weights.lookups import Settings


def gpt2_config(settings: Settings) -> ModelConfig:
    """The config of a GPT-2 checkpoint.

    Raises:
        ValueError: If a size is missing or a setting is not supported.

    Book: chapter "A GPT, and the real thing".
    """
    settings.demand("scale_attn_weights", True)
    settings.demand("scale_attn_by_inverse_layer_idx", False)
    settings.demand("add_cross_attention", False)
    d_model = settings.size("n_embd")
    config = ModelConfig(
        vocab_size=settings.size("vocab_size"),
        context_length=settings.size("n_positions"),
        d_model=d_model,
        n_layers=settings.size("n_layer"),
        n_heads=settings.size("n_head"),
        d_ff=settings.size("n_inner", 4 * d_model),
        norm_eps=settings.real("layer_norm_epsilon", 1e-5),
        ffn=settings.activation("activation_function", "gelu_new"),
        tie_embeddings=settings.flag("tie_word_embeddings", True),
    )
    settings.refuse_the_rest("gpt2")
    return config


def llama_config(settings: Settings) -> ModelConfig:
    """The config of a Llama checkpoint.

    Raises:
        ValueError: If a size is missing or a setting is not supported.

    Book: chapter "A GPT, and the real thing".
    """
    settings.demand("hidden_act", "silu", "swish")
    settings.demand("attention_bias", False)
    settings.demand("mlp_bias", False)
    rope_theta = _rope_theta(settings)
    heads = settings.size("num_attention_heads")
    config = ModelConfig(
        vocab_size=settings.size("vocab_size"),
        context_length=settings.size("max_position_embeddings"),
        d_model=settings.size("hidden_size"),
        n_layers=settings.size("num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=settings.size("num_key_value_heads", heads),
        d_ff=settings.size("intermediate_size"),
        norm="rmsnorm",
        norm_eps=settings.real("rms_norm_eps", 1e-6),
        ffn="swiglu",
        position="rope",
        rope_theta=rope_theta,
        bias=False,
        tie_embeddings=settings.flag("tie_word_embeddings", False),
    )
    settings.demand("head_dim", config.head_dim, None)
    settings.refuse_the_rest("llama")
    return config


def _rope_theta(settings: Settings) -> float:
    """The base of the rotation, which has stood in three places; scaled positions are refused.

    Old files have rope_theta by itself, and "type" in rope_scaling; newer ones have all of it in
    rope_parameters, with "rope_type". A factor without any type is none that we could guess.
    """
    places = [settings]
    for name in ("rope_parameters", "rope_scaling"):
        if (inner := settings.get(name)) is None:
            continue
        if not isinstance(inner, dict):
            raise ValueError(f"{settings.where}: {name} is {inner!r}, not a table")
        places.append(Settings(inner, f"{settings.where}: {name}"))
        places[-1].demand("rope_type", "default", None)
        places[-1].demand("type", "default", None)
    thetas = set()
    for place in places:
        place.demand("partial_rotary_factor", None, 1.0)
        if place.get("rope_theta") is not None:
            thetas.add(place.real("rope_theta"))
    for place in places[1:]:
        place.demand("factor", None, 1.0)
        place.refuse_the_rest("llama")
    if len(thetas) > 1:
        raise ValueError(
            f"{settings.where}: rope_theta is {' and '.join(map(str, sorted(thetas)))}"
        )
    return thetas.pop() if thetas else 10_000.0


def bert_config(settings: Settings) -> ModelConfig:
    """The config of a BERT checkpoint.

    Raises:
        ValueError: If a size is missing or a setting is not supported.

    Book: chapter "Objectives".
    """
    settings.demand("hidden_act", "gelu")
    settings.demand("position_embedding_type", "absolute")
    settings.demand("is_decoder", False)
    settings.demand("add_cross_attention", False)
    config = ModelConfig(
        vocab_size=settings.size("vocab_size"),
        context_length=settings.size("max_position_embeddings"),
        d_model=settings.size("hidden_size"),
        n_layers=settings.size("num_hidden_layers"),
        n_heads=settings.size("num_attention_heads"),
        d_ff=settings.size("intermediate_size"),
        norm_eps=settings.real("layer_norm_eps", 1e-12),
        norm_placement="post",
        ffn="gelu",
        causal=False,
        n_segments=settings.size("type_vocab_size", 2),
        embedding_norm=True,
        tie_embeddings=settings.flag("tie_word_embeddings", True),
    )
    settings.refuse_the_rest("bert")
    return config


def bart_config(settings: Settings) -> ModelConfig:
    """The config of a BART checkpoint; encoder and decoder must have the same sizes.

    Raises:
        ValueError: If a size is missing or a setting is not supported.

    Book: chapter "Encoder, decoder, both".
    """
    settings.demand("scale_embedding", False)
    settings.demand("tie_word_embeddings", True)
    settings.demand("normalize_before", False)
    settings.demand("normalize_embedding", True)
    settings.demand("extra_pos_embeddings", 2)
    sizes = {}
    for name in ("layers", "attention_heads", "ffn_dim"):
        sizes[name] = settings.size(f"encoder_{name}")
        settings.demand(f"decoder_{name}", sizes[name])
    config = ModelConfig(
        vocab_size=settings.size("vocab_size"),
        context_length=settings.size("max_position_embeddings"),
        d_model=settings.size("d_model"),
        n_layers=sizes["layers"],
        n_heads=sizes["attention_heads"],
        d_ff=sizes["ffn_dim"],
        norm_placement="post",
        ffn=settings.activation("activation_function", "gelu"),
        embedding_norm=True,
    )
    settings.refuse_the_rest("bart")
    return config


GGUF_DEMANDS: dict[str, tuple[Any, ...]] = {
    "general.architecture": ("llama",),
    "general.type": ("model",),
    "split.count": (None, 0, 1),
    "llama.rope.scaling.type": (None, "none", "linear"),
    "llama.rope.scaling.factor": (None, 0, 1),  # counts without a type, too
    "llama.rope.scale_linear": (None, 0, 1),  # its name in old files
    "llama.rope.scaling.attn_factor": (None, 1),
    "llama.attention.causal": (True,),
    "llama.expert_count": (None, 0),
}
"""What a GGUF file of a Llama that we can compute may say, and nothing else."""


def gguf_config(settings: Settings, *, tied: bool) -> ModelConfig:
    """The config of a Llama model in a GGUF file.

    Args:
        settings: the file's metadata.
        tied: whether the file has no output matrix of its own.

    Raises:
        ValueError: If the model is no Llama, a size is missing or a setting is not supported.

    Book: chapter "A GPT, and the real thing".
    """
    for name, values in GGUF_DEMANDS.items():
        settings.demand(name, *values)
    heads = settings.size("llama.attention.head_count")
    config = ModelConfig(
        vocab_size=settings.size(
            "llama.vocab_size", len(settings.values.get("tokenizer.ggml.tokens", ()))
        ),
        context_length=settings.size("llama.context_length"),
        d_model=settings.size("llama.embedding_length"),
        n_layers=settings.size("llama.block_count"),
        n_heads=heads,
        n_kv_heads=settings.size("llama.attention.head_count_kv", heads),
        d_ff=settings.size("llama.feed_forward_length"),
        norm="rmsnorm",
        norm_eps=settings.real("llama.attention.layer_norm_rms_epsilon"),
        ffn="swiglu",
        position="rope",
        rope_theta=settings.real("llama.rope.freq_base", 10_000.0),
        bias=False,
        tie_embeddings=tied,
    )
    for width in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
        settings.demand(f"llama.{width}", config.head_dim)
    settings.refuse_the_rest("gguf")
    return config

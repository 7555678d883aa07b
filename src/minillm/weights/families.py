"""Which tensor is which: the tables of GPT-2, Llama, BERT and BART.

Each row names our parameter, theirs, and what to do with the numbers. Left out on purpose:
checkpoints that keep a family's name but change its parts.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Mapping

from minillm.nn.config import ModelConfig
from minillm.weights.convert import Rule, Table
from minillm.weights.transforms import Transform, drop_rows, same, split, transpose, unpermute

WEIGHT, BOTH = ("weight",), ("weight", "bias")
BLOCK = "transformer.blocks.{i}."
HEAD = Rule(("lm_head.weight",), "lm_head.weight", same)


def gpt2_table(config: ModelConfig) -> Table:
    """GPT-2 in the Hugging Face layout: matrices transposed, queries, keys and values fused.

    Source: Radford et al. (2019), "Language models are unsupervised multitask learners".
    Book: chapter "A GPT, and the real thing".
    """
    fused = tuple(
        Rule(tuple(f"{BLOCK}attention.{p}_proj.{kind}" for p in "qkv"), theirs, split(3))
        for kind, theirs in (
            ("weight", "h.{i}.attn.c_attn.weight"),
            ("bias", "h.{i}.attn.c_attn.bias"),
        )
    )
    return Table(
        prefix="transformer.",
        ignored=r"h\.\d+\.attn\.(bias|masked_bias)",  # the causal mask of old checkpoints
        copies={"lm_head.weight": "wte.weight"} if config.tie_embeddings else {},
        rules=(
            *_rows("transformer.", WEIGHT, {"embedding.token": "wte", "embedding.position": "wpe"}),
            *_rows("transformer.", BOTH, {"norm": "ln_f"}),
            *_rows(BLOCK, BOTH, {"attention_norm": "h.{i}.ln_1", "ffn_norm": "h.{i}.ln_2"}),
            *fused,
            *_rows(BLOCK, BOTH, GPT2_LINEAR, transpose),
            *(() if config.tie_embeddings else (HEAD,)),
        ),
    )


GPT2_LINEAR = {
    "attention.o_proj": "h.{i}.attn.c_proj",
    "ffn.up_proj": "h.{i}.mlp.c_fc",
    "ffn.down_proj": "h.{i}.mlp.c_proj",
}


def llama_table(config: ModelConfig) -> Table:
    """Llama in the Hugging Face layout: only the names differ.

    Source: Touvron et al. (2023), arXiv:2302.13971.
    Book: chapter "A GPT, and the real thing".
    """
    parts = {f"attention.{p}_proj": f"layers.{{i}}.self_attn.{p}_proj" for p in "qkvo"}
    parts |= {f"ffn.{p}_proj": f"layers.{{i}}.mlp.{p}_proj" for p in ("gate", "up", "down")}
    parts |= {
        "attention_norm": "layers.{i}.input_layernorm",
        "ffn_norm": "layers.{i}.post_attention_layernorm",
    }
    return Table(
        prefix="model.",
        ignored=r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",  # recomputed from rope_theta
        copies={"lm_head.weight": "embed_tokens.weight"} if config.tie_embeddings else {},
        rules=(
            *_rows("transformer.", WEIGHT, {"embedding.token": "embed_tokens", "norm": "norm"}),
            *_rows(BLOCK, WEIGHT, parts),
            *(() if config.tie_embeddings else (HEAD,)),
        ),
    )


def llama_gguf_table(config: ModelConfig) -> Table:
    """Llama in a GGUF file: other names, and the rows of q and k in interleaved rotary order.

    Source: https://github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py.
    Book: chapter "A GPT, and the real thing".
    """
    parts = {
        "attention_norm": "blk.{i}.attn_norm",
        "attention.v_proj": "blk.{i}.attn_v",
        "attention.o_proj": "blk.{i}.attn_output",
        "ffn_norm": "blk.{i}.ffn_norm",
        **{f"ffn.{p}_proj": f"blk.{{i}}.ffn_{p}" for p in ("gate", "up", "down")},
    }
    head = Rule(("lm_head.weight",), "output.weight", same)
    queries = {"attention.q_proj": "blk.{i}.attn_q"}
    keys = {"attention.k_proj": "blk.{i}.attn_k"}
    return Table(
        rules=(
            *_rows(
                "transformer.", WEIGHT, {"embedding.token": "token_embd", "norm": "output_norm"}
            ),
            *_rows(BLOCK, WEIGHT, parts),
            *_rows(BLOCK, WEIGHT, queries, unpermute(config.n_heads)),
            *_rows(BLOCK, WEIGHT, keys, unpermute(config.kv_heads)),
            *(() if config.tie_embeddings else (head,)),
        ),
    )


def bert_table(config: ModelConfig, *, masked_lm: bool) -> Table:
    """BERT in the Hugging Face layout, with or without the head that guesses masked words.

    The pooler and the head for next sentences (seq_relationship) carry nothing that our models use.

    Source: Devlin et al. (2019), arXiv:1810.04805.
    Book: chapter "Objectives".
    """
    words, guess = "embeddings.word_embeddings.weight", "cls.predictions."
    decoder, ignored = f"{guess}decoder.", r"embeddings\.position_ids|pooler\..*|cls\.seq_.*"
    if config.tie_embeddings:
        output: tuple[Rule, ...] = (Rule(("lm_head.bias",), guess + "bias", same),)
        copies = {decoder + "weight": words, decoder + "bias": guess + "bias"}
    else:  # the decoder then uses its own bias, and the other one is idle
        output, copies = _rows("", BOTH, {"lm_head": decoder[:-1]}), {}
        ignored += r"|cls\.predictions\.bias"
    return Table(
        prefix="bert.",
        renamed={".gamma": ".weight", ".beta": ".bias"},
        ignored=ignored,
        copies=copies if masked_lm else {},
        rules=(
            *_rows("transformer.", WEIGHT, BERT_EMBEDDINGS),
            *_rows("transformer.", BOTH, {"embedding.norm": "embeddings.LayerNorm"}),
            *_rows(BLOCK, BOTH, BERT_BLOCK),
            *((*_rows("", BOTH, BERT_HEAD), *output) if masked_lm else ()),
        ),
    )


BERT_HEAD = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
}
BERT_EMBEDDINGS = {
    "embedding.token": "embeddings.word_embeddings",
    "embedding.position": "embeddings.position_embeddings",
    "embedding.segment": "embeddings.token_type_embeddings",
}
BERT_BLOCK = {
    "attention.q_proj": "encoder.layer.{i}.attention.self.query",
    "attention.k_proj": "encoder.layer.{i}.attention.self.key",
    "attention.v_proj": "encoder.layer.{i}.attention.self.value",
    "attention.o_proj": "encoder.layer.{i}.attention.output.dense",
    "attention_norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "ffn.up_proj": "encoder.layer.{i}.intermediate.dense",
    "ffn.down_proj": "encoder.layer.{i}.output.dense",
    "ffn_norm": "encoder.layer.{i}.output.LayerNorm",
}


def bart_table(_config: ModelConfig) -> Table:
    """BART in the Hugging Face layout: an encoder and a decoder that share one embedding.

    Its position table begins with two rows that are never used, and its checkpoints may hold a bias
    of the logits, which is 0 in the published ones and must be.

    Source: Lewis et al. (2019), arXiv:1910.13461.
    Book: chapter "Encoder, decoder, both".
    """
    rules = []
    for side in ("encoder", "decoder"):
        cross = BART_CROSS if side == "decoder" else {}
        parts = {o: f"{side}.layers.{{i}}.{t}" for o, t in (BART_BLOCK | cross).items()}
        positions = {"embedding.position": f"{side}.embed_positions"}
        rules += [
            *_rows(f"{side}.", WEIGHT, positions, drop_rows(2)),
            *_rows(f"{side}.", BOTH, {"embedding.norm": f"{side}.layernorm_embedding"}),
            *_rows(f"{side}.blocks.{{i}}.", BOTH, parts),
        ]
    words = "shared.weight"
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    return Table(
        prefix="model.",
        copies=dict.fromkeys(copies, words),
        zeros=frozenset({"final_logits_bias"}),
        rules=(Rule(("encoder.embedding.token.weight",), words, same), *rules),
    )


BART_BLOCK = {
    **{f"attention.{p}_proj": f"self_attn.{p}_proj" for p in "qkv"},
    "attention.o_proj": "self_attn.out_proj",
    "attention_norm": "self_attn_layer_norm",
    "ffn.up_proj": "fc1",
    "ffn.down_proj": "fc2",
    "ffn_norm": "final_layer_norm",
}
BART_CROSS = {
    **{f"cross_attention.{p}_proj": f"encoder_attn.{p}_proj" for p in "qkv"},
    "cross_attention.o_proj": "encoder_attn.out_proj",
    "cross_norm": "encoder_attn_layer_norm",
}


def _rows(
    prefix: str, kinds: tuple[str, ...], names: Mapping[str, str], transform: Transform = same
) -> tuple[Rule, ...]:
    """Rows for .weight, which is transformed, and .bias, which never is."""
    return tuple(
        Rule(
            (f"{prefix}{ours}.{kind}",), f"{theirs}.{kind}", transform if kind == "weight" else same
        )
        for ours, theirs in names.items()
        for kind in kinds
    )

"""Which settings of a published config change nothing that our models compute.

A config names its sizes, and much else: how its model was trained, how text is to be generated, who
wrote the file. What stands in neither list, nor is asked for by name, may change the model, so it
is refused. Left out on purpose: guessing from the name of a setting what it does.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import re

ANYWHERE = """
_attn_implementation_autoset _flash_attn_2_enabled _name_or_path _num_labels architectures
bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward decoder_start_token_id
diversity_penalty do_sample dtype early_stopping encoder_no_repeat_ngram_size eos_token_id
exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id
gradient_checkpointing id2label initializer_range is_encoder_decoder label2id length_penalty
max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_labels
num_return_sequences output_attentions output_hidden_states output_past output_scores pad_token_id
prefix problem_type remove_invalid_values repetition_penalty return_dict return_dict_in_generate
sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss tokenizer_class top_k
top_p torch_dtype torchscript transformers.js_config transformers_version typical_p unsloth_fixed
unsloth_version use_bfloat16 use_cache use_return_dict
"""
"""Keys of every family: training, generation, labels, and notes about the file."""

OWN = {
    "gpt2": """
        attn_pdrop embd_pdrop n_ctx reorder_and_upcast_attn resid_pdrop summary_activation
        summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
        """,
    "llama": "attention_dropout is_llama_config pretraining_tp",
    "bert": """
        attention_probs_dropout_prob classifier_dropout directionality hidden_dropout_prob
        pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head
        pooler_type
        """,
    "bart": """
        activation_dropout attention_dropout classif_dropout classifier_dropout decoder_layerdrop
        dropout encoder_layerdrop force_bos_token_to_be_generated init_std num_hidden_layers
        save_step
        """,
}
"""Keys of one family, and the dropouts that only count in training."""

GGUF = re.compile(
    r"""general\.(?!architecture$|type$).* | split\.(no|tensors\.count) | quantize\.imatrix\..*
    | llama\.(tensor_data_layout | rope\.scaling\.(original_context_length|finetuned))
    | tokenizer\..*""",  # which `tokenizer_from_gguf` looks through
    re.VERBOSE,
)
"""Keys of a GGUF file that change nothing in the model."""


def harmless(family: str, key: str) -> bool:
    """Whether a setting changes nothing that a model of this family computes.

    Args:
        family: a model_type, or "gguf".
        key: the setting's name.

    Example:
        >>> harmless("llama", "torch_dtype"), harmless("llama", "logit_scale")
        (True, False)

    Book: chapter "A GPT, and the real thing".
    """
    if family == "gguf":
        return GGUF.fullmatch(key) is not None
    return key in f"{ANYWHERE} {OWN[family]}".split()

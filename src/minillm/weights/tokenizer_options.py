"""What a tokenizer_config.json asks for, by itself or beside a tokenizer.json.

Beside a tokenizer.json it must not contradict it. Where there are only lists of tokens, it says how
text is cleaned. Every other key that could change an id is refused by name.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minillm.weights.tokenizer_json import Unsupported, frame, parts_of

NAMES = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
HARMLESS = """
additional_special_tokens auto_map backend chat_template clean_up_tokenization_spaces errors
extra_special_tokens is_local legacy local_files_only max_length max_len model_input_names
model_max_length model_specific_special_tokens name_or_path pad_to_multiple_of pad_token_type_id
padding padding_side processor_class special_tokens_map_file stride tokenizer_class tokenizer_file
trim_offsets truncation truncation_side truncation_strategy use_default_system_prompt use_fast
vocab_size
"""
"""Keys that concern batches, decoding and the making of prompts, but not the ids of a text."""
CLEANING = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""Keys that say again what the normaliser of a tokenizer.json says."""


def known(settings: Mapping[str, Any], *also: str) -> None:
    """Refuse a key that has a value and may change ids.

    Raises:
        Unsupported: If there is one.
    """
    for key, value in settings.items():
        fine = (
            key in HARMLESS.split()
            or key in NAMES
            or key in also
            or value in (None, False, "", [], {})
        )
        if not fine and not (key == "do_basic_tokenize" and value is True):
            raise Unsupported(f"tokenizer_config.json: {key}", value)
    if settings.get("do_basic_tokenize", True) is not True:
        raise Unsupported("tokenizer_config.json: do_basic_tokenize", settings["do_basic_tokenize"])


def agree(settings: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse settings that contradict the tokenizer.json beside them.

    Raises:
        Unsupported: If one does.
    """
    marks = ("add_bos_token", "add_eos_token")
    spaces = ("add_prefix_space",)
    known(settings, *CLEANING, *marks, *spaces, "added_tokens_decoder")
    cleaner = parts_of(values.get("normalizer"), "normalizer", "normalizers")
    stated = {key: value for part in cleaner for key, value in part.items()}
    cutter = parts_of(values.get("pre_tokenizer"), "pre_tokenizer", "pretokenizers")
    stated |= {"add_prefix_space": any(part.get("add_prefix_space") for part in cutter)}
    for key in (*CLEANING, *spaces):
        value = settings.get(key)
        if value is not None and value != stated.get(CLEANING.get(key, key), False):
            raise Unsupported(f"tokenizer_config.json: {key}", value)
    for key, side in zip(marks, frame(values), strict=True):
        if settings.get(key) is not None and bool(settings[key]) != bool(side):
            raise Unsupported(f"tokenizer_config.json: {key}", settings[key])
    _same_added(settings, {t["content"]: t["id"] for t in values.get("added_tokens") or []})


def alone(settings: Mapping[str, Any], files: Mapping[str, Any], ids: Mapping[str, int]) -> None:
    """Refuse settings that lists of tokens alone do not cover.

    Raises:
        Unsupported: If there is one.
    """
    if "added_tokens.json" in files:
        raise Unsupported("added_tokens.json", "there")
    bert = "vocab.txt" in files
    known(settings, *(CLEANING if bert else ("add_prefix_space",)), "added_tokens_decoder")
    _same_added(settings, ids)
    if bert:
        wanted = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls")}
        for key, text in wanted.items():
            if settings.get(key) is not None and _text(settings[key]) != text:
                raise Unsupported(f"tokenizer_config.json: {key}", settings[key])
    elif "<s>" in ids:  # RoBERTa and BART put marks around every text
        raise Unsupported("the special tokens of vocab.json", "not those of GPT-2")


def wordpiece_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How a WordPiece tokenizer of a vocab.txt cleans text."""
    lower_case, split = (settings.get(k) for k in ("do_lower_case", "tokenize_chinese_chars"))
    return {
        "lower_case": True if lower_case is None else bool(lower_case),
        "strip_accents": settings.get("strip_accents"),
        "split_ideographs": True if split is None else bool(split),
    }


def prefix_space_of(settings: Mapping[str, Any]) -> bool:
    """Whether a space is put before each text."""
    return bool(settings.get("add_prefix_space", False))


def special_names(settings: Mapping[str, Any]) -> set[str]:
    """Texts of the special tokens of a vocabulary like GPT-2's."""
    return {"<|endoftext|>"} | {_text(settings[key]) for key in NAMES if settings.get(key)}


def _text(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _same_added(settings: Mapping[str, Any], ids: Mapping[str, int]) -> None:
    """Added tokens that stand here again must be those of the other file."""
    for i, token in (settings.get("added_tokens_decoder") or {}).items():
        if str(ids.get(token["content"])) != str(i):
            raise Unsupported("tokenizer_config.json: added_tokens_decoder", {i: token["content"]})

"""The tokenizer that belongs to a checkpoint, from a GGUF file or a Hugging Face folder.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minillm.tokenizer import GPT2_PATTERN, SMOLLM2_PATTERN, BPETokenizer
from minillm.wordpiece import WordPieceTokenizer

logger = logging.getLogger(__name__)
PATTERNS = {"smollm": SMOLLM2_PATTERN, "gpt-2": GPT2_PATTERN, "gpt2": GPT2_PATTERN}
NORMAL, BYTE = 1, 6  # kinds of token in a GGUF file; all others are special
JSON_PATTERNS = {
    ("ByteLevel",): GPT2_PATTERN,
    ("Digits", "ByteLevel"): SMOLLM2_PATTERN,
}


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> BPETokenizer:
    """Build the byte-level BPE tokenizer that a GGUF file carries.

    Raises:
        ValueError: If the file's tokenizer is of another kind or its lists do not fit.

    Book: chapter "A GPT, and the real thing".
    """
    model, cut = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model != "gpt2" or cut not in PATTERNS:
        raise ValueError(f"tokenizer {model!r} that cuts words like {cut!r} is not supported")
    tokens, merges = _texts(metadata, "tokens"), _texts(metadata, "merges")
    kinds = metadata.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise ValueError(f"the kinds of the {len(tokens)} tokens are not given")
    special = [t for t, kind in zip(tokens, kinds, strict=True) if kind not in (NORMAL, BYTE)]
    return BPETokenizer.from_vocab(tokens, merges, pattern=PATTERNS[cut], special=special)


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    texts = metadata.get(f"tokenizer.ggml.{key}")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"tokenizer.ggml.{key} is not a list of texts")
    return texts


def tokenizer_from_folder(folder: Path) -> BPETokenizer | WordPieceTokenizer | None:
    """Build the tokenizer of a Hugging Face folder; None (and a warning) if there is none we know.

    Raises:
        ValueError: If a file of a known kind is malformed.

    Book: chapter "A GPT, and the real thing".
    """
    if (folder / "tokenizer.json").is_file():
        return _from_tokenizer_json(read_json(folder / "tokenizer.json"))
    if (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        options = folder / "tokenizer_config.json"
        settings = read_json(options) if options.is_file() else {}
        return WordPieceTokenizer(
            [line.removesuffix("\r") for line in lines if line],
            lower_case=bool(settings.get("do_lower_case", True)),
        )
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        merges = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
        merges = [line for line in merges if line and not line.startswith("#version")]
        return _bpe(read_json(folder / "vocab.json"), merges, GPT2_PATTERN, {"<|endoftext|>"})
    logger.warning("%s holds no tokenizer: the model is loaded without one", folder)
    return None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: If the file holds anything else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return values


def _from_tokenizer_json(values: dict[str, Any]) -> BPETokenizer | WordPieceTokenizer | None:
    try:
        model, added = values["model"], [t["content"] for t in values.get("added_tokens", [])]
        if model["type"] == "WordPiece":
            lower_case = bool(values["normalizer"]["lowercase"])
            return WordPieceTokenizer(_by_id(model["vocab"]), lower_case=lower_case)
        step = values.get("pre_tokenizer") or {}
        kinds = tuple(part["type"] for part in step.get("pretokenizers", [step]))
        if model["type"] == "BPE" and kinds in JSON_PATTERNS:
            merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
            vocabulary = model["vocab"] | {t["content"]: t["id"] for t in values["added_tokens"]}
            return _bpe(vocabulary, merges, JSON_PATTERNS[kinds], set(added))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"tokenizer.json is malformed: {error!r}") from error
    logger.warning("tokenizer.json is of a kind we do not have: the model is loaded without it")
    return None


def _by_id(vocabulary: dict[str, int]) -> list[str]:
    """Pieces in the order of their ids, which must have no gaps."""
    if any(type(i) is not int for i in vocabulary.values()):
        raise ValueError("the id of a token is not a whole number")
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError(f"the ids of {len(vocabulary)} tokens have gaps or repetitions")
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _bpe(
    vocabulary: dict[str, int], merges: list[str], pattern: str, special: set[str]
) -> BPETokenizer:
    tokens = _by_id(vocabulary)
    return BPETokenizer.from_vocab(
        tokens, merges, pattern=pattern, special=[t for t in tokens if t in special]
    )

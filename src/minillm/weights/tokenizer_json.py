"""What a tokenizer.json asks for, and a refusal by name of all that we do not have.

The format describes a pipeline: normaliser, pre-tokeniser, model, post-processor, decoder, and
added tokens. Every key is one that we follow, one that changes no id, or the reason why a model is
loaded without its tokenizer. Left out on purpose: Unigram and byte fallback (SentencePiece), other
splitters than those of GPT-2 and SmolLM2, most normalisers.

Source: https://github.com/huggingface/tokenizers.
Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from minillm.tokenizer import GPT2_PATTERN, SMOLLM2_PATTERN
from minillm.tokenizer.added import AddedToken
from minillm.tokenizer.alphabet import to_printable
from minillm.tokenizer.wordpiece import CONTINUATION, LONGEST_WORD, UNKNOWN, WordPieceTokenizer

logger = logging.getLogger(__name__)
RUNS_OF_DIGITS = SMOLLM2_PATTERN.replace(r"|\p{N}|", r"|\p{N}+|")
NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
ADDED = ("id", "content", "special", "single_word", "lstrip", "rstrip", "normalized")


class Unsupported(Exception):  # noqa: N818  it is a reason, not a fault
    """A sound file asks for something that we do not have; the model is usable without it."""

    def __init__(self, setting: str, value: Any) -> None:
        shown = repr(value)
        super().__init__(f"{setting} is {shown[:80]}{'…' if len(shown) > 80 else ''}")


def step(part: Any, where: str, **known: Any) -> dict[str, Any]:
    """One step of the pipeline, in which every key has a known value.

    Args:
        part: the step.
        where: its name, for messages.
        known: the keys it may have, each with the values that we follow; an empty tuple stands for
            any value. What is missing has the first of them.

    Raises:
        Unsupported: If another key has a value, or a key another value.
    """
    for key, value in part.items():
        if key == "type":
            continue
        if key not in known and value not in (None, False, "", [], {}):
            raise Unsupported(f"{where}.{key}", value)
        if known.get(key) and not any(value is one or value == one for one in known[key]):
            raise Unsupported(f"{where}.{key}", value)
    return {key: values[0] for key, values in known.items() if values} | dict(part)


def parts_of(part: Any, where: str, inside: str) -> list[dict[str, Any]]:
    """The steps of a step, which may be none, one or a sequence."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    step(part, where, **{inside: ()})
    return [one for inner in part[inside] for one in parts_of(inner, where, inside)]


def only_kinds(parts: list[dict[str, Any]], where: str, *kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of the steps, if they are one of the given."""
    found = tuple(part["type"] for part in parts)
    if found not in kinds:
        raise Unsupported(where, " + ".join(found) or None)
    return found


def normal_form(values: Mapping[str, Any]) -> Any:
    """The normal form of a byte-level tokenizer, or None."""
    parts = parts_of(values.get("normalizer"), "normalizer", "normalizers")
    kinds = only_kinds(parts, "normalizer", (), *((form,) for form in NORMAL_FORMS))
    for part in parts:
        step(part, "normalizer")
    return kinds[0] if kinds else None


def words(values: Mapping[str, Any]) -> tuple[str, bool]:
    """The splitter's pattern of a byte-level tokenizer, and whether a text begins with a space."""
    where = "pre_tokenizer"
    parts = parts_of(values.get("pre_tokenizer"), where, "pretokenizers")
    only_kinds(parts, where, ("ByteLevel",), ("Digits", "ByteLevel"))
    alone = len(parts) == 1
    spaces = (False, True) if alone else (False,)  # after Digits each piece would get a space
    last = step(
        parts[-1], where, add_prefix_space=spaces, use_regex=(True,), trim_offsets=(True, False)
    )
    if alone:
        return GPT2_PATTERN, last["add_prefix_space"]
    digits = step(parts[0], where, individual_digits=(False, True))
    return SMOLLM2_PATTERN if digits["individual_digits"] else RUNS_OF_DIGITS, False


def frame(values: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that are put before and after every text."""
    where = "post_processor"
    frames: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for part in parts_of(values.get("post_processor"), where, "processors"):
        if part["type"] in ("RobertaProcessing", "BertProcessing"):
            step(part, where, cls=(), sep=(), trim_offsets=(), add_prefix_space=())
            frames.append(((_id(part["cls"][1]),), (_id(part["sep"][1]),)))
        elif part["type"] == "TemplateProcessing":
            frames.append(_template(step(part, where, single=(), pair=(), special_tokens=())))
        elif part["type"] == "ByteLevel":
            step(part, where, add_prefix_space=(), trim_offsets=(), use_regex=())
        else:
            raise Unsupported(where, part["type"])
    if len(frames) > 1:
        raise Unsupported(where, "several templates")
    return frames[0] if frames else ((), ())


def _template(part: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sides: list[list[int]] = [[]]
    for piece in part["single"]:
        if "Sequence" in piece:
            if piece["Sequence"]["id"] != "A":
                raise Unsupported("post_processor.single", part["single"])
            sides.append([])
        else:
            named = part["special_tokens"][piece["SpecialToken"]["id"]]
            sides[-1] += [_id(i) for i in named["ids"]]
    if len(sides) != 2:
        raise Unsupported("post_processor.single", part["single"])
    return tuple(sides[0]), tuple(sides[1])


def _id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"the id of a token in the post_processor is {value!r}")
    return value


def added_tokens(values: Mapping[str, Any]) -> tuple[AddedToken, ...]:
    """The added tokens; those that only count as whole words are refused."""
    found = []
    for entry in values.get("added_tokens") or []:
        where = f"added_tokens {entry['content']!r}"
        known = step(entry, where, **dict.fromkeys(ADDED, ()) | {"single_word": (False,)})
        flags = {key: known.get(key, False) for key in ("special", "lstrip", "rstrip")}
        normalized = known.get("normalized", not flags["special"])
        if not isinstance(known["content"], str) or not known["content"]:
            raise ValueError(f"the text of an added token is {known['content']!r}")
        token = AddedToken(
            text=known["content"], id=known["id"], normalized=bool(normalized), **flags
        )
        found.append(token)
    return tuple(found)


def whole(values: Mapping[str, Any], decoder: str) -> None:
    """Look at what belongs to no single step: keys that nobody knows, and the decoder."""
    steps = "version truncation padding added_tokens normalizer pre_tokenizer post_processor"
    known = step(values, "tokenizer.json", **dict.fromkeys(f"{steps} decoder model".split(), ()))
    only_kinds(parts_of(known.get("decoder"), "decoder", "decoders"), "decoder", (), (decoder,))


def left_to_the_caller(values: Mapping[str, Any]) -> None:
    """Say which lengths are not kept: as in transformers, each call must ask for them anew."""
    for key in ("truncation", "padding"):
        if values.get(key) is not None:
            logger.warning("tokenizer.json: %s is left to the caller: %s", key, values[key])


def bpe_model(part: dict[str, Any]) -> dict[str, Any]:
    """The model of a byte-level BPE tokenizer with its settings filled in."""
    byte_less = [b for b in range(256) if to_printable(bytes([b])) not in part["vocab"]]
    unknown: Any = (None, False) if byte_less else ()  # with all bytes nothing is unknown
    return step(
        part,
        "model",
        vocab=(),
        merges=(),
        dropout=(None, 0.0),
        continuing_subword_prefix=(None, ""),
        end_of_word_suffix=(None, ""),
        ignore_merges=(False, True),
        **dict.fromkeys(("unk_token", "fuse_unk", "byte_fallback"), unknown),
    )


def wordpiece(values: Mapping[str, Any], pieces: list[str]) -> WordPieceTokenizer:
    """The WordPiece tokenizer of a file that has these pieces."""
    model = step(
        values["model"],
        "model",
        vocab=(),
        unk_token=(UNKNOWN,),
        continuing_subword_prefix=(),
        max_input_chars_per_word=(),
    )
    cleaner = parts_of(values.get("normalizer"), "normalizer", "normalizers")
    only_kinds(cleaner, "normalizer", ("BertNormalizer",))
    both = (True, False)
    cleaning = step(
        cleaner[0],
        "normalizer",
        clean_text=(True,),
        handle_chinese_chars=both,
        strip_accents=(None, *both),
        lowercase=both,
    )
    cutter = parts_of(values.get("pre_tokenizer"), "pre_tokenizer", "pretokenizers")
    kinds = only_kinds(cutter, "pre_tokenizer", ("BertPreTokenizer",), ("WhitespaceSplit",))
    step(cutter[0], "pre_tokenizer")
    for token in added_tokens(values):
        if values["model"]["vocab"].get(token.text) != token.id or not token.special:
            raise Unsupported("added_tokens", token.text)
    return WordPieceTokenizer(
        pieces,
        lower_case=cleaning["lowercase"],
        strip_accents=cleaning["strip_accents"],
        split_ideographs=cleaning["handle_chinese_chars"],
        split_punctuation=kinds == ("BertPreTokenizer",),
        continuation=model.get("continuing_subword_prefix", CONTINUATION),
        longest_word=model.get("max_input_chars_per_word", LONGEST_WORD),
    )

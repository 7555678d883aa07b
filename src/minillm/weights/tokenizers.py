"""The tokenizer that belongs to a checkpoint, from a GGUF file or a Hugging Face folder.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minillm.files import read_json
from minillm.tokenizer import GPT2_PATTERN, SMOLLM2_PATTERN, BPETokenizer
from minillm.tokenizer.added import AddedToken
from minillm.tokenizer.alphabet import to_printable
from minillm.tokenizer.published import Habits, PublishedBPE
from minillm.tokenizer.wordpiece import END, START, WordPieceTokenizer
from minillm.weights.tokenizer_json import (
    Unsupported,
    added_tokens,
    bpe_model,
    frame,
    left_to_the_caller,
    normal_form,
    whole,
    wordpiece,
    words,
)
from minillm.weights.tokenizer_options import (
    agree,
    alone,
    prefix_space_of,
    special_names,
    wordpiece_options,
)

logger = logging.getLogger(__name__)
PATTERNS = {"smollm": SMOLLM2_PATTERN, "gpt-2": GPT2_PATTERN, "gpt2": GPT2_PATTERN}
ORDINARY = (1, 5, 6)  # kinds of token in a GGUF file: normal, unused, a byte; others are added
USER = 4  # added by a user: looked for in every text; what is left is special
GGUF_KEYS = re.compile(
    r"model|pre|tokens|token_type|token_type_count|scores|merges|add_(bos|eos)_token|\w+_token_id"
)


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> BPETokenizer:
    """Build the byte-level BPE tokenizer that a GGUF file carries.

    Raises:
        ValueError: If the file's tokenizer is of another kind, has a setting that we do not have,
            or its lists do not fit.

    Book: chapter "A GPT, and the real thing".
    """
    model, cut = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model != "gpt2" or cut not in PATTERNS:
        raise ValueError(f"tokenizer {model!r} that cuts words like {cut!r} is not supported")
    for key, value in metadata.items():
        name = key.removeprefix("tokenizer.ggml.")
        if name != key and value not in (None, False, "", []) and not GGUF_KEYS.fullmatch(name):
            raise ValueError(f"{key} is {str(value)[:60]!r}, which we do not have")
    tokens, merges = _texts(metadata, "tokens"), _texts(metadata, "merges")
    kinds = metadata.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise ValueError(f"the kinds of the {len(tokens)} tokens are not given")
    added = tuple(
        AddedToken(text=token, id=i, special=kind != USER)
        for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind not in ORDINARY
    )
    habits = Habits(added=added, start=_mark(metadata, "bos"), end=_mark(metadata, "eos"))
    return _bpe(tokens, merges, PATTERNS[cut], habits)


def _mark(metadata: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """The token that the file wants before or after every text, if it wants one."""
    if not metadata.get(f"tokenizer.ggml.add_{name}_token"):
        return ()
    value = metadata.get(f"tokenizer.ggml.{name}_token_id")
    if type(value) is not int:
        raise ValueError(f"tokenizer.ggml.add_{name}_token needs an id, not {value!r}")
    return (value,)


def _texts(metadata: Mapping[str, Any], key: str) -> list[str]:
    texts = metadata.get(f"tokenizer.ggml.{key}")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"tokenizer.ggml.{key} is not a list of texts")
    return texts


def tokenizer_from_folder(folder: Path) -> BPETokenizer | WordPieceTokenizer | None:
    """Build the tokenizer of a Hugging Face folder; None (and a warning) if there is none we know.

    The warning names the setting that we do not have: other ids than the model was trained on
    would do more harm than none.

    Raises:
        ValueError: If a file of a known kind is malformed.

    Book: chapter "A GPT, and the real thing".
    """
    options = folder / "tokenizer_config.json"
    settings = read_json(options) if options.is_file() else {}
    if (folder / "tokenizer.json").is_file():
        return _built("tokenizer.json", settings, read_json(folder / "tokenizer.json"))
    texts = {name: folder / name for name in ("added_tokens.json", "vocab.txt", "vocab.json")}
    files: dict[str, Any] = {name: path for name, path in texts.items() if path.is_file()}
    if "vocab.txt" in files:
        return _built("vocab.txt", settings, files)
    if "vocab.json" in files and (folder / "merges.txt").is_file():
        return _built("vocab.json", settings, files)
    logger.warning("%s holds no tokenizer: the model is loaded without one", folder)
    return None


def _built(
    name: str, settings: dict[str, Any], source: dict[str, Any]
) -> BPETokenizer | WordPieceTokenizer | None:
    """The tokenizer of some files, or None and a warning if they ask for what we do not have."""
    try:
        if name == "vocab.txt":
            return _from_vocab_txt(source, settings)
        if name == "vocab.json":
            return _from_vocab_json(source, settings)
        return _from_tokenizer_json(source, settings)
    except Unsupported as error:
        logger.warning(
            "%s: %s, which we do not have: the model is loaded without a tokenizer", name, error
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{name} is malformed: {error!r}") from error
    return None


def _from_tokenizer_json(
    values: dict[str, Any], settings: dict[str, Any]
) -> BPETokenizer | WordPieceTokenizer:
    kind = values["model"].get("type")
    if kind not in ("BPE", "WordPiece"):
        raise Unsupported("model.type", kind)
    agree(settings, values)
    tokenizer = _json_bpe(values) if kind == "BPE" else _json_wordpiece(values)
    left_to_the_caller(values)
    return tokenizer


def _json_bpe(values: dict[str, Any]) -> BPETokenizer:
    whole(values, "ByteLevel")
    model = bpe_model(values["model"])
    pattern, prefix_space = words(values)
    start, end = frame(values)
    habits = Habits(
        normal_form=normal_form(values),
        prefix_space=prefix_space,
        whole_words=model["ignore_merges"],
        start=start,
        end=end,
        added=added_tokens(values),
    )
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    vocabulary = model["vocab"] | {token.text: token.id for token in habits.added}
    for token in habits.added:
        if token.text in model["vocab"] and to_printable(token.text.encode()) != token.text:
            raise Unsupported(f"added_tokens {token.text!r}", "a part of words, too")
    return _bpe(_by_id(vocabulary), merges, pattern, habits)


def _json_wordpiece(values: dict[str, Any]) -> WordPieceTokenizer:
    whole(values, "WordPiece")
    tokenizer = wordpiece(values, _by_id(values["model"]["vocab"]))
    marks = (tokenizer.special[START],), (tokenizer.special[END],)
    if frame(values) != marks:
        raise Unsupported("post_processor", values.get("post_processor"))
    return tokenizer


def _from_vocab_txt(files: dict[str, Any], settings: dict[str, Any]) -> WordPieceTokenizer:
    lines = files["vocab.txt"].read_text(encoding="utf-8").split("\n")
    pieces = lines[:-1] if lines[-1] == "" else lines  # a line in between that is blank counts
    alone(settings, files, dict(zip(pieces, range(len(pieces)), strict=True)))
    return WordPieceTokenizer(pieces, **wordpiece_options(settings))


def _from_vocab_json(files: dict[str, Any], settings: dict[str, Any]) -> BPETokenizer:
    merges = (files["vocab.json"].parent / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges = [line for line in merges if line and not line.startswith("#version")]
    vocabulary = read_json(files["vocab.json"])
    alone(settings, files, vocabulary)
    tokens = _by_id(vocabulary)
    added = tuple(
        AddedToken(text=token, id=i, special=True)
        for i, token in enumerate(tokens)
        if token in special_names(settings)
    )
    habits = Habits(added=added, prefix_space=prefix_space_of(settings))
    return _bpe(tokens, merges, GPT2_PATTERN, habits)


def _by_id(vocabulary: dict[str, int]) -> list[str]:
    """Pieces in the order of their ids, which must have no gaps."""
    if any(type(i) is not int for i in vocabulary.values()):
        raise ValueError("the id of a token is not a whole number")
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError(f"the ids of {len(vocabulary)} tokens have gaps or repetitions")
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _bpe(tokens: list[str], merges: list[str], pattern: str, habits: Habits) -> BPETokenizer:
    """The tokenizer of these lists; a plain one if it has no habits."""
    raw = [t.text for t in habits.added if t.special or to_printable(t.text.encode()) != t.text]
    plain = BPETokenizer.from_vocab(tokens, merges, pattern=pattern, special=raw)
    if habits.plain:
        return plain
    special = {token.text: token.id for token in habits.added if token.special}
    return PublishedBPE(plain.tokens, plain.merges, pattern=pattern, special=special, habits=habits)

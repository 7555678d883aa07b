"""A tokenizer.json gives the ids of `tokenizers` for any text, or no tokenizer and one warning."""

import json
import logging
import re

import pytest
import tokenizers
import transformers

from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.alphabet import BYTE_ORDER, to_printable
from minillm.tokenizer.published import Habits, PublishedBPE
from minillm.weights.tokenizers import tokenizer_from_folder, tokenizer_from_gguf
from tests.parity.test_tokenizer_parity import fuzz

TEXT = (
    "walking wandering spring the cat of 1984 and the other cats, 1985; naïve café "
    "Zürich the tool of tools "
) * 3
LEARNT = BPETokenizer.train(TEXT, 300)
assert len(LEARNT.tokens) == 300
MERGES = [f"{to_printable(a)} {to_printable(b)}" for a, b in LEARNT.merges]
VOCAB = {to_printable(token): i for i, token in enumerate(LEARNT.tokens)}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
MARKS = {"<s>": 300, "</s>": 301, "<tool>": 302, "<|end|>": 303}
TEXTS = [
    "", " ", "the cats", " the cat", "in 1998 the", "12 3٣½", "cafe\u0301 naïve ﬁ Å",
    "the<tool> cat",
    "<tool><tool>", " <tool> <s>the</s>  <tool>", "a <too l> <tool", "\u00a0<|end|>\u2003 x",
    "Ⅷ\u0301<tool>",
    "<|end|><tool>1</s>", "The  TOOL\n\n", *fuzz(150, seed=5),
]  # fmt: skip


def token(text, i, **changes):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": text, "special": True} | flags | changes


SPECIAL = [token(text, i) for text, i in MARKS.items()]


def bpe_file(**changes):
    """A tokenizer.json; keys of the model begin with "model."."""
    values = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": SPECIAL,
        "normalizer": None,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": VOCAB,
            "merges": MERGES,
        },
    }
    return changed(values, changes)


WORDS = "the cat tool ##s un ##want ##ed @@s @@ed caf cafe café é e ü u 東 京 , . ! - < > ##9 1"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), "the,", "C", "c"]
BERT_MARKS = [token(text, i) for i, text in enumerate(PIECES[:5])]


def wordpiece_file(**changes):
    frame = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {
            name: {"id": name, "ids": [i], "tokens": [name]}
            for name, i in (("[CLS]", 2), ("[SEP]", 3))
        },
    }
    values = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": BERT_MARKS,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": frame,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: i for i, piece in enumerate(PIECES)},
        },
    }
    return changed(values, changes)


def changed(values, changes):
    values = json.loads(json.dumps(values))
    for key, value in changes.items():
        place, _, name = key.rpartition("__")
        (values[place] if place else values)[name] = value
    return values


def read(folder, values, **options):
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    return tokenizer_from_folder(folder)


def same_ids(ours, values, texts=TEXTS):
    theirs = tokenizers.Tokenizer.from_str(json.dumps(values))
    for text in texts:
        assert ours.encode(text, allow_special=True) == theirs.encode(text).ids, repr(text)
    theirs.encode_special_tokens = True
    for text in texts:
        assert ours.encode(text) == theirs.encode(text).ids, repr(text)


def template(start, end):
    ids = {name: {"id": name, "ids": [MARKS[name]], "tokens": [name]} for name in (*start, *end)}
    before, after = (
        [{"SpecialToken": {"id": name, "type_id": 0}} for name in side] for side in (start, end)
    )
    single = [*before, {"Sequence": {"id": "A", "type_id": 0}}, *after]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": ids,
    }


ROBERTA = {
    "type": "RobertaProcessing",
    "sep": ["</s>", 301],
    "cls": ["<s>", 300],
    "trim_offsets": True,
    "add_prefix_space": False,
}


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


TOOL = [*SPECIAL[:2], token("<tool>", 302, special=False), SPECIAL[3]]
SPACED = BYTE_LEVEL | {"add_prefix_space": True}
FOLLOWED = {
    "plain": {},
    "prefix space": {"pre_tokenizer": SPACED},
    "no trim": {"pre_tokenizer": BYTE_LEVEL | {"trim_offsets": False}},
    "sequence of one": {"pre_tokenizer": sequence("pretokenizers", BYTE_LEVEL)},
    "digits": {"pre_tokenizer": sequence("pretokenizers", digits(True), BYTE_LEVEL)},
    "runs of digits": {"pre_tokenizer": sequence("pretokenizers", digits(False), BYTE_LEVEL)},
    **{form: {"normalizer": {"type": form}} for form in ("NFC", "NFD", "NFKC", "NFKD")},
    "NFC in a sequence": {"normalizer": sequence("normalizers", {"type": "NFC"})},
    "empty sequence": {"normalizer": sequence("normalizers")},
    "not special": {"added_tokens": TOOL},
    "not special, prefix space": {"added_tokens": TOOL, "pre_tokenizer": SPACED},
    "not special, normalised": {
        "added_tokens": [*TOOL[:2], TOOL[2] | {"normalized": True}, TOOL[3]],
        "normalizer": {"type": "NFKC"},
    },
    "two phases": {
        "added_tokens": [*SPECIAL, token("<tool><s>", 304, special=False, normalized=True)]
    },
    "lstrip": {"added_tokens": [t | {"lstrip": True} for t in TOOL]},
    "rstrip": {"added_tokens": [t | {"rstrip": True} for t in TOOL]},
    "both": {"added_tokens": [t | {"rstrip": True, "lstrip": True} for t in SPECIAL]},
    "spaces": {"added_tokens": [*TOOL, token("  ", 304, special=False)]},
    "a learnt word": {"added_tokens": [*TOOL, token("the", VOCAB["the"], special=False)]},
    "start": {"post_processor": template(["<s>"], [])},
    "start and end": {"post_processor": template(["<s>", "<tool>"], ["</s>"])},
    "in a sequence": {"post_processor": sequence("processors", BYTE_LEVEL, template([], ["</s>"]))},
    "byte level after": {"post_processor": BYTE_LEVEL},
    "roberta": {"post_processor": ROBERTA},
    "bert": {
        "post_processor": {"type": "BertProcessing", "sep": ["</s>", 301], "cls": ["<s>", 300]}
    },
    "ignored merges": {"model__ignore_merges": True, "model__merges": MERGES[:20]},
    "unknown is never needed": {
        "model__unk_token": "<s>",
        "model__fuse_unk": True,
        "model__byte_fallback": True,
    },
    "empty affixes": {
        "model__continuing_subword_prefix": "",
        "model__end_of_word_suffix": "",
        "model__dropout": 0.0,
    },
    "all at once": {
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": SPACED,
        "post_processor": ROBERTA,
        "added_tokens": TOOL,
        "model__ignore_merges": True,
    },
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_byte_level_files_that_are_followed(tmp_path, caplog, name):
    values = bpe_file(**FOLLOWED[name])
    ours = read(tmp_path, values)
    assert caplog.text == ""
    same_ids(ours, values)


def without(vocabulary, piece):
    rest = [p for p in vocabulary if p != piece]
    return {p: i for i, p in enumerate(rest)}


SPLIT = {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Isolated", "invert": False}
REFUSED = [
    ({"pre_tokenizer": None}, "pre_tokenizer is None"),
    ({"pre_tokenizer": BYTE_LEVEL | {"use_regex": False}}, "pre_tokenizer.use_regex is False"),
    ({"pre_tokenizer": BYTE_LEVEL | {"mystery": 3}}, "pre_tokenizer.mystery is 3"),
    ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer is 'Metaspace'"),
    (
        {"pre_tokenizer": sequence("pretokenizers", SPLIT, BYTE_LEVEL | {"use_regex": False})},
        r"pre_tokenizer is 'Split \+ ByteLevel'",
    ),
    (
        {"pre_tokenizer": sequence("pretokenizers", digits(True), SPACED)},
        "pre_tokenizer.add_prefix_space is True",
    ),
    ({"normalizer": {"type": "Lowercase"}}, "normalizer is 'Lowercase'"),
    ({"normalizer": {"type": "Prepend", "prepend": "▁"}}, "normalizer is 'Prepend'"),
    (
        {"normalizer": sequence("normalizers", {"type": "NFC"}, {"type": "StripAccents"})},
        r"normalizer is 'NFC \+ StripAccents'",
    ),
    ({"decoder": {"type": "Metaspace"}}, "decoder is 'Metaspace'"),
    ({"added_tokens": [token("<s>", 300, single_word=True)]}, "single_word is True"),
    ({"added_tokens": [token("<s>", 300, mystery=True)]}, "mystery is True"),
    ({"post_processor": {"type": "Other"}}, "post_processor is 'Other'"),
    (
        {"post_processor": sequence("processors", ROBERTA, template([], ["</s>"]))},
        "post_processor is 'several templates'",
    ),
    ({"mystery": {"a": 1}}, "tokenizer.json.mystery is"),
    ({"model__dropout": 0.1}, "model.dropout is 0.1"),
    ({"model__continuing_subword_prefix": "##"}, "model.continuing_subword_prefix is '##'"),
    ({"model__end_of_word_suffix": "</w>"}, "model.end_of_word_suffix is '</w>'"),
    ({"model__mystery": 1}, "model.mystery is 1"),
    ({"model__type": "Unigram"}, "model.type is 'Unigram'"),
    ({"model__type": "WordLevel"}, "model.type is 'WordLevel'"),
    ({"model__type": None}, "model.type is None"),
    (
        {"model__byte_fallback": True, "model__vocab": without(VOCAB, "ÿ")},
        "model.byte_fallback is True",
    ),
    (
        {"model__unk_token": "!", "model__vocab": without(VOCAB, "ÿ")},
        "model.unk_token is '!'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_byte_level_files_that_are_refused_by_name(tmp_path, caplog, changes, message):
    assert read(tmp_path, bpe_file(**changes)) is None
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert re.search(message, caplog.text), caplog.text


BERT_TEXTS = [
    "", "The cats, unwanted", "the,cat !", "Café CAFÉ cafe\u0301", "東京 the東", "naïve Ü", "tools",
    "caf" + "e" * 120, "cats" * 20, "\u00a0the\u3000cat\x00\ufffd", "C c", "the\u0085cat", "1999",
    *[text for text in fuzz(150, seed=6) if not {*"\U00031350\U00040000\u0378\u1c89"} & {*text}],
]  # fmt: skip


def cleaned(**changes):
    return {"normalizer": wordpiece_file()["normalizer"] | changes}


BERT_FOLLOWED = [
    {},
    *[
        cleaned(lowercase=lower, strip_accents=strip, handle_chinese_chars=chinese)
        for lower in (True, False)
        for strip in (None, True, False)
        for chinese in (True, False)
    ],
    {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    {"model__continuing_subword_prefix": "@@"},
    {"model__continuing_subword_prefix": ""},
    {"model__max_input_chars_per_word": 4},
    {
        "post_processor": {
            "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]
        }
    },
    {"decoder": {"type": "WordPiece", "prefix": "@@", "cleanup": False}},
]  # fmt: skip


@pytest.mark.parametrize("changes", BERT_FOLLOWED)
def test_wordpiece_files_that_are_followed(tmp_path, caplog, changes):
    values = wordpiece_file(**changes)
    ours = read(tmp_path, values)
    assert caplog.text == ""
    theirs = tokenizers.Tokenizer.from_str(json.dumps(values))
    for text in BERT_TEXTS:
        assert ours.encode(text) == theirs.encode(text).ids, repr(text)
        plain = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, add_special=False) == plain, repr(text)


BERT_REFUSED = [
    ({"normalizer": None}, "normalizer is None"),
    (
        {
            "normalizer": sequence(
                "normalizers", *({"type": kind} for kind in ("NFD", "Lowercase", "StripAccents"))
            )
        },
        r"normalizer is 'NFD \+ Lowercase \+ StripAccents'",
    ),
    (cleaned(clean_text=False), "normalizer.clean_text is False"),
    ({"pre_tokenizer": None}, "pre_tokenizer is None"),
    ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer is 'Whitespace'"),
    ({"post_processor": None}, "post_processor is None"),
    ({"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["x", 4]}}, "post"),
    ({"model__unk_token": "[PAD]"}, r"model.unk_token is '\[PAD\]'"),
    ({"added_tokens": [*BERT_MARKS, token("<tool>", len(PIECES))]}, "added_tokens is '<tool>'"),
    (
        {"added_tokens": [*BERT_MARKS, token("tool", PIECES.index("tool"), special=False)]},
        "added_tokens is 'tool'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BERT_REFUSED)
def test_wordpiece_files_that_are_refused_by_name(tmp_path, caplog, changes, message):
    assert read(tmp_path, wordpiece_file(**changes)) is None
    assert len(caplog.records) == 1
    assert re.search(message, caplog.text), caplog.text


@pytest.mark.parametrize("key", ["truncation", "padding"])
def test_lengths_are_left_to_the_caller_and_that_is_said(tmp_path, caplog, key):
    lengths = {"max_length": 4, "strategy": {"Fixed": 4}}
    ours = read(tmp_path, wordpiece_file(**{key: lengths}))
    assert len(ours.encode("the the the the the")) == 7
    assert f"{key} is left to the caller" in caplog.text


@pytest.mark.parametrize(
    ("options", "fine"),
    [
        ({"add_prefix_space": False, "add_bos_token": False, "tokenizer_class": "X"}, True),
        ({"add_prefix_space": True}, False),
        ({"add_bos_token": True}, False),
        ({"add_eos_token": True}, False),
        ({"do_lower_case": True}, False),
        ({"split_special_tokens": True}, False),
        ({"mystery": 3}, False),
        ({"added_tokens_decoder": {"300": {"content": "<s>"}}}, True),
        ({"added_tokens_decoder": {"304": {"content": "<new>"}}}, False),
    ],
)
def test_options_beside_a_tokenizer_json_must_agree(tmp_path, caplog, options, fine):
    tokenizer = read(tmp_path, bpe_file(), **options)
    assert (tokenizer is not None) is fine
    assert len(caplog.records) == (not fine)
    assert fine or next(iter(options)) in caplog.text


def test_a_tokenizer_with_habits_is_not_written_as_one_without(tmp_path):
    tokenizer = read(tmp_path, bpe_file(pre_tokenizer=SPACED))
    with pytest.raises(ValueError, match="no place for Habits"):
        tokenizer.save(tmp_path / "own.json")
    assert not (tmp_path / "own.json").exists()


VOCAB_TXT_OPTIONS = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False},
    {"strip_accents": None, "never_split": None, "do_basic_tokenize": True},
]


@pytest.mark.parametrize("options", VOCAB_TXT_OPTIONS)
@pytest.mark.parametrize("blank", [False, True])
def test_a_vocab_txt_with_options(tmp_path, caplog, options, blank):
    lines = [*PIECES[:5], "", *PIECES[5:]] if blank else PIECES
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    ours, theirs = (
        tokenizer_from_folder(tmp_path),
        transformers.BertTokenizer.from_pretrained(tmp_path),
    )
    assert caplog.text == ""
    for text in BERT_TEXTS:
        assert ours.encode(text) == theirs(text)["input_ids"], repr(text)


@pytest.mark.parametrize(
    "options",
    [
        {"do_basic_tokenize": False},
        {"never_split": ["the"]},
        {"unk_token": "[PAD]"},
        {"mystery": 1},
        {"added_tokens_decoder": {"99": {"content": "<tool>"}}},
    ],
)
def test_options_of_a_vocab_txt_that_are_refused(tmp_path, caplog, options):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    assert tokenizer_from_folder(tmp_path) is None
    assert len(caplog.records) == 1
    assert next(iter(options)) in caplog.text


@pytest.mark.parametrize("options", [{}, {"add_prefix_space": True}])
def test_vocab_json_and_merges(tmp_path, caplog, options):
    vocabulary = VOCAB | {"<|endoftext|>": 300}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    ours = tokenizer_from_folder(tmp_path)
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    assert caplog.text == ""
    for text in [*TEXTS, "the<|endoftext|>cat"]:
        assert ours.encode(text, allow_special=True) == theirs(text)["input_ids"], repr(text)


@pytest.mark.parametrize(
    ("options", "file"),
    [({"add_bos_token": True}, None), ({"mystery": 1}, None), ({}, "added_tokens.json")],
)
def test_vocab_json_with_more_is_refused(tmp_path, caplog, options, file):
    (tmp_path / "vocab.json").write_text(json.dumps(VOCAB | {"<|endoftext|>": 300}))
    (tmp_path / "merges.txt").write_text("\n".join(MERGES), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
    if file:
        (tmp_path / file).write_text('{"<tool>": 301}')
    assert tokenizer_from_folder(tmp_path) is None
    assert len(caplog.records) == 1
    assert (file or next(iter(options))) in caplog.text


def test_the_tokenizer_of_roberta_and_bart_needs_its_own_file(tmp_path, caplog):
    (tmp_path / "vocab.json").write_text(json.dumps(VOCAB | {"<s>": 300}))
    (tmp_path / "merges.txt").write_text("\n".join(MERGES), encoding="utf-8")
    assert tokenizer_from_folder(tmp_path) is None
    assert "special tokens of vocab.json" in caplog.text


def gguf_metadata(**changes):
    tokens = [*(to_printable(bytes([b])) for b in BYTE_ORDER), "<s>", "<tool>", "[PAD]"]
    return {
        f"tokenizer.ggml.{key}": value
        for key, value in {
            "model": "gpt2",
            "pre": "smollm",
            "tokens": tokens,
            "token_type": [1] * 256 + [3, 4, 5],
            "merges": [],
            "bos_token_id": 256,
            **changes,
        }.items()
    }


def test_tokens_of_a_gguf_file():
    tokenizer = tokenizer_from_gguf(gguf_metadata())
    a = BYTE_ORDER.index(ord("a"))
    assert tokenizer.encode("a<tool>a") == [a, 257, a], "a user's token is always found"
    assert tokenizer.encode("<s>", allow_special=True) == [256]
    assert len(tokenizer.encode("<s>")) == 3
    assert len(tokenizer.encode("[PAD]", allow_special=True)) == 5, "an unused one never"
    framed = tokenizer_from_gguf(gguf_metadata(add_bos_token=True, add_eos_token=False))
    assert framed.encode("a") == [256, a]
    assert framed.encode("a", add_special=False) == [a]
    with pytest.raises(ValueError, match="add_eos_token needs an id, not None"):
        tokenizer_from_gguf(gguf_metadata(add_eos_token=True))


@pytest.mark.parametrize(
    "key", ["add_space_prefix", "remove_extra_whitespaces", "precompiled_charsmap", "add_sep_token"]
)
def test_settings_of_a_gguf_file_that_are_refused(key):
    tokenizer_from_gguf(gguf_metadata(**{key: False}))
    with pytest.raises(ValueError, match=f"tokenizer.ggml.{key} is"):
        tokenizer_from_gguf(gguf_metadata(**{key: True}))


def test_a_plain_tokenizer_has_no_habits():
    assert Habits().plain
    tokenizer = PublishedBPE(LEARNT.tokens, LEARNT.merges)
    assert tokenizer.encode("the cat") == LEARNT.encode("the cat")

"""Byte-level BPE cuts, learns and encodes as the `tokenizers` library does."""

import json
import pydoc_data.topics
import random

import pytest
import tokenizers

from minillm.hub.packages import fetch
from minillm.tokenizer import GPT2_PATTERN, SMOLLM2_PATTERN, BPETokenizer, Splitter
from minillm.tokenizer.alphabet import to_printable
from minillm.weights.gguf import GGUF

pre = tokenizers.pre_tokenizers

BYTE_LEVEL = pre.ByteLevel(add_prefix_space=False, use_regex=True)
CUTS = {
    GPT2_PATTERN: BYTE_LEVEL,
    SMOLLM2_PATTERN: pre.Sequence([pre.Digits(individual_digits=True), BYTE_LEVEL]),
}
PIECES = [
    *"abcXYZ \n\t\r'0123456789.,!?-_/\\<|>", *"   sdtmrevl", "'s", "'ll", "'LL", "don't", " the",
    *"éüßñÅ\u0308\u00adſ", *"日本語中文한국어", *"русский", *"عربىहिन्दी\u0e01",
    *"🙂👍🇬🇧\U0001f468\u200d\U0001f469",
    *"²³½ⅧⅣ①٠١٢३४五〇𝟘𝟙",
    *"\u00a0\u2003\u3000\u2028\u2029\u202f\u200b\ufeff\u0085\x0b\x0c\x1c\x1f\x00\x04",
    "\u1c89", "\U00010d40", "\U00031350", "\U00040000", "\u0378", "<|im_start|>", "<|endoftext|>",
]  # fmt: skip
NUMERALS_OF_UNICODE_17 = {*range(0x11DE0, 0x11DEA), *range(0x16FF4, 0x16FF7)}


def fuzz(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        yield "".join(
            rng.choice(PIECES) * rng.choice([1, 1, 1, 2, 9]) for _ in range(rng.randrange(25))
        )


def cut_by_tokenizers(pattern, text):
    return [text[start:end] for _, (start, end) in CUTS[pattern].pre_tokenize_str(text)]


@pytest.mark.parametrize("pattern", CUTS, ids=["gpt2", "smollm2"])
def test_every_character_of_unicode_is_cut_alike(pattern):
    # The library takes letters from Unicode 16 and, for digits alone, numerals from Unicode 17.
    newer = NUMERALS_OF_UNICODE_17 if pattern == SMOLLM2_PATTERN else set()
    # Planes 4 to 13 are empty and 15 and 16 for private use: their edges are enough.
    for first in [*range(0, 0x40000, 0x800), *range(0x40000, 0x110000, 0x8000)]:
        codes = range(first, first + (0x800 if first < 0x40000 or first == 0xE0000 else 16))
        block = [chr(c) for c in codes if not 0xD800 <= c < 0xE000 and c not in newer]
        text = "".join(f"a{c}1 {c}{c}'s" for c in block)
        assert Splitter(pattern)(text) == cut_by_tokenizers(pattern, text), hex(first)


@pytest.mark.parametrize("pattern", CUTS, ids=["gpt2", "smollm2"])
def test_fuzz_is_cut_alike(pattern):
    for text in fuzz(2_000, seed=1):
        assert Splitter(pattern)(text) == cut_by_tokenizers(pattern, text), repr(text)


def documentation():
    topics = pydoc_data.topics.topics
    return "\n\n".join(topics[name] for name in sorted(topics))


@pytest.mark.parametrize(
    ("pattern", "text", "vocab_size"),
    [
        (GPT2_PATTERN, documentation()[:150_000], 900),
        (SMOLLM2_PATTERN, "".join(fuzz(600, seed=2)) + documentation()[:20_000], 2_500),
        (GPT2_PATTERN, "aaaa aaaaaaa abababab aaabbb " * 3, 300),
    ],
    ids=["docs", "unicode", "runs"],
)
def test_training_learns_the_same_tokens_and_merges(pattern, text, vocab_size):
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = CUTS[pattern]
    theirs.train_from_iterator(
        [text],
        tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
        ),
    )
    ours = BPETokenizer.train(text, vocab_size, pattern=pattern)
    vocabulary = theirs.get_vocab()
    assert [to_printable(t) for t in ours.tokens] == sorted(vocabulary, key=vocabulary.get)
    merges = [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]
    assert [(to_printable(a), to_printable(b)) for a, b in ours.merges] == merges
    assert ours.encode(text) == theirs.encode(text).ids


@pytest.fixture(scope="module")
def smollm2():
    """SmolLM2's vocabulary in our tokenizer and in the library's."""
    metadata = GGUF(fetch("smollm2-135m-instruct", quiet=True)).metadata
    tokens, merges = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.merges"]
    kinds = metadata["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    ours = BPETokenizer.from_vocab(tokens, merges, pattern=SMOLLM2_PATTERN, special=special)
    model = tokenizers.models.BPE(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in merges],
    )
    theirs = tokenizers.Tokenizer(model)
    theirs.pre_tokenizer = CUTS[SMOLLM2_PATTERN]
    theirs.decoder = tokenizers.decoders.ByteLevel()
    theirs.add_special_tokens([tokenizers.AddedToken(t, normalized=False) for t in special])
    return ours, theirs


@pytest.mark.slow
def test_smollm2_gives_the_same_ids_and_text(smollm2):
    ours, theirs = smollm2
    assert ours.encode("Hello world") == [19556, 905]
    for text in [*fuzz(3_000, seed=3), documentation()[:100_000]]:
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, allow_special=True) == ids, repr(text)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False), repr(text)

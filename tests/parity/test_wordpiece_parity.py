"""WordPiece gives the ids of the field's own tokenizer, on every kind of character and on fuzz."""

import random
import unicodedata

import pytest
from transformers import BertTokenizer

from minillm.tokenizer.wordpiece import WordPieceTokenizer

WORDS = (
    "the cat un want ##ed ##ing is é É ß 東 京 , . ! - ' \" ` $ ^ ~ + # ## ##s 1 ##9 84 α ##σ ##ς"
)
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
VOCABULARY = list(
    dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *LETTERS]
        + [f"##{letter}" for letter in LETTERS]
    )
)
KNOWN = [
    chr(code)
    for code in range(0x20000)
    # Only characters whose class has not changed since: the oracle's tables are of Unicode 8.
    if unicodedata.ucd_3_2_0.category(chr(code)) == unicodedata.category(chr(code))
    and unicodedata.category(chr(code)) != "Cs"
]
PIECES = [
    "the",
    "cat",
    "unwanted",
    "naïve",
    "Ébé",
    "東京",
    " ",
    "  ",
    "\n",
    "\u200b",
    "\u0301",
    "🙂",
]


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def pair(request):
    vocabulary = {piece: i for i, piece in enumerate(VOCABULARY)}
    theirs = BertTokenizer(vocab=vocabulary, do_lower_case=request.param)
    return WordPieceTokenizer(VOCABULARY, lower_case=request.param), theirs


def test_every_character(pair):
    ours, theirs = pair
    chance = random.Random(0)
    sample = KNOWN[:0x3000] + chance.sample(KNOWN[0x3000:], 4000)
    texts = [f"a{character}B1" for character in sample]
    expected = theirs(texts)["input_ids"]
    different = [c for c, t, e in zip(sample, texts, expected, strict=True) if ours.encode(t) != e]
    assert different == []


def test_fuzz(pair):
    ours, theirs = pair
    chance = random.Random(1)
    texts = []
    for _ in range(1500):
        parts = chance.choices([*PIECES, *WORDS.replace("#", "").split()], k=chance.randrange(12))
        texts.append("".join(parts) + "".join(chance.choices(KNOWN, k=chance.randrange(4))))
    expected = theirs(texts)["input_ids"]
    for text, ids in zip(texts, expected, strict=True):
        assert ours.encode(text) == ids, repr(text)

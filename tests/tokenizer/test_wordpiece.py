"""WordPiece: cleaning, greedy pieces and errors; parity/ compares it with the field's own."""

import pytest

from minillm.tokenizer.wordpiece import WordPieceTokenizer

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "##b",
    "ab",
    "##c",
    "!",
    "東",
    "é",
    "e",
    "α",
    "##σ",
    "##ς",
]


def pieces(text: str, *, lower_case: bool = True) -> list[str]:
    tokenizer = WordPieceTokenizer(PIECES, lower_case=lower_case)
    return [PIECES[i] for i in tokenizer.encode(text, add_special=False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", ["ab", "##c"]),
        ("abb", ["ab", "##b"]),
        ("aX a", ["[UNK]", "a"]),
        ("  a\t\na  ", ["a", "a"]),
        ("a!a", ["a", "!", "a"]),
        ("a東a", ["a", "東", "a"]),
        ("a\u200bb", ["ab"]),
        ("AB É", ["ab", "e"]),
        ("ΑΣ", ["α", "##σ"]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_pieces(text, expected):
    assert pieces(text) == expected


def test_cased_keeps_case_and_accents():
    assert pieces("A é", lower_case=False) == ["[UNK]", "é"]


def test_special_ids_and_decoding():
    tokenizer = WordPieceTokenizer(PIECES)
    ids = tokenizer.encode("abc !")
    assert ids == [2, 6, 7, 8, 3]
    assert tokenizer.decode([*ids, 0, 0]) == "abc !"
    assert tokenizer.vocab_size == len(PIECES)


@pytest.mark.parametrize("wrong", [-1, len(PIECES)])
def test_decoding_an_unknown_id(wrong):
    with pytest.raises(ValueError, match=f"{wrong} is outside the vocabulary of {len(PIECES)}"):
        WordPieceTokenizer(PIECES).decode([4, wrong])


def test_a_vocabulary_must_be_whole():
    with pytest.raises(ValueError, match="SEP"):
        WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]"])
    with pytest.raises(ValueError, match="1 of 5 pieces"):
        WordPieceTokenizer([*PIECES[:4], "[PAD]"])

"""Tokenizers: nothing is lost, merges follow the stated rule, bad input is named."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minillm.tokenizer import (
    GPT2_PATTERN,
    SMOLLM2_PATTERN,
    BPETokenizer,
    CharTokenizer,
    Splitter,
    Tokenizer,
)
from minillm.tokenizer.alphabet import BYTE_ORDER, from_printable, to_printable

TEXT = (
    """The cat sat on the mat. The cat's hat was on the mat, and that was that!
I've 12 cats, they'll eat 345 fish in 1998; naïve 猫は魚を食べる 🙂🙂  (really?)\n\n\tthe end"""
    * 3
)
TRAINED = BPETokenizer.train(TEXT, 344, special=("<|endoftext|>", "<|end|>", "<|end|>of"))
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def rescan(text: str, vocab_size: int) -> list[tuple[bytes, bytes]]:
    """BPE as in the book: count every pair of the whole corpus again for every merge."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    words = Counter(
        tuple(BYTE_ORDER.index(b) for b in w.encode()) for w in Splitter(GPT2_PATTERN)(text)
    )
    merges = []
    while len(tokens) < vocab_size:
        pairs = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        new = len(tokens)
        tokens.append(tokens[best[0]] + tokens[best[1]])
        merges.append((tokens[best[0]], tokens[best[1]]))
        merged = Counter()
        for word, times in words.items():
            out = list(word)
            i = 0
            while i < len(out) - 1:
                if (out[i], out[i + 1]) == best:
                    out[i : i + 2] = [new]
                i += 1
            merged[tuple(out)] += times
        words = merged
    return merges


def test_merges_equal_a_trainer_that_rescans_the_corpus():
    assert list(BPETokenizer.train(TEXT, 340).merges) == rescan(TEXT, 340)


def test_ties_go_to_the_smaller_ids():
    # Every pair occurs once, or as often as another; (a, b) has the smallest ids.
    assert BPETokenizer.train("cdab", 257).merges == ((b"a", b"b"),)
    assert BPETokenizer.train("abab cdcd", 257).merges == ((b"a", b"b"),)


@given(UNICODE)
@example("\x00\x1c\x85\u2028 \u00a0\u3000 ½Ⅷ² '\u017f 's")
@settings(max_examples=300, deadline=None)
def test_decode_undoes_encode(text):
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.decode(TRAINED.encode(text, allow_special=True)) == text


@pytest.mark.parametrize("pattern", [GPT2_PATTERN, SMOLLM2_PATTERN])
@given(text=UNICODE)
@settings(max_examples=200, deadline=None)
def test_words_join_to_the_text(pattern, text):
    assert "".join(Splitter(pattern)(text)) == text


def test_split_by_hand():
    split = Splitter(GPT2_PATTERN)
    assert split("I'll pay  £3.50\n\n now") == [
        "I",
        "'ll",
        " pay",
        " ",
        " £",
        "3",
        ".",
        "50",
        "\n\n",
        " now",
    ]
    assert split("  ") == ["  "]
    assert split("é²x") == ["é", "²", "x"]
    assert Splitter(SMOLLM2_PATTERN)("in  2024 a") == ["in", "  ", "2", "0", "2", "4", " a"]
    assert Splitter(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+|.")("«été» 1234") == [
        "«été",
        "»",
        " ",
        "123",
        "4",
    ]


@pytest.mark.parametrize("pattern", [r"\w+", r"\d", r"\P{L}", r"\p{Lu}", "é+", r"\bx"])
def test_classes_that_would_be_wrong_are_refused(pattern):
    with pytest.raises(ValueError, match="is not supported"):
        Splitter(pattern)


def test_a_pattern_must_be_valid_and_cover_the_text():
    with pytest.raises(ValueError, match="covers 1 of 2 characters"):
        Splitter(r"\p{L}")("a1")
    with pytest.raises(ValueError, match="not a regular expression"):
        Splitter("(")


@pytest.mark.parametrize(
    ("special", "message"),
    [
        ([""], "special token '' is not a text of at least one character"),
        (["<s>", "<s>"], "special token '<s>' is given twice"),
        (["Ġthe"], "special token 'Ġthe' is how files write the token b' the'"),
        (["the"], "special token 'the' is how files write the token b'the'"),
        (["a"], "special token 'a' is how files write the token b'a'"),
        (["Ã"], r"special token 'Ã' is how files write the token b'\\xc3'"),
    ],
)
def test_special_tokens_that_would_be_mixed_up_are_refused(special, message):
    with pytest.raises(ValueError, match=message):
        BPETokenizer.train("the other the the other", 300, special=special)


def test_a_published_vocabulary_with_a_special_token_twice_is_refused():
    with pytest.raises(ValueError, match="special token '<s>' is given twice"):
        BPETokenizer.from_vocab(["a", "<s>", "<s>"], [], special=["<s>"])


@given(st.lists(st.text("<|>Ġthe Ã©é\n", max_size=4), max_size=3))
@settings(max_examples=100, deadline=None)
def test_whatever_is_taken_as_special_comes_back_from_its_file(tmp_path_factory, special):
    try:
        tokenizer = BPETokenizer.train("the the the é é", 263 + len(special), special=special)
    except ValueError:
        return
    path = tmp_path_factory.mktemp("special") / "tokenizer.json"
    tokenizer.save(path)
    loaded = BPETokenizer.load(path)
    assert (loaded.tokens, loaded.special) == (tokenizer.tokens, tokenizer.special)
    assert loaded.merges == tokenizer.merges


@given(st.text("thecasmon '", max_size=40))
@settings(max_examples=200, deadline=None)
def test_steps_end_where_encode_does(word):
    # One word for BPE: the heap in encode and the plain search in steps are written independently.
    pieces = list(TRAINED.steps(word))
    assert all(b"".join(p) == word.encode() for p in pieces)
    assert all(len(b) == len(a) - 1 for a, b in pairwise(pieces))
    ids = TRAINED._encode_word(word)
    assert [TRAINED.tokens[i] for i in ids] == pieces[-1]


def test_merges_of_any_order_are_applied_by_rank():
    # In a published vocabulary a late merge may make a pair that an early merge wants.
    for seed in range(100):
        rng = random.Random(seed)
        tokens, merges = [b"a", b"b", b"c"], []
        for _ in range(12):
            merges.append((rng.choice(tokens), rng.choice(tokens)))
            tokens = list(dict.fromkeys([*tokens, b"".join(merges[-1])]))
        merges = list(dict.fromkeys(merges))
        rng.shuffle(merges)
        tokenizer = BPETokenizer(tokens, merges)
        word = "".join(rng.choices("abc", k=60))
        *_, last = tokenizer.steps(word)
        assert [tokenizer.tokens[i] for i in tokenizer.encode(word)] == last


def test_long_words_are_merged_like_short_ones():
    word = "".join(random.Random(0).choices("thecatson", k=3_000))
    *_, last = TRAINED.steps(word)
    assert [TRAINED.tokens[i] for i in TRAINED.encode(word)] == last


def test_merges_are_used_by_rank_and_from_the_left():
    tokens = [bytes([b]) for b in range(256)] + [b"aa", b"ab"]
    tokenizer = BPETokenizer(tokens, [(b"a", b"a"), (b"a", b"b")])
    assert [tokenizer.tokens[i] for i in tokenizer.encode("aaab")] == [b"aa", b"ab"]
    other = BPETokenizer(tokens, [(b"a", b"b"), (b"a", b"a")])
    assert [other.tokens[i] for i in other.encode("aaaab")] == [b"aa", b"a", b"ab"]


def test_special_tokens_only_when_allowed_and_the_longest_first():
    text = "the cat<|end|>of<|endoftext|> mat<|end|>"
    ids = TRAINED.special
    assert not set(ids.values()) & set(TRAINED.encode(text))
    found = TRAINED.encode(text, allow_special=True)
    assert [i for i in found if i in ids.values()] == [
        ids["<|end|>of"], ids["<|endoftext|>"], ids["<|end|>"]
    ]  # fmt: skip
    assert TRAINED.decode(found) == text
    assert list(ids.values()) == [341, 342, 343]


def test_invalid_utf8_is_replaced():
    emoji = BPETokenizer.train("a", 256).encode("🙂")
    assert len(emoji) == 4
    assert TRAINED.decode(emoji[:3]) == "\ufffd"
    assert BPETokenizer.train("a", 256).decode([BYTE_ORDER.index(0xFF), 0]) == "\ufffd!"


def test_half_a_surrogate_pair_is_an_error():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        TRAINED.encode("\ud800")


def test_save_and_load(tmp_path):
    TRAINED.save(tmp_path / "bpe.json")
    loaded = BPETokenizer.load(tmp_path / "bpe.json")
    assert loaded.tokens == TRAINED.tokens
    assert loaded.merges == TRAINED.merges
    assert loaded.special == TRAINED.special
    for text in (TEXT, "the<|end|>"):
        ids = TRAINED.encode(text, allow_special=True)
        assert loaded.encode(text, allow_special=True) == ids
    letters = CharTokenizer("böse Füße\n")
    letters.save(tmp_path / "char.json")
    assert CharTokenizer.load(tmp_path / "char.json").alphabet == letters.alphabet
    for wrong, kind in ((BPETokenizer, "char.json"), (CharTokenizer, "bpe.json")):
        with pytest.raises(ValueError, match="holds a tokenizer of type"):
            wrong.load(tmp_path / kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", "type 'list'"),
        ('{"type": "bpe", "pattern": "x", "special": [], "tokens": 3}', "'tokens' must be a list"),
        (
            '{"type": "bpe", "pattern": "x", "special": [], "tokens": [], "merges": ["a b"]}',
            "merge 0",
        ),
    ],
)
def test_broken_files_are_explained(tmp_path, text, message):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        BPETokenizer.load(tmp_path / "bad.json")


def test_vocabularies_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="vocab_size=256 is below 257"):
        BPETokenizer.train(TEXT, 256, special=("<|end|>",))
    with pytest.raises(ValueError, match="vocab_size=255 is below 256"):
        BPETokenizer.train(TEXT, 255)
    tokens = [to_printable(bytes([b])) for b in range(256)]
    with pytest.raises(ValueError, match=r"merge 0 .*needs token b'ab'"):
        BPETokenizer.from_vocab(tokens, ["a b"])
    with pytest.raises(ValueError, match="merge 'a b c' is not two tokens"):
        BPETokenizer.from_vocab([*tokens, "abc"], ["a b c"])
    with pytest.raises(ValueError, match="'日' in token '日本' stands for no byte"):
        BPETokenizer.from_vocab([*tokens, "日本"], [])
    with pytest.raises(ValueError, match=r"special tokens \['<s>'\] are not in"):
        BPETokenizer.from_vocab(tokens, [], special=["<s>"])
    with pytest.raises(ValueError, match="special token '<s>' is not token 3 of 1"):
        BPETokenizer([b"a"], [], special={"<s>": 3})
    with pytest.raises(ValueError, match="token id 344 is outside the vocabulary of 344"):
        TRAINED.decode([344])


def test_a_short_text_gives_a_smaller_vocabulary():
    assert BPETokenizer.train("abc", 1000).vocab_size == 258
    assert BPETokenizer.train("", 300).vocab_size == 256


def test_a_token_that_two_merges_make_has_one_id():
    tokens = [to_printable(bytes([b])) for b in range(256)] + ["ab", "bc", "abc"]
    tokenizer = BPETokenizer.from_vocab(tokens, ["a b", "b c", "ab c", "a bc"])
    assert tokenizer.encode("abc") == [258]


def test_bytes_without_a_token_are_left_out():
    tokenizer = BPETokenizer([b"a", b"b", b"ab"], [(b"a", b"b")])
    assert tokenizer.encode("ab\x04a") == [2, 0]


def test_a_full_cache_changes_nothing(monkeypatch):
    monkeypatch.setattr("minillm.tokenizer.bpe.CACHE_LIMIT", 2)
    tokenizer = BPETokenizer.train(TEXT, 350)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    assert tokenizer.encode(TEXT) == BPETokenizer.train(TEXT, 350).encode(TEXT)


def test_printable_alphabet_is_a_bijection():
    everything = bytes(range(256))
    assert from_printable(to_printable(everything)) == everything
    assert all(c.isprintable() and not c.isspace() for c in to_printable(everything))
    assert [to_printable(bytes([b])) for b in BYTE_ORDER] == sorted(to_printable(everything))


@given(st.text(min_size=1))
def test_characters_round_trip(text):
    tokenizer = CharTokenizer(text)
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unknown_characters_are_named():
    tokenizer = CharTokenizer("abc")
    with pytest.raises(ValueError, match=r"'🙂' \(U\+1F642\) at position 2 is not in the alphabet"):
        tokenizer.encode("ab🙂c🙂")
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"token id {wrong} is outside the vocabulary of 3"):
            tokenizer.decode([0, wrong])
    with pytest.raises(ValueError, match="empty text"):
        CharTokenizer("")


def test_both_follow_the_protocol():
    tokenizers: list[Tokenizer] = [CharTokenizer("ab"), BPETokenizer.train("ab", 257)]
    for tokenizer in tokenizers:
        ids = tokenizer.encode("abba")
        assert max(ids) < tokenizer.vocab_size
        assert tokenizer.decode(iter(ids)) == "abba"

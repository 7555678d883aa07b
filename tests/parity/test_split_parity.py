"""A splitter cuts as the `regex` module does, or refuses the pattern: thousands of random ones."""

import random
import warnings

import pytest
import regex

from minillm.tokenizer import Splitter

TEXTS = [
    "abc 你好 x",
    "café déjà",
    "naïve Zürich Z",
    "a\u00a0b\u2028c\x85d\x1ce\x0bf",
    "ab你好",
    "e\u0301 ı İ ſ K ß",
    "1²３Ⅷ一 0٣",
    "<|end|>\n\n  \t'll 'LL\x7f\x80\x81\x82\x83",
    "\x00~_-[]^&|",
    "",
]
ATOMS = [
    *"abZsk0 .-_~&|'!", r"\p{L}", r"\p{N}", r"\s", r"\S", r"\n", r"\t", r"\x0b", r"\x7f", r"\x41",
    r"\-", r"\]", r"\.", "é", "你", r"\u4e00", r"\w", r"\d", r"\W", r"\P{L}", r"\xe9", r"\b", r"\1",
    r"\101", r"\N{DASH}", r"\h", r"\R", r"\Z", r"\A", "$", "^", "(?i:k)", "(?i)", "(?x) a",
    "(?P<n>a)", "(?#c)", "(?|a|b)", "(a)(?(1)b|c)", "(?R)", "(?V1)", "(?a:x)", "(?u:x)",
    "(?L)", "{e<=1}",
    "{", "}", "]",
]  # fmt: skip
IN_CLASS = [
    *"abzAZ09 .-^&|~[]!'", "a-z", "A-Z", "0-9", "!-~", r"\x00-\x7f", r"\x00-\xff", r"\p{L}",
    r"\p{N}", r"\s", r"\S", r"\n", r"\]", r"\-", r"\x00-\s", r"\s-z", "--", "&&", "||", "~~",
    "[:alpha:]",
    "é", r"\u4e00-\u9fff", "一-鿿", r"\w", r"\d", r"\101", r"\b",
]  # fmt: skip
QUANTIFIERS = ["", "", "", "+", "*", "?", "{2}", "{1,3}", "{2,}", "{,2}", "+?", "*?", "++", "*+"]
GROUPS = [
    "(?:%s)",
    "(%s)",
    "(?=%s)",
    "(?!%s)",
    "(?<=%s)",
    "(?<!%s)",
    "(?>%s)",
    "(?s:%s)",
    "(?m:%s)",
]


def random_pattern(chance: random.Random, depth: int = 0) -> str:
    """An alternation of sequences of quantified characters, classes and groups."""
    branches = []
    for _ in range(chance.choice((1, 1, 2))):
        parts = []
        for _ in range(chance.choice((1, 1, 2, 3))):
            kind = chance.random()
            if kind < 0.35:
                inner = "".join(chance.choices(IN_CLASS, k=chance.randrange(1, 4)))
                part = f"[{chance.choice(('', '', '^'))}{inner}]"
            elif kind < 0.5 and depth < 2:
                part = chance.choice(GROUPS) % random_pattern(chance, depth + 1)
            else:
                part = chance.choice(ATOMS if chance.random() < 0.3 else ATOMS[:16] + ATOMS[15:26])
            parts.append(part + chance.choice(QUANTIFIERS))
        branches.append("".join(parts))
    return "|".join(branches)


def disagreement(pattern: str) -> str | None:
    """A text that is cut otherwise; None if there is none or the pattern is refused."""
    try:
        ours = Splitter(pattern)
    except ValueError:
        return None
    theirs = regex.compile(pattern)  # what we take, it must take, too
    for text in TEXTS:
        try:
            words = ours(text)
        except ValueError:
            found = [m[0] for m in theirs.finditer(text)]
            if "".join(found) == text and "" not in found:
                return f"{text!r}: refused, not {found}"
            continue
        if (expected := [m[0] for m in theirs.finditer(text)]) != words:
            return f"{text!r}: {words} instead of {expected}"
    return None


@pytest.mark.parametrize("seed", range(4))
def test_random_patterns(seed):
    chance, taken = random.Random(seed), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of regex, about flags in the middle
        for _ in range(2_500):
            pattern = random_pattern(chance) + chance.choice(("", r"|\s+|.|\n", r"|(?s:.)"))
            assert disagreement(pattern) is None, pattern
            try:
                taken += len(Splitter(pattern)(TEXTS[5])) > 0
            except ValueError:
                continue
    assert taken > 250, "most are refused, and few cover everything, but many do"


@pytest.mark.parametrize(
    ("pattern", "text", "words"),
    [
        ("[A-Za-z]+|[^A-Za-z]+", "café déjà", ["caf", "é ", "d", "é", "j", "à"]),
        ("Z+|[^Z]+", "naïve", ["naïve"]),
        (r"\x0b|[^\x0b]+", "a\u00a0b", ["a\u00a0b"]),
        (r"[^\x00-\x7f]+|[\x00-\x7f]+", "ab你好", ["ab", "你好"]),
        (r"(\p{L})+|([^\p{L}])", "aé1", ["aé", "1"]),
        (r"[]a]+|[^]a]+", "a]é]", ["a]", "é", "]"]),
    ],
)
def test_beyond_ascii(pattern, text, words):
    assert Splitter(pattern)(text) == [m[0] for m in regex.finditer(pattern, text)] == words


@pytest.mark.parametrize(
    "pattern",
    [
        r"[\u4e00-\u9fff]|[^\u4e00-\u9fff]+",
        r"\u00e9|[^\u00e9]+",
        r"\xe9|[^\xe9]+",
        r"[\x00-\xff]+|.",
        r"\N{LATIN SMALL LETTER E WITH ACUTE}",
        r"\351|.",
        "(?i)k+|[^k]+",
        "(?i:s)|.",
        r"(.)\1|.",
        "(?P<a>.)(?P=a)|.",
        r"[\x00-\s]|.",
        "[[:alpha:]]|.",
        "[a--b]|.",
        "[a&&b]|.",
        "[",
        "[a",
        "(?:a){e<=1}|.",
    ],
)
def test_what_would_tell_equal_characters_apart_is_refused(pattern):
    with pytest.raises(ValueError, match=r"not supported|not a regular expression"):
        Splitter(pattern)


def test_an_empty_word_is_refused():
    with pytest.raises(ValueError, match="finds an empty word in 2 characters"):
        Splitter("a*")("aa")

"""Patterns and constrained decoding: equal to `re`, obeyed by every sampler, p renormalised."""

import itertools
import math
import re

import pytest
import torch

from minillm.inference import patterns as P
from minillm.inference.beam import beam_search
from minillm.inference.constrained import Constrained, TokenMask
from minillm.inference.generate import generate, left_pad
from minillm.inference.sampling import Sampling
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM

TOKENS = [b"<end>", b"a", b"b", b"ab", b"ba", b"aab", b"c", b"", b"<special>"]
PATTERNS = {
    "(ab)*": P.many("ab"),
    "a(b|ab)*b": P.sequence("a", P.many(P.either("b", "ab")), "b"),
    "(a|b)*ab": P.sequence(P.many(P.either("a", "b")), "ab"),
    "((a|b)c)*|ba": P.either(P.many(P.sequence(P.either("a", "b"), "c")), "ba"),
    "ab|abba|c": P.one_of(["ab", "abba", "c"]),
}
WORDS = ["".join(w) for n in range(7) for w in itertools.product("abc", repeat=n)]


@pytest.fixture
def mask():
    return TokenMask(TOKENS, end=0, special=(8,))


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=9, context_length=32, d_model=8, n_layers=1, n_heads=2)
    return CausalLM(config).eval()


@pytest.mark.parametrize("expression", PATTERNS)
def test_patterns_accept_what_re_accepts(expression):
    for word in WORDS:
        expected = bool(re.fullmatch(expression, word))
        assert P.matches(PATTERNS[expression], word) == expected, word


@pytest.mark.parametrize("expression", PATTERNS)
def test_a_pattern_is_left_only_if_something_can_follow(expression):
    beginnings = {w[:i] for w in WORDS if re.fullmatch(expression, w) for i in range(len(w) + 1)}
    for word in (w for w in WORDS if len(w) <= 3):
        alive = P.rest(PATTERNS[expression], word.encode()) != P.NEVER
        assert alive == (word in beginnings), word


@pytest.mark.parametrize("expression", PATTERNS)
def test_allowed_tokens_are_those_whose_bytes_can_be_read(mask, expression):
    pattern = PATTERNS[expression]
    expected = [i for i in range(1, 7) if P.rest(pattern, TOKENS[i]) != P.NEVER]
    assert mask.allowed(pattern) == [0] * P.can_end(pattern) + expected


def test_bytes_of_a_character_may_be_split_over_tokens():
    halves = [b"<end>", "é".encode()[:1], "é".encode()[1:]]
    mask, pattern = TokenMask(halves, end=0), P.one_of(["é"])
    assert mask.allowed(pattern) == [1]
    assert mask.allowed(mask.step(pattern, 1)) == [2]


@pytest.mark.parametrize("expression", PATTERNS)
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_every_finished_text_matches(model, mask, expression, temperature):
    prompt = torch.randint(1, 7, (20, 3), generator=torch.Generator().manual_seed(1))
    out = generate(
        Constrained(model, PATTERNS[expression], mask),
        prompt,
        max_new_tokens=25,
        stop=[0],
        sampling=Sampling(temperature=temperature),
        generator=torch.Generator().manual_seed(2),
    )
    finished = 0
    for row in out[:, 3:].tolist():
        text = b"".join(TOKENS[i] for i in itertools.takewhile(bool, row)).decode()
        if 0 in row:
            finished += 1
            assert re.fullmatch(expression, text), text
        else:
            assert P.rest(PATTERNS[expression], text.encode()) != P.NEVER
    assert finished > 5


def test_the_distribution_is_the_models_renormalised(model, mask):
    tokens = torch.tensor([[3, 1]])
    pattern = PATTERNS["(a|b)*ab"]
    p = model(tokens)[0, -1].softmax(-1)
    q = Constrained(model, pattern, mask)(tokens)[0, -1].softmax(-1)
    allowed = mask.allowed(pattern)
    torch.testing.assert_close(q[allowed], p[allowed] / p[allowed].sum())
    assert q.sum().item() == pytest.approx(1)
    assert (q > 0).sum() == len(allowed) < 9


def test_rows_of_unequal_prompts_have_patterns_of_their_own(model, mask):
    rows, patterns = [[1, 2, 3], [4]], [P.one_of(["ab"]), P.one_of(["ba"])]
    tokens, real = left_pad(rows)
    together = generate(
        Constrained(model, patterns, mask), tokens, mask=real, max_new_tokens=3, stop=[0]
    )
    for row, pattern, both in zip(rows, patterns, together[:, 3:], strict=True):
        alone = generate(
            Constrained(model, pattern, mask), torch.tensor([row]), max_new_tokens=3, stop=[0]
        )
        assert alone[0, len(row) :].tolist() == both.tolist()


def test_reordered_rows_keep_their_patterns(model, mask):
    inside = Constrained(model, [P.one_of(["ab"]), P.one_of(["c"])], mask)
    state = inside.new_state(2, 5)
    inside(torch.tensor([[1], [1]]), state=state)
    state.reorder(torch.tensor([1, 1]))
    logits = inside(torch.tensor([[6], [6]]), state=state)
    assert (logits[:, 0] > -math.inf).nonzero().tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("expression", PATTERNS)
def test_beams_outside_the_pattern_are_dropped(model, mask, expression):
    inside = Constrained(model, PATTERNS[expression], mask)
    found = beam_search(
        inside, torch.tensor([[1, 2]]), max_new_tokens=6, n_beams=4, stop=(0,), length_penalty=0
    )
    texts = [b"".join(TOKENS[i] for i in h.tokens.tolist() if i).decode() for h in found]
    assert len(found) == len({tuple(h.tokens.tolist()) for h in found}) > 0
    for h, text in zip(found, texts, strict=True):
        assert h.log_prob > -math.inf
        if h.tokens[-1] == 0:
            assert re.fullmatch(expression, text), text


def test_many_beams_find_the_text_of_highest_q(model, mask):
    inside, start = Constrained(model, P.one_of(["ab", "aab", "c"]), mask), torch.tensor([[1, 2]])
    spellings = [[1, 2, 0], [3, 0], [5, 0], [1, 3, 0], [1, 1, 2, 0], [6, 0]]
    scores = []
    for text in spellings:
        logits = torch.cat([inside(start, state=(state := inside.new_state(1, 9)))] + [
            inside(torch.tensor([[i]]), state=state) for i in text[:-1]
        ], 1)  # fmt: skip
        scores.append(logits[0].log_softmax(-1).gather(1, torch.tensor(text)[:, None]).sum().item())
    found = beam_search(inside, start, max_new_tokens=5, n_beams=9, stop=(0,), length_penalty=0)
    order = sorted(range(len(spellings)), key=lambda i: -scores[i])
    assert [h.tokens.tolist() for h in found] == [spellings[i] for i in order]
    assert sum(math.exp(score) for score in scores) == pytest.approx(1)


def test_a_row_that_ended_with_a_stop_of_the_callers_waits_for_the_others(model, mask):
    inside = Constrained(model, [P.one_of(["c"]), P.one_of(["abab"])], mask)
    out = generate(inside, torch.tensor([[1], [1]]), max_new_tokens=8, stop=[0, 6])[:, 1:].tolist()
    assert set(out[0]) == {6}
    text = b"".join(TOKENS[i] for i in itertools.takewhile(bool, out[1]))
    assert text == b"abab"


def test_what_is_allowed_may_be_changed_by_the_caller(mask):
    mask.allowed(P.one_of(["ab"])).append(99)
    assert mask.allowed(P.one_of(["ab"])) == [1, 3]


def test_a_sequence_of_thousands_of_parts():
    digits = P.sequence(*[P.one_of(["0", "1"]), "x"] * 3000)
    assert P.matches(digits, "0x1x" * 1500)
    assert not P.matches(digits, "0x1x" * 1499 + "0x1")


def test_bad_input_is_refused(model, mask):
    with pytest.raises(ValueError, match="3 rows, but 2 patterns"):
        Constrained(model, [P.many("a")] * 2, mask).new_state(3, 4)
    with pytest.raises(ValueError, match="33 tokens do not fit into a context of 32"):
        Constrained(model, P.many("a"), mask).new_state(1, 33)
    with pytest.raises(ValueError, match="not among the 9 tokens"):
        TokenMask(TOKENS, end=9)
    with pytest.raises(ValueError, match="may follow"):
        mask.allowed(P.one_of(["x"]))
    with pytest.raises(ValueError, match="9 logits, but 10 tokens"):
        Constrained(model, P.many("a"), TokenMask([*TOKENS, b"x"], end=0))(torch.tensor([[1]]))
    for call in (lambda: P.sequence("a", 5), lambda: P.either(["a"]), lambda: P.many(["a"])):
        with pytest.raises(ValueError, match="neither a pattern nor a string"):
            call()
    for wrong in ("ab", ["ab"]):
        with pytest.raises(ValueError, match="is no pattern"):
            Constrained(model, wrong, mask)
    for call in (lambda: P.one_of([]), lambda: P.one_of("no"), P.either, lambda: P.many("")):
        with pytest.raises(ValueError, match=r"."):
            call()
    with pytest.raises(ValueError, match="half a character"):
        P.one_of(["\ud800"])

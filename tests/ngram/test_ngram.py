"""N-grams: equal to a slow count, distributions sum to 1, more context helps, states carry on."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.corpora import python_docs
from minillm.ngram import SMOOTHINGS, NGramLM
from minillm.tokenizer import CharTokenizer

V, BOUNDARY = 7, 6
WEIGHTS = (0.9, 0.7, 0.5, 0.3)


class SlowNGram:
    """The same definitions with dictionaries of tuples, one probability at a time."""

    def __init__(self, texts, order, smoothing, boundary):
        self.order, self.smoothing = order, smoothing
        self.raw, left, begins = Counter(), defaultdict(set), Counter()
        for text in texts:
            first = 0 if boundary is None else 1
            read = list(text) if boundary is None else [boundary, *text, boundary]
            for end in range(first, len(read)):
                for n in range(1, min(order, end + 1) + 1):
                    gram = tuple(read[end - n + 1 : end + 1])
                    self.raw[gram] += 1
                    if end - n + 1 > 0:
                        left[gram].add(read[end - n])
                    else:
                        begins[gram] += 1
        self.spread = {g: len(left[g]) + begins[g] for g in self.raw}
        self.known = {(), *self.raw} | ({(boundary,)} if boundary is not None else set())

    def count(self, gram):
        lower = self.smoothing == "kneser_ney" and len(gram) < self.order
        return (self.spread if lower else self.raw).get(gram, 0)

    def prob(self, context, token):
        context = tuple(context)[len(context) - min(len(context), self.order - 1) :]
        if self.smoothing in ("mle", "add_k"):
            return self.at(context, token, None)
        p = 1 / V
        for m in range(len(context) + 1):
            p = self.at(context[len(context) - m :], token, p)
        return p

    def at(self, context, token, lower):
        count = self.count((*context, token))
        after = [self.count((*context, t)) for t in range(V)]
        total, kinds = sum(after), sum(c > 0 for c in after)
        if self.smoothing == "add_k":
            return (count + 0.3) / (total + 0.3 * V)
        if total == 0:
            return 1 / V if self.smoothing == "mle" else lower
        if self.smoothing == "mle":
            return count / total
        if self.smoothing == "interpolated":
            w = WEIGHTS[len(context)]
            return w * count / total + (1 - w) * lower
        if self.smoothing == "witten_bell":
            return (count + kinds * lower) / (total + kinds)
        return (max(count - 0.75, 0) + 0.75 * kinds * lower) / total


def random_texts(seed, number=9, longest=14):
    rng = random.Random(seed)
    return [[min(int(rng.expovariate(0.6)), 5) for _ in range(rng.randint(0, longest))]
            for _ in range(number)]  # fmt: skip


def build(smoothing, order, boundary=None):
    return NGramLM(V, order, smoothing=smoothing, boundary=boundary, k=0.3, weights=WEIGHTS)


@pytest.mark.parametrize("boundary", [None, BOUNDARY])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_equals_counting_with_dictionaries(smoothing, order, boundary):
    texts, unseen = random_texts(1), random_texts(2)
    model = build(smoothing, order, boundary).fit(texts)
    slow = SlowNGram(texts, order, smoothing, boundary)
    expected = []
    for text in unseen:
        full = text if boundary is None else [boundary, *text, boundary]
        first = 0 if boundary is None else 1
        expected += [slow.prob(full[:end], full[end]) for end in range(first, len(full))]
    got = model.log_probs(unseen).exp()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))
    for context in ([], [5], [5, 5, 5, 5], [0, 1, 2], [6, 0]):
        row = torch.tensor([slow.prob(context, t) for t in range(V)], dtype=torch.float64)
        torch.testing.assert_close(model.distribution(context), row)
        assert model.prob(context, 2) == pytest.approx(row[2].item(), abs=1e-12)
    assert model.entries == tuple(sum(len(g) == n for g in slow.known) for n in range(1, order + 1))


@given(
    st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=6).filter(any),
    st.lists(st.integers(0, V - 1), max_size=5),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_distributions_sum_to_one(texts, context, order):
    for smoothing in SMOOTHINGS:
        for boundary in (None, 0):
            model = NGramLM(V, order, smoothing=smoothing, boundary=boundary).fit(texts)
            p = model.distribution(context)
            assert p.min() >= 0
            assert p.sum().item() == pytest.approx(1, abs=1e-12)


def test_by_hand_with_beginning_and_end():
    # <0> a b <0>, <0> a a <0>: after <0> always a; after a: b, a, end; b always ends.
    model = NGramLM(3, 2, smoothing="mle", boundary=0).fit([[1, 2], [1, 1]])
    assert model.distribution([0]).tolist() == [0, 1, 0]
    torch.testing.assert_close(model.distribution([1]), torch.full((3,), 1 / 3).double())
    assert model.log_probs([[1, 2]]).exp().tolist() == pytest.approx([1, 1 / 3, 1])
    # Order 1 predicts three a, one b, two ends and no beginning.
    unigram = NGramLM(3, 1, smoothing="mle", boundary=0).fit([[1, 2], [1, 1]])
    torch.testing.assert_close(unigram.distribution([]), torch.tensor([2, 3, 1]).double() / 6)


def test_kneser_ney_prefers_what_follows_many_different_words():
    # "francisco" (3) is the commonest token but only ever follows "san" (2).
    text = [2, 3] * 6 + [0, 1, 4, 1, 5, 1, 2, 3]
    after_unseen = NGramLM(V, 2).fit(text).distribution([6])
    assert after_unseen.argmax() == 1
    assert NGramLM(V, 2, smoothing="witten_bell").fit(text).distribution([6])[3] > after_unseen[3]


def test_more_context_helps_on_real_text():
    docs = python_docs()
    tokenizer = CharTokenizer(docs.text)
    train, held_out = (
        tokenizer.encode(docs.train[:150_000]),
        tokenizer.encode(docs.validation[:10_000]),
    )
    for smoothing in ("interpolated", "witten_bell", "kneser_ney"):
        losses = [
            math.log(
                NGramLM(tokenizer.vocab_size, n, smoothing=smoothing)
                .fit(train)
                .perplexity(held_out)
            )
            for n in (1, 2, 3, 5)
        ]
        assert losses == sorted(losses, reverse=True)
        assert 3.0 < losses[0] < 3.5
        assert losses[3] < 1.8


def test_perplexity_is_exp_of_cross_entropy():
    text = random_texts(3, number=1, longest=60)[0] * 3
    model = build("kneser_ney", 3).fit(text)
    tokens = torch.tensor(text)
    table = torch.cat([model.distribution([]).log()[None], model(tokens[None])[0, :-1].double()])
    loss = F.cross_entropy(table, tokens)
    assert model.perplexity(text) == pytest.approx(loss.exp().item(), rel=1e-6)
    assert build("mle", 3).fit(text).perplexity([*text, 6]) == math.inf


def test_a_tensor_a_list_and_one_text_are_the_same():
    text = random_texts(4, number=1)[0] + [1, 2, 3]
    probs = [
        build("witten_bell", 3).fit(form).log_probs(form)
        for form in (text, torch.tensor(text), [text], [torch.tensor(text)])
    ]
    for other in probs[1:]:
        assert torch.equal(probs[0], other)


def test_texts_do_not_touch():
    model = build("mle", 2).fit([[0, 1], [2, 3]])
    assert model.entries == (4, 2)
    assert model.prob([1], 2) == pytest.approx(1 / V)  # nothing ever followed a 1


@pytest.mark.parametrize("order", [1, 2, 4])
def test_state_carries_the_context(order):
    model = build("kneser_ney", order).fit(random_texts(5))
    tokens = torch.tensor([2, 0, 1, 2, 0, 0, 1, 3, 5, 0])
    tokens = torch.stack([tokens, tokens.flip(0)])
    whole = model(tokens)
    assert whole.shape == (2, tokens.shape[1], V)
    for sizes in ([1] * 10, [4, 1, 5], [9, 1]):
        state = model.new_state(2, 10)
        parts = [model(part, state=state) for part in tokens.split(sizes, dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), whole)
        assert len(state) == 10
    assert state.tokens.shape[1] == order - 1
    state.reorder(torch.tensor([1, 1]))
    torch.testing.assert_close(model(tokens[:, :1], state=state)[0], model(
        torch.cat([tokens[1:], tokens[:1, :1]], dim=1))[0, -1:])  # fmt: skip


def test_padding_on_the_left_is_not_a_context():
    model = build("kneser_ney", 3).fit(random_texts(7))
    tokens = torch.tensor([[5, 5, 0, 1, 2]])
    mask = torch.tensor([[False, False, True, True, True]])
    alone = model(tokens[:, 2:])
    torch.testing.assert_close(model(tokens, mask=mask)[:, 2:], alone)
    state = model.new_state(1, 5)
    model(tokens[:, :3], mask=mask[:, :3], state=state)
    torch.testing.assert_close(model(tokens[:, 3:], mask=mask, state=state), alone[:, 1:])


def test_before_fit_everything_is_equally_likely():
    assert NGramLM(4, 3).distribution([1, 2]).tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 0}, "order=0 must be >= 1"),
        ({"vocab_size": 0}, "vocab_size=0"),
        ({"smoothing": "magic"}, "'magic' is not one of"),
        ({"boundary": 7}, "boundary=7 is outside the vocabulary of 7"),
        ({"k": 0.0}, "k=0.0 must be above 0"),
        ({"discount": 1.5}, "discount=1.5"),
        ({"weights": (0.5, 2.0)}, "must all be between 0 and 1"),
        ({"smoothing": "interpolated", "order": 3, "weights": (0.5,)}, "order=3 needs as many"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        NGramLM(**{"vocab_size": 7, "order": 2} | arguments)


def test_tokens_out_of_range():
    model = NGramLM(7, 2).fit([1, 2, 3])
    for call in (model.fit, model.log_probs, model.distribution, lambda t: model.prob(t, 0)):
        with pytest.raises(ValueError, match="token id 7 is outside the vocabulary of 7"):
            call([0, 7])
    with pytest.raises(ValueError, match="token id -1 is outside"):
        model(torch.tensor([[-1]]))
    for empty in ([], [[]], torch.tensor([], dtype=torch.long)):
        with pytest.raises(ValueError, match="no tokens"):
            model.fit(empty)


@pytest.mark.parametrize(
    "corpus",
    [
        np.array([0, 1, 2, 1]),
        list(np.array([0, 1, 2, 1])),
        (0, 1, 2, 1),
        torch.tensor([0, 1, 2, 1]),
        [np.array([0, 1, 2, 1])],
        range(3),
    ],
    ids=["array", "list of numpy", "tuple", "tensor", "list of arrays", "range"],
)
def test_texts_come_as_any_sequence(corpus):
    ids = [0, 1, 2] if isinstance(corpus, range) else [0, 1, 2, 1]
    found, expected = (NGramLM(5, 2).fit(c).distribution([1]) for c in (corpus, ids))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("corpus", [torch.zeros(2, 3), [[[0]]]])
def test_a_table_is_no_text(corpus):
    with pytest.raises(ValueError, match="a text is a row of ids"):
        NGramLM(5, 2).fit(corpus)

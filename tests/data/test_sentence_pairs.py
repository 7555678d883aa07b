"""Pairs of passages: whole sentences around a border, half of them from another text."""

import pytest
import torch

from minillm import SentencePairs, segments_of

CLS, SEP = 1, 2
TEXTS = [[[10 * t + s] * (s + 1) for s in range(1, 5)] for t in range(1, 6)]
"""Sentence s of text t is the word 10 t + s, s + 1 times."""


def pairs(texts=TEXTS, **settings):
    return SentencePairs(texts, **{"length": 20, "cls": CLS, "sep": SEP} | settings)


def parts(row):
    """The words of both passages."""
    ids = [i for i in row.tolist() if i]
    middle = ids.index(SEP)
    assert ids[0] == CLS
    assert ids[-1] == SEP
    return ids[1:middle], ids[middle + 1 : -1]


def test_the_second_passage_follows_or_is_of_another_text():
    batch = pairs().batch(0, 2000)
    for row, label in zip(batch.inputs, batch.targets.tolist(), strict=True):
        a, b = parts(row)
        follows = a[-1] + 1 == b[0]
        assert follows == bool(label)
        assert label or a[-1] // 10 != b[0] // 10
    assert abs(batch.targets.float().mean() - 0.5) < 5 * (0.25 / 2000) ** 0.5


def test_first_passages_are_whole_sentences_and_second_ones_begin_with_one():
    for row in pairs().batch(0, 200).inputs:
        a, b = parts(row)
        assert len(a) <= 8
        assert all(a.count(word) == word % 10 + 1 for word in set(a))
        assert b.count(b[0]) == min(b[0] % 10 + 1, 9)


def test_a_sentence_that_is_too_long_is_cut_to_its_end():
    long = [[list(range(20, 60)), [3]], [list(range(70, 99)), [4]]]
    a, _ = parts(pairs(long, share_next=1.0).row(long[0][:1], long[0][1:]))
    assert a == list(range(52, 60))


def test_the_mask_shows_what_is_no_padding():
    batch = pairs().batch(3, 50)
    assert torch.equal(batch.mask, batch.inputs != 0)


def test_a_batch_depends_on_seed_and_step_alone():
    first, again = pairs().batch(4, 8), pairs().batch(4, 8)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, pairs(seed=1).batch(4, 8).inputs)
    assert not torch.equal(first.inputs, pairs().batch(5, 8).inputs)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_of_one_class(share):
    assert set(pairs(share_next=share).batch(0, 50).targets.tolist()) == {int(share)}


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([[[5], [6]]], {}, "1 have two sentences"),
        ([[[5]], [[6]]], {}, "0 have two sentences"),
        ([[[5], []], [[6], [7]]], {}, "1 of the texts' are empty"),
        (TEXTS, {"length": 4}, "length=4"),
        (TEXTS, {"share_next": 1.2}, "share_next=1.2"),
    ],
)
def test_bad_input(texts, settings, message):
    with pytest.raises(ValueError, match=message):
        pairs(texts, **settings)


def test_segments():
    rows = torch.tensor([[1, 5, 2, 6, 2, 0], [1, 5, 5, 5, 5, 5]])
    assert segments_of(rows, SEP).tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]

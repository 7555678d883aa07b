"""Pairs: every one once a round, padding only where the mask says, ends marked by `IGNORE`."""

import pytest
import torch

from minillm import IGNORE, TokenPairs

SOURCES = [list(range(3, 3 + n)) for n in (2, 5, 3, 9, 1, 4, 7)]
TARGETS = [[*range(20, 20 + n), 1] for n in (4, 1, 6, 2, 3, 8, 5)]


def rows(batch):
    """The pairs of a batch as lists, without padding."""
    sources = [x[m].tolist() for x, m in zip(batch.inputs, batch.mask, strict=True)]
    return list(zip(sources, [y[y != IGNORE].tolist() for y in batch.targets], strict=True))


def test_every_pair_once_a_round_and_in_another_order():
    data = TokenPairs(SOURCES, TARGETS)
    rounds = [
        [pair for step in range(7) for pair in rows(data.batch(7 * r + step, 1))] for r in (0, 1)
    ]
    for found in rounds:
        assert sorted(found) == sorted(zip(SOURCES, TARGETS, strict=True))
    assert rounds[0] != rounds[1]


def test_a_batch_depends_on_seed_and_step_alone():
    first = [TokenPairs(SOURCES, TARGETS, seed=1).batch(s, 3) for s in (4, 0)]
    again = [TokenPairs(SOURCES, TARGETS, seed=1).batch(s, 3) for s in (0, 4)]
    assert rows(first[0]) == rows(again[1])
    assert rows(first[1]) == rows(again[0])
    assert any(
        rows(TokenPairs(SOURCES, TARGETS, seed=2).batch(s, 3)) != rows(first[1]) for s in (0, 1)
    )


def test_batches_hold_pairs_of_similar_length():
    lengths = torch.randint(1, 40, (640,), generator=torch.Generator().manual_seed(0)).tolist()
    data = TokenPairs([[1] * n for n in lengths], [[2] * n for n in lengths])
    batches = [data.batch(step, 16) for step in range(40)]
    padding = sum(int((~batch.mask).sum()) for batch in batches)
    assert padding < 0.1 * sum(lengths)
    tops = [batch.inputs.shape[1] for batch in batches]
    assert tops != sorted(tops)


def test_parts_of_a_batch_for_several_processes():
    data = TokenPairs(SOURCES, TARGETS)
    whole = rows(data.batch(1, 4))
    parts = [rows(data.batch(1, 4, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [parts[i % 2][i // 2] for i in range(4)] == whole


def test_in_order():
    data = TokenPairs(SOURCES, TARGETS).sequential()
    pairs = list(zip(SOURCES, TARGETS, strict=True))
    assert rows(data.batch(1, 3)) == pairs[3:6]
    assert rows(data.batch(2, 3)) == [pairs[6], *pairs[:2]]
    assert [pair for batch in data.all(3) for pair in rows(batch)] == pairs


def test_padding_id():
    batch = TokenPairs(SOURCES, TARGETS, pad=9).sequential().batch(0, 2)
    assert batch.inputs[0].tolist() == [3, 4, 9, 9, 9]


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([[1]], [[1], [2]], "1 sources, but 2 targets"),
        ([], [], "0 pairs"),
        ([[1], []], [[1], [2]], "2 pairs, first empty one: 1"),
        ([[1], [2]], [[], [2]], "2 pairs, first empty one: 0"),
    ],
)
def test_bad_pairs(sources, targets, message):
    with pytest.raises(ValueError, match=message):
        TokenPairs(sources, targets)


def test_a_batch_larger_than_the_data():
    with pytest.raises(ValueError, match="a batch of 8 pairs, but there are 7"):
        TokenPairs(SOURCES, TARGETS).batch(0, 8)

"""Batches: pure functions of seed and step, shared without overlap, padded without trace."""

import pytest
import torch

from minillm.data.batch import Batch
from minillm.data.labelled import LabelledTexts
from minillm.data.windows import TokenWindows, generator

TOKENS = torch.arange(1000)
TEXTS = [[i + 1] * (1 + i % 5) for i in range(23)]


def sources():
    return [
        TokenWindows(TOKENS, 8, seed=3),
        TokenWindows(TOKENS, 8).sequential(),
        LabelledTexts(TEXTS, list(range(23)), max_length=4, seed=3),
    ]


@pytest.mark.parametrize("source", sources(), ids=["windows", "sequential", "labelled"])
def test_a_batch_depends_on_the_step_alone(source):
    first = [source.batch(step, 6) for step in range(5)]
    torch.manual_seed(99)
    again = [source.batch(step, 6) for step in reversed(range(5))][::-1]
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
    assert not torch.equal(first[0].targets, first[1].targets)


@pytest.mark.parametrize("source", sources(), ids=["windows", "sequential", "labelled"])
def test_ranks_share_one_batch(source):
    whole = source.batch(4, 7)
    parts = [source.batch(4, 7, rank=r, world_size=3) for r in range(3)]
    for r, part in enumerate(parts):
        assert torch.equal(part.targets, whole.targets[r::3])
        width = part.inputs.shape[1]
        assert torch.equal(part.inputs, whole.inputs[r::3, :width])
    for rank, world_size in ((3, 3), (-1, 3), (0, 8)):
        with pytest.raises(ValueError, match=f"rank {rank} of {world_size} gets no row"):
            source.batch(0, 7, rank=rank, world_size=world_size)


def test_targets_are_the_inputs_shifted_by_one():
    batch = TokenWindows(TOKENS, 8).batch(0, 500)
    assert batch.inputs.shape == batch.targets.shape == (500, 8)
    assert torch.equal(batch.targets, batch.inputs + 1)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])


def test_every_window_can_be_drawn():
    data = TokenWindows(torch.arange(12), 8)
    starts = torch.cat([data.batch(step, 50).inputs[:, 0] for step in range(4)])
    assert starts.unique().tolist() == [0, 1, 2, 3]
    assert TokenWindows(torch.arange(9), 8).batch(0, 2).targets[:, -1].tolist() == [8, 8]


def test_seeds_and_steps_do_not_meet():
    # With seed + step as the seed, run 1 would see the batches of run 0 one step later.
    draws = {
        (seed, step): tuple(TokenWindows(TOKENS, 8, seed=seed).batch(step, 4).inputs[:, 0].tolist())
        for seed in range(12)
        for step in range(12)
    }
    assert len(set(draws.values())) == 144
    assert generator(-1, 0).initial_seed() >= 0


def test_batches_are_the_same_in_every_process():
    # Python's hash is salted and torch's default seed is not fixed; these ids are.
    drawn = TokenWindows(TOKENS, 4, seed=1).batch(2, 3).inputs[:, 0].tolist()
    assert generator(1, 2).initial_seed() == 4587389617219852853
    assert drawn == [41, 355, 970]


def test_sequential_covers_the_text_once_and_begins_again():
    data = TokenWindows(TOKENS[:35], 8).sequential()
    assert len(data) == 4
    read = torch.cat([data.batch(step, 2).inputs for step in range(2)])
    assert torch.equal(read.flatten(), TOKENS[:32])
    assert torch.equal(data.batch(2, 2).inputs, data.batch(0, 2).inputs)
    assert torch.equal(torch.cat([b.targets for b in data]).flatten(), TOKENS[1:33])
    long = TokenWindows(TOKENS, 8).sequential()
    assert sum(len(b) for b in long) == len(long) == 124


def test_lists_become_tokens():
    assert TokenWindows([1, 2, 3, 4], 3).sequential().batch(0, 1).inputs.tolist() == [[1, 2, 3]]


def test_corpora_that_are_too_short():
    with pytest.raises(ValueError, match=r"has 8 tokens, a window of length 8 needs 9"):
        TokenWindows(TOKENS[:8], 8)
    with pytest.raises(ValueError, match="windows of 0 tokens"):
        TokenWindows(TOKENS, 0)
    with pytest.raises(ValueError, match=r"from shape \(2, 2\)"):
        TokenWindows(torch.zeros(2, 2), 1)


def test_every_text_once_a_round_in_a_new_order():
    data = LabelledTexts(TEXTS, list(range(23)), max_length=9)
    labels = torch.cat([data.batch(step, 6).targets for step in range(23)])  # 138 = 6 rounds
    rounds = labels.view(6, 23)
    assert all(sorted(r.tolist()) == list(range(23)) for r in rounds)
    assert len({tuple(r.tolist()) for r in rounds}) == 6


def test_padding_and_cutting():
    batch = LabelledTexts(TEXTS, list(range(23)), max_length=4, pad=50).all()
    assert batch.inputs.shape == (23, 4)
    for i, text in enumerate(TEXTS):
        kept = text[:4]
        assert batch.inputs[i].tolist() == kept + [50] * (4 - len(kept))
        assert batch.mask[i].tolist() == [True] * len(kept) + [False] * (4 - len(kept))
    assert batch.targets.tolist() == list(range(23))
    short = LabelledTexts([[1], [2], [3, 3, 3]], [0, 0, 1], max_length=8)
    widths = {len(b.inputs[0]) for b in (short.batch(s, 1) for s in range(6))}
    assert widths == {1, 3}


def test_labels_must_fit():
    with pytest.raises(ValueError, match="2 texts, but 1 labels"):
        LabelledTexts([[1], [2]], [0], max_length=4)
    with pytest.raises(ValueError, match="first empty text: 1"):
        LabelledTexts([[1], []], [0, 1], max_length=4)
    with pytest.raises(ValueError, match="0 texts"):
        LabelledTexts([], [], max_length=4)
    with pytest.raises(ValueError, match="max_length=0"):
        LabelledTexts([[1]], [0], max_length=0)


def test_split_keeps_everything():
    inputs = torch.arange(10).view(5, 2)
    batch = Batch(inputs, inputs + 1, inputs > 3)
    parts = batch.split(2)
    assert [len(p) for p in parts] == [2, 2, 1]
    for name in ("inputs", "targets", "mask"):
        assert torch.equal(torch.cat([getattr(p, name) for p in parts]), getattr(batch, name))
    assert [p.mask for p in Batch(inputs, inputs).split(3)] == [None, None]
    with pytest.raises(ValueError, match="asked for 0"):
        batch.split(0)


def test_to_moves_all_three():
    batch = Batch(torch.zeros(1, 2), torch.zeros(1), torch.ones(1, 2, dtype=torch.bool)).to("meta")
    assert {batch.inputs.device.type, batch.targets.device.type, batch.mask.device.type} == {"meta"}
    assert Batch(torch.zeros(1, 2), torch.zeros(1)).to("meta").mask is None

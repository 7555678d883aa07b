"""A translator with its source in hand writes what the translator says, greedily and by beams."""

import pytest
import torch

from minillm import Conditioned, Seq2Seq, beam_search, generate
from tests.conftest import VASWANI, randomise

SOURCE = torch.randint(97, (2, 7), generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
START = torch.tensor([[1], [1]])


@pytest.fixture
def model():
    return randomise(Seq2Seq(VASWANI))


def test_greedy_is_the_argmax_of_the_whole_model(model):
    out = generate(Conditioned(model, SOURCE, MASK), START, max_new_tokens=6)
    for t in range(1, 7):
        logits = model(SOURCE, out[:, :t], source_mask=MASK)[:, -1]
        assert out[:, t].tolist() == logits.argmax(-1).tolist()


def test_padding_changes_nothing(model):
    together = generate(Conditioned(model, SOURCE, MASK), START, max_new_tokens=6)
    alone = generate(Conditioned(model, SOURCE[1:, :4]), START[1:], max_new_tokens=6)
    assert together[1].tolist() == alone[0].tolist()


def test_one_source_serves_several_beams(model):
    writer = Conditioned(model, SOURCE[:1])
    found = beam_search(writer, START[:1], max_new_tokens=4, n_beams=3, length_penalty=0.0)
    assert len(found) == 3
    for hypothesis in found:
        text = torch.cat((START[0], hypothesis.tokens))[None]
        log_p = model(SOURCE[:1], text[:, :-1]).log_softmax(-1)
        total = log_p.gather(-1, text[:, 1:, None]).sum().item()
        assert hypothesis.log_prob == pytest.approx(total, abs=1e-3)
    greedy = generate(writer, START[:1], max_new_tokens=4)
    assert (
        found[0].log_prob
        >= beam_search(writer, START[:1], max_new_tokens=4, n_beams=1, length_penalty=0.0)[
            0
        ].log_prob
        - 1e-4
    )
    assert greedy.shape == (1, 5)


def test_without_dropout_whatever_the_mode(model):
    before = Conditioned(model, SOURCE).memory
    model.train()
    torch.testing.assert_close(Conditioned(model, SOURCE).memory, before)


def test_shapes_that_disagree(model):
    with pytest.raises(ValueError, match=r"mask \(2, 6\) does not fit source \(2, 7\)"):
        Conditioned(model, SOURCE, MASK[:, :6])
    with pytest.raises(ValueError, match="3 texts, but 2 sources"):
        Conditioned(model, SOURCE)(torch.ones(3, 1, dtype=torch.long))

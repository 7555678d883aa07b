"""Losses: sums and counts, padding ignored, float32 inside."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minillm.data.batch import IGNORE, Batch
from minillm.nn.models import MaskedLM, Seq2Seq
from minillm.training import objectives
from minillm.training.objectives import (
    classification_loss,
    count_targets,
    lm_loss,
    mlm_loss,
    seq2seq_loss,
    sequence_log_probs,
    shift_right,
)
from tests.conftest import BERT, VASWANI, randomise

V = 7


def fixed(logits):
    """A model that returns these logits and remembers how it was called."""

    def model(_tokens, **kwargs):
        model.called_with = kwargs
        return logits

    return model


@pytest.fixture
def batch():
    targets = torch.tensor([[1, 2, 3, 4], [5, 6, IGNORE, IGNORE]])
    return Batch(torch.zeros(2, 4, dtype=torch.long), targets, None)


def by_hand(logits, targets):
    total = 0.0
    for row, ids in zip(logits, targets, strict=True):
        for scores, target in zip(row, ids.tolist(), strict=True):
            if target != IGNORE:
                total -= (scores[target] - scores.exp().sum().log()).item()
    return total


def test_lm_loss_is_the_sum_over_counted_targets(batch):
    logits = torch.randn(2, 4, V)
    total, count = lm_loss(fixed(logits), batch)
    assert (count, count_targets(batch)) == (6, 6)
    assert total.item() == pytest.approx(by_hand(logits, batch.targets), rel=1e-5)


def test_ignored_positions_get_no_gradient(batch):
    logits = torch.randn(2, 4, V, requires_grad=True)
    lm_loss(fixed(logits), batch)[0].backward()
    assert (logits.grad.abs().sum(-1) > 0).tolist() == [[True] * 4, [True, True, False, False]]


def test_a_perfect_model_has_loss_0_and_a_uniform_one_ln_v_a_token(batch):
    good = torch.nn.functional.one_hot(batch.targets.clamp(min=0), V) * 100.0
    assert lm_loss(fixed(good), batch)[0].item() == pytest.approx(0, abs=1e-6)
    uniform, count = lm_loss(fixed(torch.zeros(2, 4, V)), batch)
    assert uniform.item() / count == pytest.approx(torch.tensor(V).log().item())


def test_bfloat16_logits_are_summed_in_float32(batch):
    logits = torch.randn(2, 4, V).bfloat16()
    total, _ = lm_loss(fixed(logits), batch)
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(by_hand(logits.float(), batch.targets), rel=1e-5)


def test_classification_loss_counts_texts():
    logits = torch.randn(3, 2)
    batch = Batch(torch.zeros(3, 4, dtype=torch.long), torch.tensor([1, 0, IGNORE]), None)
    total, count = classification_loss(fixed(logits), batch)
    expected = -(logits.log_softmax(-1)[0, 1] + logits.log_softmax(-1)[1, 0])
    assert count == 2
    torch.testing.assert_close(total, expected)


def test_sequence_log_probs_has_one_number_a_text(batch):
    logits = torch.randn(2, 4, V)
    log_probs = sequence_log_probs(fixed(logits), batch)
    for row in range(2):
        expected = -by_hand(logits[row : row + 1], batch.targets[row : row + 1])
        assert log_probs[row].item() == pytest.approx(expected, rel=1e-5)
    assert (log_probs < 0).all()


@pytest.mark.parametrize("loss", [lm_loss, sequence_log_probs])
def test_the_mask_is_passed_on_only_if_there_is_one(loss, batch):
    model = fixed(torch.zeros(2, 4, V))
    loss(model, batch)
    assert model.called_with == {}
    mask = batch.targets != IGNORE
    loss(model, Batch(batch.inputs, batch.targets, mask))
    assert model.called_with["mask"] is mask


@pytest.mark.parametrize("loss", [lm_loss, classification_loss, sequence_log_probs])
def test_shapes_that_disagree_are_named(loss, batch):
    with pytest.raises(ValueError, match=r"\(2, 3, 7\).*\(2, 4\)"):
        loss(fixed(torch.zeros(2, 3, V)), batch)


@pytest.mark.parametrize("piece", [1, 3 * V, 10**6])
def test_the_size_of_a_piece_changes_nothing(piece, batch, monkeypatch):
    monkeypatch.setattr(objectives, "PIECE", piece)
    batch = replace(batch, targets=batch.targets.flip(0, 1))  # the last piece has targets too
    logits = torch.randn(2, 4, V, requires_grad=True)
    total, count = lm_loss(fixed(logits), batch)
    total.backward()
    assert (total.item(), count) == (pytest.approx(by_hand(logits, batch.targets), abs=1e-5), 6)
    right = F.one_hot(batch.targets.clamp(min=0), V)
    expected = (logits.softmax(-1) - right) * (batch.targets != IGNORE)[..., None]
    torch.testing.assert_close(logits.grad, expected.detach(), atol=1e-6, rtol=1e-5)


def test_seq2seq_loss_by_hand():
    model = randomise(Seq2Seq(VASWANI))
    source, mask = torch.randint(97, (2, 5)), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    targets = torch.tensor([[7, 8, 9, 2], [5, 2, IGNORE, IGNORE]])
    total, count = seq2seq_loss(model, Batch(source, targets, mask), start=1)
    expected = 0.0
    for x, y in ((source[:1], [7, 8, 9, 2]), (source[1:, :3], [5, 2])):
        for t, token in enumerate(y):
            logits = model(x, torch.tensor([[1, *y[:t]]]))
            expected -= logits[0, -1].log_softmax(-1)[token].item()
    assert count == 6
    assert total.item() == pytest.approx(expected, rel=1e-4)


def test_seq2seq_loss_of_unequal_rows():
    with pytest.raises(ValueError, match="2 sources, but 3 targets"):
        seq2seq_loss(
            Seq2Seq(VASWANI),
            Batch(torch.ones(2, 4, dtype=torch.long), torch.ones(3, 4, dtype=torch.long)),
            start=1,
        )


def test_shift_right_never_reads_a_target_at_its_own_place():
    targets = torch.arange(2, 14).view(2, 6)
    written = shift_right(targets, 1)
    assert written[:, 0].tolist() == [1, 1]
    assert torch.equal(written[:, 1:], targets[:, :-1])


def hidden_batch():
    """Two rows, the second padded; three targets."""
    tokens = torch.randint(5, 97, (2, 9))
    targets = torch.full_like(tokens, IGNORE)
    targets[0, 1], targets[0, 4], targets[1, 2] = 7, 8, 9
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    return Batch(tokens, targets, mask)


def test_the_masked_loss_is_that_of_all_logits_at_the_targets():
    model, batch = randomise(MaskedLM(BERT)), hidden_batch()
    logits = model(batch.inputs, mask=batch.mask)
    expected = F.cross_entropy(logits.mT, batch.targets, ignore_index=IGNORE, reduction="sum")
    total, count = mlm_loss(model, batch)
    assert count == 3
    torch.testing.assert_close(total, expected)
    ours, theirs = (torch.autograd.grad(x, list(model.parameters())) for x in (total, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert total.requires_grad


def test_the_masked_loss_of_no_target_is_nothing():
    batch = hidden_batch()
    total, count = mlm_loss(
        randomise(MaskedLM(BERT)), replace(batch, targets=torch.full_like(batch.targets, IGNORE))
    )
    assert (total.item(), count) == (0.0, 0)


def test_the_masked_loss_wants_a_target_for_each_input():
    batch = hidden_batch()
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 9\) .* targets \(2, 8\)"):
        mlm_loss(randomise(MaskedLM(BERT)), replace(batch, targets=batch.targets[:, 1:]))

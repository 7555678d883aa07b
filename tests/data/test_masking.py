"""Hidden words: BERT's shares within binomial errors, special tokens spared, seeds respected."""

from functools import partial

import pytest
import torch

from minillm import IGNORE, MaskedRows, mask_tokens

V, MASK, SPECIAL = 50, 4, (0, 1, 2, 3)
N = 200_000
TOKENS = torch.randint(5, V, (N // 50, 50), generator=torch.Generator().manual_seed(0))


def hide(tokens, seed=0, **recipe):
    source = torch.Generator().manual_seed(seed)
    return mask_tokens(
        tokens, mask_id=MASK, vocab_size=V, special=SPECIAL, generator=source, **recipe
    )


def within(count, n, p):
    """Five standard errors of a share."""
    return abs(count - n * p) <= 5 * (n * p * (1 - p)) ** 0.5


@pytest.mark.parametrize(
    ("rate", "masked", "random"), [(0.15, 0.8, 0.1), (0.4, 0.5, 0.5), (0.3, 0.0, 0.0)]
)
def test_shares_are_those_of_the_recipe(rate, masked, random):
    batch = hide(TOKENS, rate=rate, masked=masked, random=random)
    chosen = batch.targets != IGNORE
    n = int(chosen.sum())
    hidden, same = batch.inputs == MASK, batch.inputs == TOKENS
    assert within(n, N, rate)
    assert within(int(hidden.sum()), n, masked)
    other = int((chosen & ~hidden & ~same).sum())
    assert within(other, n, random * (1 - 1 / (V - 5)))  # a drawn word may be the old one
    assert same[~chosen].all()
    assert torch.equal(batch.targets[chosen], TOKENS[chosen])


def test_places_are_chosen_alike():
    chosen = (hide(TOKENS).targets != IGNORE).sum(0)
    assert all(within(int(count), len(TOKENS), 0.15) for count in chosen)


def test_random_words_are_all_ordinary_ones_and_about_as_frequent():
    drawn = hide(TOKENS, rate=1.0, masked=0.0, random=1.0).inputs.flatten()
    counts = drawn.bincount(minlength=V)
    assert counts[: MASK + 1].tolist() == [0] * 5
    assert all(within(int(count), N, 1 / (V - 5)) for count in counts[MASK + 1 :])


def test_special_tokens_and_masks_are_never_chosen():
    tokens = torch.arange(V).repeat(200, 1)
    batch = hide(tokens, rate=1.0)
    assert (batch.targets[:, : MASK + 1] == IGNORE).all()
    assert torch.equal(batch.inputs[:, : MASK + 1], tokens[:, : MASK + 1])
    assert (batch.targets[:, MASK + 1 :] != IGNORE).all()


def test_the_tokens_themselves_stay():
    kept = TOKENS[:4].clone()
    hide(kept, rate=1.0)
    assert torch.equal(kept, TOKENS[:4])


@pytest.mark.parametrize("tokens", [torch.empty(2, 0), torch.tensor([[2, 3]]), torch.tensor([[7]])])
def test_short_texts(tokens):
    batch = hide(tokens.long())
    assert batch.inputs.shape == batch.targets.shape == tokens.shape


def test_extreme_rates():
    assert (hide(TOKENS, rate=0.0).targets == IGNORE).all()
    assert (hide(TOKENS, rate=1.0, masked=1.0, random=0.0).inputs == MASK).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": 1.5}, "rate=1.5"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"masked": -0.1}, "masked=-0.1"),
        ({"masked": 0.8, "random": 0.3}, "masked=0.8 and random=0.3"),
        ({"mask_id": V}, f"mask_id={V} is not in a vocabulary of {V}"),
        ({"special": range(V)}, "none is left"),
    ],
)
def test_bad_recipes(wrong, message):
    settings = {"mask_id": MASK, "vocab_size": V} | wrong
    with pytest.raises(ValueError, match=message):
        mask_tokens(TOKENS[:1], **settings)


def test_shares_are_those_of_transformers():
    collator = pytest.importorskip("transformers").DataCollatorForLanguageModeling(Words())
    torch.manual_seed(0)
    inputs, labels = collator.torch_mask_tokens(TOKENS.clone())
    ours = hide(TOKENS)
    for chosen, read in ((labels != IGNORE, inputs), (ours.targets != IGNORE, ours.inputs)):
        n = int(chosen.sum())
        assert within(n, N, 0.15)
        assert within(int((read == MASK).sum()), n, 0.8)
        assert within(int((chosen & (read == TOKENS)).sum()), n, 0.1 + 0.1 / V)
        assert torch.equal(read[~chosen], TOKENS[~chosen])


class Words:
    """As much of a tokenizer as the collator of `transformers` asks for."""

    mask_token, mask_token_id, pad_token_id = "[MASK]", MASK, 0

    def __len__(self):
        return V

    def convert_tokens_to_ids(self, _token):
        return MASK

    def get_special_tokens_mask(self, ids, **_):
        return [int(i in SPECIAL) for i in ids]


ROWS = TOKENS[:7]


def rows(**settings):
    recipe = partial(mask_tokens, mask_id=MASK, vocab_size=V, special=SPECIAL)
    return MaskedRows(ROWS, lambda x, g: recipe(x, generator=g), **settings)


def read_round(data, number):
    """The rows of a round, in the order of the corpus."""
    batch = data.batch(number, 7)
    whole = torch.where(batch.targets == IGNORE, batch.inputs, batch.targets)
    order = [ROWS.tolist().index(row) for row in whole.tolist()]
    assert sorted(order) == list(range(7))
    places = torch.tensor(order).argsort()
    return batch.inputs[places], batch.targets[places]


def test_static_rows_are_hidden_in_one_way_and_dynamic_ones_anew():
    for patterns, alike in ((1, {1, 2, 3}), (2, {2}), (None, set())):
        data = rows(patterns=patterns)
        first = read_round(data, 0)
        same = {r for r in (1, 2, 3) if torch.equal(read_round(data, r)[0], first[0])}
        assert same == alike


def test_a_batch_depends_on_seed_and_step_alone():
    data = rows()
    forwards = [data.batch(step, 3) for step in range(6)]
    backwards = [rows().batch(step, 3) for step in reversed(range(6))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
    other = rows(seed=1)
    assert not torch.equal(read_round(data, 0)[1], read_round(other, 0)[1])


def test_a_batch_may_reach_into_the_next_rounds():
    whole = torch.cat([rows().batch(r, 7).targets for r in range(3)])
    assert torch.equal(rows().batch(0, 20).targets, whole[:20])


@pytest.mark.parametrize(
    ("bad", "patterns"), [(torch.zeros(0, 5), None), (torch.zeros(5), None), (ROWS, 0)]
)
def test_bad_rows(bad, patterns):
    with pytest.raises(ValueError, match=r"need rows|patterns=0"):
        MaskedRows(bad, lambda x, _: x, patterns=patterns)

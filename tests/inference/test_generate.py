"""Generation: one loop for every kind of model, exact with cache, padding, stops and long texts."""

from dataclasses import replace

import pytest
import torch

from minillm.inference.generate import Step, context_length, generate, left_pad, stream
from minillm.inference.sampling import GREEDY, Sampling, sample
from minillm.ngram import NGramLM
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM
from minillm.nn.recurrent import RecurrentConfig, RecurrentLM
from tests.conftest import GPT2, randomise

V = 23


def tiny(seed=0, **changes):
    sizes = {"vocab_size": V, "context_length": 24, "d_model": 16, "n_layers": 2, "n_heads": 2}
    torch.manual_seed(seed)
    model = CausalLM(ModelConfig(**{**sizes, **changes}))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model.eval()


class Successor:
    """Knows no context: after token t comes t + 1, and nothing else. Its state only counts."""

    class Count:
        def __init__(self):
            self.n = 0

        def __len__(self):
            return self.n

        def reorder(self, index):
            raise AssertionError(f"no beams here, asked for {index}")

    def new_state(self, batch, length):  # noqa: ARG002 - the protocol's names
        return self.Count()

    def __call__(self, tokens, *, state):
        state.n += tokens.shape[1]
        return torch.nn.functional.one_hot((tokens + 1) % V, V).float() * 50


def naive(model, tokens, n):
    """Greedy without any cache: everything is read again for every token."""
    for _ in range(n):
        tokens = torch.cat((tokens, model(tokens)[:, -1:].argmax(-1)), 1)
    return tokens


@pytest.mark.parametrize("position", ["learned", "rope", "sinusoidal"])
def test_the_cache_changes_nothing(position):
    model = tiny(position=position)
    prompts = torch.randint(V, (3, 5))
    assert torch.equal(generate(model, prompts, max_new_tokens=12), naive(model, prompts, 12))


def test_any_model_with_the_protocol_writes():
    out = generate(Successor(), torch.tensor([[3], [20]]), max_new_tokens=4)
    assert out.tolist() == [[3, 4, 5, 6, 7], [20, 21, 22, 0, 1]]


def test_counts_and_recurrent_networks_write_through_the_same_loop():
    torch.manual_seed(0)
    recurrent = RecurrentLM(RecurrentConfig(vocab_size=V, d_model=8, n_layers=1)).eval()
    counts = NGramLM(V, 3).fit(torch.arange(200) % V)
    for model in (recurrent, counts):
        prompt = torch.tensor([[1, 2, 3]])
        out = generate(model, prompt, max_new_tokens=6)
        assert torch.equal(out, naive(model, prompt, 6))
    assert out.tolist() == [list(range(1, 10))]


@pytest.mark.parametrize("position", ["learned", "rope"])
def test_padding_on_the_left_changes_no_row(position):
    model = tiny(position=position)
    prompts = [[1, 2, 3, 4, 5], [6], [7, 8, 9]]
    tokens, mask = left_pad(prompts, pad=11)
    together = generate(model, tokens, mask=mask, max_new_tokens=8)
    for row, prompt in zip(together, prompts, strict=True):
        alone = generate(model, torch.tensor([prompt]), max_new_tokens=8)[0]
        assert row[5:].tolist() == alone[len(prompt) :].tolist()


def test_left_pad():
    tokens, mask = left_pad([[5, 6, 7], [8]], pad=9)
    assert tokens.tolist() == [[5, 6, 7], [9, 9, 8]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]
    for bad in ([], [[1], []]):
        with pytest.raises(ValueError, match="every prompt needs a token"):
            left_pad(bad)


def test_a_row_stops_at_its_stop_token_and_repeats_it():
    out = generate(Successor(), torch.tensor([[3], [6]]), max_new_tokens=9, stop={5, 9})
    assert out.tolist() == [[3, 4, 5, 5], [6, 7, 8, 9]]


def test_all_rows_stopped_ends_the_stream():
    steps = list(stream(Successor(), torch.tensor([[3]]), max_new_tokens=50, stop=[6]))
    assert [step.token.item() for step in steps] == [4, 5, 6]


def test_a_stop_token_in_the_prompt_does_not_stop():
    out = generate(Successor(), torch.tensor([[5]]), max_new_tokens=3, stop=[5])
    assert out.tolist() == [[5, 6, 7, 8]]


def test_steps_hold_the_raw_logits_and_their_softmax():
    model = tiny()
    prompt = torch.tensor([[1, 2, 3]])
    step = next(stream(model, prompt, max_new_tokens=1, sampling=Sampling(temperature=5.0)))
    assert isinstance(step, Step)
    assert step.token.shape == (1, 1)
    torch.testing.assert_close(step.logits, model(prompt)[:, -1])
    torch.testing.assert_close(step.probabilities, model(prompt)[:, -1].softmax(-1))
    assert not step.logits.requires_grad


def test_sampling_draws_from_the_generator_given():
    model = tiny()
    prompt = torch.tensor([[1]])
    first, second, other = (
        generate(
            model,
            prompt,
            max_new_tokens=15,
            sampling=Sampling(temperature=2.0),
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_text_may_outgrow_the_context():
    model = tiny(context_length=8)
    out = generate(model, torch.tensor([[1, 2, 3]]), max_new_tokens=30)
    assert out.shape == (1, 33)
    # By hand: positions 0…7 fill the context; then the last 4 tokens are read afresh.
    text, start = torch.tensor([[1, 2, 3]]), 0
    for _ in range(30):
        if text.shape[1] - start > 8:
            start = text.shape[1] - 4
        text = torch.cat((text, model(text[:, start:])[:, -1:].argmax(-1)), 1)
    assert torch.equal(out, text)


def test_a_padded_batch_may_outgrow_the_context_too():
    model = tiny(context_length=8)
    tokens, mask = left_pad([[1, 2, 3, 4], [5]])
    assert generate(model, tokens, mask=mask, max_new_tokens=20).shape == (2, 24)


def test_dropout_is_off_while_generating_and_on_again_after():
    model = tiny(dropout=0.5)
    prompt = torch.randint(V, (2, 4))
    expected = generate(model, prompt, max_new_tokens=8)
    model.train()
    assert torch.equal(generate(model, prompt, max_new_tokens=8), expected)
    assert all(module.training for module in model.modules())
    steps = stream(model, prompt, max_new_tokens=8)
    next(steps)  # abandoned half-way
    assert all(module.training for module in model.modules())


def test_streaming_equals_generating():
    model = tiny()
    prompt = torch.randint(V, (2, 4))
    tokens = [step.token for step in stream(model, prompt, max_new_tokens=6, sampling=GREEDY)]
    assert torch.equal(torch.cat([prompt, *tokens], 1), generate(model, prompt, max_new_tokens=6))


def test_nothing_to_write_returns_the_prompt():
    prompt = torch.tensor([[1, 2]])
    assert torch.equal(generate(tiny(), prompt, max_new_tokens=0), prompt)


@pytest.mark.parametrize(
    ("tokens", "mask", "new", "message"),
    [
        (torch.zeros(1, 0, dtype=torch.long), None, 1, r"\(1, 0\)"),
        (torch.zeros(5, dtype=torch.long), None, 1, r"\(5,\)"),
        (torch.zeros(1, 25, dtype=torch.long), None, 1, "25 tokens exceeds context_length=24"),
        (torch.zeros(1, 5, dtype=torch.long), None, -1, "max_new_tokens=-1"),
        (torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 4, dtype=torch.bool), 1, r"\(1, 4\)"),
        (
            torch.zeros(2, 2, dtype=torch.long),
            torch.tensor([[True, True], [True, False]]),
            1,
            "row 1 has padding after a token",
        ),
    ],
)
def test_bad_prompts_are_refused_before_the_first_step(tokens, mask, new, message):
    with pytest.raises(ValueError, match=message):
        stream(tiny(), tokens, mask=mask, max_new_tokens=new)


def test_nan_logits_are_refused():
    model = tiny()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        generate(model, torch.tensor([[1]]), max_new_tokens=1)


def test_context_length():
    assert context_length(tiny()) == 24
    assert context_length(Successor()) is None


def test_what_was_written_may_meet_a_gradient():
    torch.manual_seed(0)
    model = CausalLM(ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2))
    steps = list(stream(model, torch.tensor([[1, 2]]), max_new_tokens=3))
    tokens = torch.cat([step.token for step in steps], dim=1)
    scores = model(tokens)[:, -1]
    (scores * steps[-1].logits).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_greedy_takes_the_first_of_equal_tokens():
    assert sample(torch.zeros(1, 5)).item() == 0


@pytest.mark.parametrize("position", ["learned", "rope"])
@pytest.mark.parametrize("lengths", [(7, 1), (1, 7, 16), (16, 15), (3, 3)])
def test_each_row_outgrows_the_context_as_if_alone(position, lengths):
    config = replace(GPT2, context_length=16, position=position)
    model = randomise(CausalLM(config)).eval()
    draw = torch.Generator().manual_seed(1)
    prompts = [torch.randint(97, (n,), generator=draw).tolist() for n in lengths]
    tokens, mask = left_pad(prompts)
    together = generate(model, tokens, mask=mask, max_new_tokens=30)[:, tokens.shape[1] :]
    for row, prompt in zip(together, prompts, strict=True):
        alone = generate(model, torch.tensor([prompt]), max_new_tokens=30)[0, len(prompt) :]
        assert row.tolist() == alone.tolist()


def test_the_callers_mask_is_left_alone():
    model = randomise(CausalLM(replace(GPT2, context_length=8))).eval()
    tokens, mask = left_pad([[1, 2, 3, 4], [5]])
    before = mask.clone()
    generate(model, tokens, mask=mask, max_new_tokens=12)
    assert mask.equal(before)


def test_a_large_bound_costs_nothing_before_it_is_reached():
    model = NGramLM(5, 2).fit([0, 1, 2, 0, 1, 2])
    text = generate(model, torch.tensor([[0]]), max_new_tokens=10**24, stop=[2])
    assert text.tolist() == [[0, 1, 2]]


def test_a_hole_in_a_row_is_refused():
    model = randomise(CausalLM(GPT2))
    mask = torch.tensor([[True, True, True], [True, False, True]])
    with pytest.raises(ValueError, match="row 1 has padding after a token"):
        generate(model, torch.ones(2, 3, dtype=torch.long), mask=mask, max_new_tokens=1)

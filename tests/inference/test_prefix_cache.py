"""A model that remembers its text answers as the model itself, and reads only what is new."""

from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, beam_search, generate, stream
from minillm.inference.prefix_cache import PrefixCache, shared_length
from minillm.inference.sampling import Sampling
from tests.conftest import GPT2, LLAMA, randomise


class Counting:
    """A model that notes how many tokens each call reads."""

    def __init__(self, model: CausalLM) -> None:
        self.model, self.config, self.read = model, model.config, []

    def __call__(self, tokens, **options):
        self.read.append(tokens.shape[1])
        return self.model(tokens, **options)

    def next_logits(self, tokens, **options):
        self.read.append(tokens.shape[1])
        return self.model.next_logits(tokens, **options)

    def new_state(self, batch, length):
        return self.model.new_state(batch, length)


@pytest.fixture(params=[GPT2, LLAMA], ids=["gpt2", "llama"])
def model(request):
    return Counting(randomise(CausalLM(request.param)))


def talk(turns: int) -> list[list[int]]:
    """Additions to a text: what a user says in each turn."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(97, (4,), generator=generator).tolist() for _ in range(turns)]


def test_a_growing_text_gives_the_same_answers_and_is_read_once(model):
    remembering, text, length = PrefixCache(model), [], 0
    for said in talk(5):
        text += said
        model.read.clear()
        got = generate(remembering, torch.tensor([text]), max_new_tokens=6)
        assert sum(model.read) == len(text) + 5 - length, "only what is new, and not the last"
        length = len(text) + 5
        assert torch.equal(got, generate(model.model, torch.tensor([text]), max_new_tokens=6))
        text = got[0].tolist()
    assert remembering.ids == text[:-1]


def test_logits_are_those_of_a_model_that_reads_all(model):
    remembering, text = PrefixCache(model), torch.randint(97, (1, 30))
    for end in (10, 30, 7, 8, 25):
        state = remembering.new_state(1, end)
        logits = remembering(text[:, :end], state=state)[:, -1]
        expected = model.model(text[:, :end])[:, -1]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
        state = remembering.new_state(1, end)
        logits = remembering.next_logits(text[:, :end], state=state)
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_another_text_shares_only_its_beginning(model):
    remembering = PrefixCache(model)
    generate(remembering, torch.tensor([[5, 6, 7, 8, 9]]), max_new_tokens=3)
    model.read.clear()
    other = torch.tensor([[5, 6, 1, 8, 9, 4]])
    got = generate(remembering, other, max_new_tokens=8)
    assert model.read[0] == 4
    assert torch.equal(got, generate(model.model, other, max_new_tokens=8))


def test_the_same_text_again_reads_one_token(model):
    remembering, text = PrefixCache(model), torch.tensor([[5, 6, 7]])
    first = generate(remembering, text, max_new_tokens=5)
    model.read.clear()
    assert torch.equal(generate(remembering, text, max_new_tokens=5), first)
    assert model.read[0] == 1


def test_a_text_that_outgrows_the_context(model):
    remembering, text = PrefixCache(model), torch.randint(97, (1, 50))
    for _ in range(2):
        got = generate(remembering, text, max_new_tokens=40)
        assert torch.equal(got, generate(model.model, text, max_new_tokens=40))


def test_an_interruption_in_the_middle_of_a_layer_does_no_harm(model, monkeypatch):
    remembering, text = PrefixCache(model), torch.tensor([[5, 6, 7, 8]])
    generate(remembering, text, max_new_tokens=3)
    longer, calls = torch.cat((text, torch.tensor([[1, 2, 3]])), 1), []
    block = model.model.transformer.blocks[1]
    forward = block.forward

    def interrupted(*arguments, **options):
        if not calls:
            calls.append(1)
            raise KeyboardInterrupt
        return forward(*arguments, **options)

    monkeypatch.setattr(block, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(remembering, longer, max_new_tokens=6)
    logits = remembering.next_logits(longer, state=remembering.new_state(1, 7))
    torch.testing.assert_close(logits, model.model.next_logits(longer), atol=1e-4, rtol=1e-4)


def test_drawn_tokens_are_the_same_too(model):
    remembering, text = PrefixCache(model), torch.tensor([[5, 6, 7, 8]])
    options = {"max_new_tokens": 6, "sampling": Sampling(temperature=1.0, top_k=20)}
    for _ in range(3):
        pair = [
            generate(m, text, generator=torch.Generator().manual_seed(7), **options)
            for m in (remembering, model.model)
        ]
        assert torch.equal(*pair)
        text = pair[0]


def test_what_it_refuses(model):
    remembering = PrefixCache(model)
    with pytest.raises(ValueError, match="one text, not a batch of 2"):
        generate(remembering, torch.ones(2, 3, dtype=torch.long), max_new_tokens=1)
    with pytest.raises(ValueError, match="65 positions exceeds context_length=64"):
        remembering.new_state(1, 65)
    old = remembering.new_state(1, 4)
    remembering.new_state(1, 40)
    with pytest.raises(ValueError, match="not the one that new_state returned last"):
        remembering(torch.tensor([[1]]), state=old)


def test_it_does_not_allocate_the_whole_context_at_once():
    config = replace(LLAMA, context_length=4096)
    remembering = PrefixCache(randomise(CausalLM(config)))
    small = remembering.new_state(1, 10).nbytes
    assert small == config.n_layers * 2 * config.kv_heads * config.head_dim * 4 * 10
    assert remembering.new_state(1, 11).nbytes == 2 * small


@pytest.mark.parametrize(("a", "b", "n"), [([], [1], 0), ([1], [], 0), ([1, 2], [1, 2, 3], 2)])
def test_shared_length(a, b, n):
    assert shared_length(a, b) == n


def test_a_second_stream_ends_the_first_with_an_error():
    cache = PrefixCache(randomise(CausalLM(GPT2)).eval())
    a, b = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6, 7]])
    first = stream(cache, a, max_new_tokens=5)
    next(first)
    second = [step.token.item() for step in stream(cache, b, max_new_tokens=5)]
    with pytest.raises(ValueError, match="not the one that new_state returned last"):
        next(first)
    plain = generate(cache.model, b, max_new_tokens=5)[0, 4:]
    assert second == plain.tolist()


@pytest.mark.parametrize("between", [[1, 2, 3, 9], [1, 2, 8]])
def test_beams_leave_one_text_behind(between):
    model = randomise(CausalLM(GPT2)).eval()
    cache, prompt = PrefixCache(model), torch.tensor([[1, 2, 3]])
    found = beam_search(cache, prompt, max_new_tokens=4, n_beams=3)
    plain = beam_search(model, prompt, max_new_tokens=4, n_beams=3)
    assert [h.tokens.tolist() for h in found] == [h.tokens.tolist() for h in plain]
    text = torch.tensor([between])
    assert generate(cache, text, max_new_tokens=5).equal(generate(model, text, max_new_tokens=5))
    again = beam_search(cache, prompt, max_new_tokens=4, n_beams=3)
    assert [h.tokens.tolist() for h in again] == [h.tokens.tolist() for h in plain]

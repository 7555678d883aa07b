"""One protocol for every language model: mypy checks its types here, and the tests its meaning."""

import pytest
import torch

from minillm import (
    CausalLM,
    LanguageModel,
    ModelConfig,
    NGramLM,
    RecurrentConfig,
    RecurrentLM,
    beam_search,
    generate,
    left_pad,
    perplexity,
)

V = 23


def scattered(model: torch.nn.Module) -> None:
    """Large random weights, so that the texts vary."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.6)


def models() -> dict[str, LanguageModel]:
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=V, context_length=24, d_model=16, n_layers=2, n_heads=2)
    transformer = CausalLM(config)
    recurrent = RecurrentLM(RecurrentConfig(vocab_size=V, d_model=16, n_layers=2, cell="lstm"))
    for model in (transformer, recurrent):
        scattered(model)
        model.eval()
    counts = NGramLM(V, 3).fit(torch.randint(V, (600,)))
    return {"transformer": transformer, "recurrent": recurrent, "n-gram": counts}


MODELS = models()


@pytest.mark.parametrize("name", MODELS)
def test_unequal_prompts_in_one_batch_write_what_each_writes_alone(name: str) -> None:
    prompts = [[1, 2, 3, 4, 5], [6], [7, 8, 9]]
    tokens, mask = left_pad(prompts, pad=11)
    together = generate(MODELS[name], tokens, mask=mask, max_new_tokens=8)
    written = set()
    for row, prompt in zip(together, prompts, strict=True):
        alone = generate(MODELS[name], torch.tensor([prompt]), max_new_tokens=8)[0]
        assert row[5:].tolist() == alone[len(prompt) :].tolist()
        written |= set(row[5:].tolist())
    assert len(written) > 2


@pytest.mark.parametrize("name", MODELS)
def test_one_beam_writes_the_greedy_text_and_more_beams_none_worse(name: str) -> None:
    prompt = torch.tensor([[1, 2, 3]])
    greedy = generate(MODELS[name], prompt, max_new_tokens=6)[0, 3:]
    one, many = (beam_search(MODELS[name], prompt, max_new_tokens=6, n_beams=n) for n in (1, 30))
    assert one[0].tokens.tolist() == greedy.tolist()
    assert many[0].score >= one[0].score - 1e-6
    assert len({tuple(h.tokens.tolist()) for h in many}) == len(many) == 30


@pytest.mark.parametrize("name", MODELS)
def test_reading_draws_no_random_numbers(name: str) -> None:
    before = torch.get_rng_state()
    perplexity(MODELS[name], torch.arange(20) % V, length=10, stride=5)
    assert torch.equal(torch.get_rng_state(), before)

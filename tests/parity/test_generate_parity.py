"""Greedy and beam search write the same ids as `transformers`, every parameter randomised."""

from dataclasses import replace

import pytest
import torch
import transformers as hf

from minillm.inference.beam import beam_search
from minillm.inference.generate import generate, left_pad
from minillm.nn.models import CausalLM
from minillm.weights.convert import convert, load_into
from minillm.weights.families import gpt2_table, llama_table
from tests.conftest import GPT2, LLAMA

V, PAD = 97, 0


def gpt2_pair():
    config = hf.GPT2Config(
        vocab_size=V, n_embd=48, n_head=6, n_layer=3, n_positions=64, n_inner=80,
        attn_implementation="eager", bos_token_id=1, eos_token_id=None, pad_token_id=PAD,
        tie_word_embeddings=False,
    )  # fmt: skip
    ours = replace(GPT2, tie_embeddings=False)
    return hf.GPT2LMHeadModel(config), ours, gpt2_table(ours)


def llama_pair(n_kv_heads):
    config = hf.LlamaConfig(
        vocab_size=V, hidden_size=48, intermediate_size=80, num_hidden_layers=3,
        num_attention_heads=6, num_key_value_heads=n_kv_heads, max_position_embeddings=64,
        rms_norm_eps=1e-5, tie_word_embeddings=False, attn_implementation="eager",
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        bos_token_id=1, eos_token_id=None, pad_token_id=PAD,
    )  # fmt: skip
    ours = replace(LLAMA, n_kv_heads=n_kv_heads, tie_embeddings=False)
    return hf.LlamaForCausalLM(config), ours, llama_table(ours)


PAIRS = {
    "gpt2": gpt2_pair,
    "llama-gqa": lambda: llama_pair(2),
    "llama-mqa": lambda: llama_pair(1),
    "llama-mha": lambda: llama_pair(6),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    """The same model twice: ours and theirs, large random weights so that ids vary."""
    theirs, config, table = PAIRS[request.param]()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            noise = torch.randn(p.shape, generator=generator) * 0.4
            p.copy_(noise + 1.0 if p.ndim == 1 and name.endswith("weight") else noise)
    ours = CausalLM(config)
    load_into(ours, convert(theirs.state_dict(), table, n_layers=3))
    return ours.eval(), theirs.eval()


def hf_generate(model, tokens, mask=None, **options):
    mask = torch.ones_like(tokens) if mask is None else mask.long()
    return model.generate(tokens, attention_mask=mask, do_sample=False, pad_token_id=PAD, **options)


def test_the_texts_compared_are_not_trivial(pair):
    ours, _ = pair
    out = generate(ours, torch.tensor([[5, 6, 7]]), max_new_tokens=40)[0, 3:]
    assert len(set(out.tolist())) > 5


def test_greedy_ids(pair):
    ours, theirs = pair
    prompts = torch.randint(V, (4, 9))
    expected = hf_generate(theirs, prompts, max_new_tokens=40)
    assert torch.equal(generate(ours, prompts, max_new_tokens=40), expected)


def test_greedy_ids_of_unequal_prompts_padded_on_the_left(pair):
    ours, theirs = pair
    generator = torch.Generator().manual_seed(2)
    prompts = [torch.randint(1, V, (n,), generator=generator).tolist() for n in (12, 1, 5, 9)]
    tokens, mask = left_pad(prompts, pad=PAD)
    expected = hf_generate(theirs, tokens, mask, max_new_tokens=30)
    assert torch.equal(generate(ours, tokens, mask=mask, max_new_tokens=30), expected)


def test_stop_tokens(pair):
    ours, theirs = pair
    prompts = torch.randint(V, (4, 5))
    free = generate(ours, prompts, max_new_tokens=30)
    stop = [int(free[0, 12]), int(free[1, 20])]  # so that two rows end within the text, at least
    expected = hf_generate(theirs, prompts, max_new_tokens=30, eos_token_id=stop)
    got = generate(ours, prompts, max_new_tokens=30, stop=stop)
    assert got.shape == expected.shape
    for row, other in zip(got[:, 5:].tolist(), expected[:, 5:].tolist(), strict=True):
        ends = [i for i, token in enumerate(row) if token in stop]
        end = ends[0] + 1 if ends else len(row)
        assert row[:end] == other[:end]
        assert set(row[end:]) <= {row[end - 1]}  # ours repeats the stop token, theirs pads


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("stops", [False, True])
def test_beam_search(pair, stops, length_penalty):
    ours, theirs = pair
    for seed in range(3):
        prompt = torch.randint(V, (1, 6), generator=torch.Generator().manual_seed(seed))
        written = generate(ours, prompt, max_new_tokens=4)
        stop = int(written[0, -1]) if stops else None  # a token that the beams will meet
        expected = theirs.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, num_beams=4,
            max_new_tokens=12, eos_token_id=stop, pad_token_id=PAD, early_stopping=False,
            length_penalty=length_penalty, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        best = beam_search(
            ours, prompt, max_new_tokens=12, n_beams=4, stop=[] if stop is None else [stop],
            length_penalty=length_penalty,
        )[0]  # fmt: skip
        theirs_ids = expected.sequences[0, 6 : 6 + len(best.tokens)]
        assert torch.equal(best.tokens, theirs_ids)
        assert best.score == pytest.approx(expected.sequences_scores[0].item(), rel=1e-4, abs=1e-4)

"""A model through our own files: parameters in safetensors, the config in JSON."""

from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, MaskedLM, ModelConfig, Seq2Seq
from minillm.weights.assemble import assemble
from minillm.weights.safetensors import read_safetensors, write_safetensors
from tests.conftest import BERT, GPT2, LLAMA, VASWANI, randomise

TOKENS = torch.tensor([[5, 9, 2, 33, 60, 1], [7, 7, 3, 96, 12, 40]])
MODELS = {
    "gpt2": (CausalLM, GPT2),
    "llama-untied": (CausalLM, replace(LLAMA, tie_embeddings=False)),
    "bert": (MaskedLM, BERT),
    "vaswani": (Seq2Seq, VASWANI),
    "bart": (Seq2Seq, replace(VASWANI, position="learned", embedding_norm=True, ffn="gelu")),
}


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(tmp_path, name):
    make, config = MODELS[name]
    model = randomise(make(config))
    write_safetensors(tmp_path / "w", dict(model.named_parameters()))
    (tmp_path / "c").write_text(config.to_json())
    read = ModelConfig.from_json((tmp_path / "c").read_text())
    again = assemble(make, read, read_safetensors(tmp_path / "w"))
    inputs = (TOKENS, TOKENS[:, :4]) if make is Seq2Seq else (TOKENS,)
    assert torch.equal(again(*inputs), model(*inputs))
    assert not again.training
    pairs = zip(again.named_parameters(), model.named_parameters(), strict=True)
    assert all(a[0] == b[0] and a[1].requires_grad == b[1].requires_grad for a, b in pairs)


def test_what_was_shared_is_shared_again(tmp_path):
    model = randomise(Seq2Seq(VASWANI))
    write_safetensors(tmp_path / "w", dict(model.named_parameters()))
    again = assemble(Seq2Seq, VASWANI, read_safetensors(tmp_path / "w"))
    words = again.encoder.embedding.token.weight
    assert again.decoder.embedding.token.weight is words
    assert again.lm_head.weight is words


def test_random_numbers_are_left_alone():
    parameters = {n: p.detach() for n, p in CausalLM(GPT2).named_parameters()}
    before = torch.get_rng_state()
    assemble(CausalLM, GPT2, parameters)
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_that_no_model_can_have():
    with pytest.raises(ValueError, match="no model can have these sizes"):
        assemble(CausalLM, replace(GPT2, vocab_size=1 << 62), {})

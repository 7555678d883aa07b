from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, KVCache, Seq2Seq
from tests.conftest import GPT2, LLAMA, VASWANI, randomise

CHUNKS = [[1] * 12, [5, 7], [11, 1], [4, 4, 4], [2, 3, 1, 6]]


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_reading_in_chunks_equals_reading_at_once(causal_config, kv_heads, chunks):
    model = randomise(CausalLM(replace(causal_config, n_kv_heads=kv_heads)))
    tokens = torch.randint(97, (2, 12))
    state = model.new_state(2, 12)
    parts = [model(piece, state=state) for piece in tokens.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens), atol=1e-4, rtol=1e-4)
    assert len(state) == 12
    with pytest.raises(ValueError, match="holds 12 positions, asked for 13"):
        model(tokens[:, :1], state=state)


def test_left_padding_with_a_cache_equals_no_padding(causal_config):
    model = randomise(CausalLM(causal_config))
    text = torch.randint(97, (1, 9))
    padded = torch.cat((torch.zeros(1, 3, dtype=torch.long), text), dim=1)
    mask = torch.arange(12)[None] >= 3
    state = model.new_state(1, 12)
    first = model(padded[:, :8], mask=mask[:, :8], state=state)
    rest = [model(padded[:, i : i + 1], mask=mask[:, : i + 1], state=state) for i in range(8, 12)]
    got = torch.cat([first, *rest], dim=1)[:, 3:]
    torch.testing.assert_close(got, model(text), atol=1e-4, rtol=1e-4)


def test_cross_attention_reads_the_source_once():
    model = randomise(Seq2Seq(VASWANI))
    source, target = torch.randint(97, (2, 9)), torch.randint(97, (2, 7))
    memory = model.encode(source)
    state = model.new_state(2, 7)
    expected = model(source, target)
    parts = []
    for token in target.split(1, dim=1):
        parts.append(model(source, token, memory=memory, state=state))
        memory = torch.full_like(memory, float("nan"))  # from now on nobody may look at it
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=1e-4, rtol=1e-4)


def test_truncate_forgets_and_reorder_permutes():
    model = randomise(CausalLM(LLAMA))
    tokens = torch.randint(97, (3, 8))
    state = model.new_state(3, 8)
    model(tokens, state=state)
    state.truncate(5)
    order = torch.tensor([2, 0, 0])
    state.reorder(order)
    got = model(tokens[order][:, 5:], state=state)
    torch.testing.assert_close(got, model(tokens[order])[:, 5:], atol=1e-4, rtol=1e-4)


def test_truncate_cannot_remember_more_than_was_read():
    with pytest.raises(ValueError, match="cannot keep 3 of 0"):
        KVCache(GPT2, 1, 8).truncate(3)


def test_cache_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="65 positions exceeds context_length=64"):
        CausalLM(GPT2).new_state(1, 65)


def test_a_cache_for_other_rows_is_refused():
    model = CausalLM(GPT2)
    with pytest.raises(ValueError, match="the KV cache has 3 rows, the tokens 1"):
        model(torch.zeros(1, 4, dtype=torch.long), state=model.new_state(3, 8))


def test_failed_call_leaves_the_state_alone():
    model = CausalLM(GPT2)
    state = model.new_state(1, 64)
    model(torch.zeros(1, 60, dtype=torch.long), state=state)
    with pytest.raises(ValueError, match="65 positions exceed context_length=64"):
        model(torch.zeros(1, 5, dtype=torch.long), state=state)
    assert [layer.length for layer in state.layers] == [60] * 3


def test_an_emptied_cache_forgets_the_source():
    model = randomise(Seq2Seq(VASWANI)).eval()
    first, second = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[9, 8, 7, 6]])
    target, state = torch.tensor([[5, 6]]), model.new_state(1, 8)
    model(first, target, state=state)
    state.truncate(0)
    torch.testing.assert_close(model(second, target, state=state), model(second, target))

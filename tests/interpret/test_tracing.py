import itertools
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from torch import nn

from minillm import (
    Attention,
    CausalLM,
    Seq2Seq,
    ablate_heads,
    attention_maps,
    capture,
    explicit_attention,
    fused_attention,
    logit_lens,
    patch,
)
from tests.conftest import GPT2, VASWANI, randomise


def test_looking_changes_nothing(causal_config):
    model, tokens = randomise(CausalLM(causal_config)), torch.randint(97, (2, 9))
    with capture(model) as trace:
        watched = model(tokens)
    torch.testing.assert_close(watched, model(tokens), atol=1e-5, rtol=1e-5)
    assert trace.attention_stack().shape == (3, 2, 6, 9, 9)
    assert trace.hidden_stack().shape == (4, 2, 9, 48)
    assert not trace.attention_stack().requires_grad


def test_maps_are_the_weights_that_were_used():
    model, tokens = randomise(CausalLM(GPT2)), torch.randint(97, (2, 9))
    maps = attention_maps(model, tokens)
    attention = model.transformer.blocks[0].attention
    x = model.transformer.blocks[0].attention_norm(
        model.transformer.embedding(tokens, torch.arange(9))
    )
    q, k, v = (
        p(x).unflatten(-1, (6, 8)).transpose(1, 2)
        for p in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    torch.testing.assert_close(maps[0], explicit_attention(q, k, v, causal=True)[1])
    torch.testing.assert_close(maps.sum(-1), torch.ones(3, 2, 6, 9))
    assert not maps.triu(1).any()


def test_maps_are_made_without_dropout():
    model, tokens = randomise(CausalLM(replace(GPT2, dropout=0.5))), torch.randint(97, (2, 9))
    expected = attention_maps(model, tokens)
    assert torch.equal(attention_maps(model.train(), tokens), expected)
    assert model.training


def test_everything_is_put_back_also_after_an_error():
    model = CausalLM(GPT2)
    with pytest.raises(ValueError, match="exceed"), capture(model):
        model(torch.zeros(1, 65, dtype=torch.long))
    for module in model.modules():
        assert not module._forward_hooks
        if isinstance(module, Attention):
            assert module.kernel is fused_attention


def test_cross_attention_is_recorded_under_its_own_name():
    model = randomise(Seq2Seq(VASWANI))
    with capture(model) as trace:
        model(torch.randint(97, (2, 9)), torch.randint(97, (2, 7)))
    assert trace.attention["decoder.blocks.1.cross_attention"].shape == (2, 6, 7, 9)
    assert len(trace.attention) == 9


def test_gradients_can_be_kept():
    model = randomise(CausalLM(GPT2))
    with capture(model, grad=True) as trace:
        model(torch.randint(97, (1, 4))).sum().backward()
    assert trace.attention_stack().requires_grad


def test_last_lens_is_the_output(causal_config):
    model, tokens = randomise(CausalLM(causal_config)), torch.randint(97, (2, 9))
    with capture(model) as trace:
        logits = model(tokens)
    lens = logit_lens(model, trace)
    assert lens.shape == (4, 2, 9, 97)
    torch.testing.assert_close(lens[-1], logits, atol=1e-5, rtol=1e-5)


def test_empty_trace_says_so():
    with capture(CausalLM(GPT2)) as trace:
        pass
    with pytest.raises(ValueError, match="no attention was recorded"):
        trace.attention_stack()
    with pytest.raises(ValueError, match="no hidden state was recorded"):
        trace.hidden_stack()


def test_patch_replaces_one_output_and_goes_away():
    model, tokens = randomise(CausalLM(GPT2)), torch.randint(97, (1, 5))
    before = model(tokens)
    with patch(model, "transformer.blocks.1.ffn", torch.zeros_like):
        without = model(tokens)
    kept = model.transformer.blocks[1].ffn

    class Nothing(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    model.transformer.blocks[1].ffn = Nothing()
    torch.testing.assert_close(without, model(tokens))
    model.transformer.blocks[1].ffn = kept
    torch.testing.assert_close(before, model(tokens))
    assert (before - without).abs().max() > 1e-3


def test_patch_names_what_it_did_not_find():
    with (
        pytest.raises(ValueError, match=r"no module 'block\.1'"),
        patch(CausalLM(GPT2), "block.1", torch.neg),
    ):
        pass


def test_managers_nest_in_any_order():
    model, tokens = randomise(CausalLM(GPT2)).eval(), torch.tensor([[3, 1, 4, 1, 5]])
    name = "transformer.blocks.1.ffn"
    managers = {
        "capture": lambda: capture(model),
        "capture again": lambda: capture(model),
        "ablate": lambda: ablate_heads(model, {(0, 0): 0.0, (2, 3): 0.5}),
        "ablate more": lambda: ablate_heads(model, {(0, 1): 1.0}),
        "patch": lambda: patch(model, name, lambda y: 0.5 * y),
    }
    plain, found = model(tokens), {}
    for order in itertools.permutations(managers):
        with ExitStack() as stack:
            entered = {key: stack.enter_context(managers[key]()) for key in order}
            logits = model(tokens)
        traces = [entered["capture"], entered["capture again"]]
        found[order] = (logits, *(t.attention_stack() for t in traces))
        found[order] += tuple(t.hidden_stack() for t in traces)
    first = next(iter(found.values()))
    for values in found.values():
        for value, reference in zip(values, first, strict=True):
            torch.testing.assert_close(value, reference)
    assert not torch.allclose(first[0], plain)
    torch.testing.assert_close(model(tokens), plain)


def test_what_is_recorded_is_what_flows_on():
    model, tokens = randomise(CausalLM(GPT2)).eval(), torch.tensor([[3, 1, 4]])
    name = "transformer.blocks.1"
    with capture(model) as trace, patch(model, name, torch.zeros_like):
        model(tokens)
    assert trace.hidden[name].abs().max() == 0


def test_a_kernel_of_ones_own_is_not_replaced_silently():
    model = CausalLM(GPT2)
    model.transformer.blocks[1].attention.kernel = lambda *qkv, **_options: qkv[2]
    refused = pytest.raises(ValueError, match=r"blocks\.1\.attention has a kernel of its own")
    with refused, capture(model):
        pass
    assert model.transformer.blocks[0].attention.kernel is fused_attention
    with capture(model, attention=False) as trace:
        model(torch.tensor([[1]]))
    assert len(trace.hidden) == 4

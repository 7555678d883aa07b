"""Taking heads out: only the chosen ones change, and everything is put back."""

import pytest
import torch

from minillm import (
    Attention,
    CausalLM,
    Seq2Seq,
    ablate_heads,
    attention_maps,
    capture,
    head_outputs,
)
from tests.conftest import GPT2, VASWANI, randomise

TOKENS = torch.tensor([[5, 3, 8, 1, 9, 2, 7]])


@pytest.fixture
def model():
    return randomise(CausalLM(GPT2)).eval()


def test_outputs_are_weights_times_values(model):
    outputs = head_outputs(model, TOKENS)
    block = model.transformer.blocks[0]
    x = block.attention_norm(model.transformer.embedding(TOKENS, torch.arange(7)))
    v = block.attention.v_proj(x).unflatten(-1, (6, 8)).transpose(1, 2)
    assert outputs.shape == (GPT2.n_layers, 1, 6, 7, 8)
    torch.testing.assert_close(outputs[0], attention_maps(model, TOKENS)[0] @ v)


def test_a_removed_head_equals_zeroed_columns_of_the_output_matrix(model):
    with torch.no_grad(), ablate_heads(model, {(1, 2): 0.0, (0, 5): 0.0}):
        removed = model(TOKENS)
    for layer, head in ((1, 2), (0, 5)):
        columns = slice(8 * head, 8 * head + 8)
        model.transformer.blocks[layer].attention.o_proj.weight.data[:, columns] = 0
    with torch.no_grad():
        torch.testing.assert_close(removed, model(TOKENS))


def test_replacing_a_head_by_what_it_says_changes_nothing(model):
    said = head_outputs(model, TOKENS)
    with torch.no_grad():
        expected = model(TOKENS)
        with ablate_heads(model, {(1, 3): said[1, :, 3]}):
            torch.testing.assert_close(model(TOKENS), expected)
        with ablate_heads(model, {(1, 3): said[1, :, 3].mean((0, 1))}):
            assert not torch.allclose(model(TOKENS), expected)


def test_a_removed_head_gets_no_gradient_and_the_others_do(model):
    with ablate_heads(model, {(0, 1): 0.0}):
        model(TOKENS).square().sum().backward()
    rows = model.transformer.blocks[0].attention.v_proj.weight.grad.unflatten(0, (6, 8))
    assert [bool(head.any()) for head in rows] == [True, False, True, True, True, True]


def test_works_inside_capture_and_puts_everything_back(model):
    kernels = [m.kernel for m in model.modules() if isinstance(m, Attention)]
    with capture(model) as trace, ablate_heads(model, {(0, 1): 0.0}):
        model(TOKENS)
    assert trace.attention_stack().shape == (GPT2.n_layers, 1, 6, 7, 7)
    with pytest.raises(RuntimeError, match="stop"), ablate_heads(model, {(0, 1): 0.0}):
        raise RuntimeError("stop")
    assert [m.kernel for m in model.modules() if isinstance(m, Attention)] == kernels


def test_cross_attention_is_left_alone():
    model, source = randomise(Seq2Seq(VASWANI)).eval(), TOKENS[:, :4]
    own = [m for n, m in model.named_modules() if n.endswith(".attention")]
    every = {(layer, head): 0.0 for layer in range(len(own)) for head in range(6)}
    with torch.no_grad(), ablate_heads(model, every):
        removed = model(source, TOKENS)
    for module in own:
        module.o_proj.weight.data.zero_()
    with torch.no_grad():
        torch.testing.assert_close(removed, model(source, TOKENS))


@pytest.mark.parametrize("head", [(9, 0), (0, 6), (-1, 0)])
def test_refuses_heads_that_are_not_there(model, head):
    message = rf"no head {head[0]}.{head[1]}: the model has {GPT2.n_layers} layers of 6 heads"
    with pytest.raises(ValueError, match=message), ablate_heads(model, {head: 0.0}):
        pass

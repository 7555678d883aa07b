"""What `capture` records equals what transformers returns: hidden states and attention maps."""

import pytest
import torch
from conftest import randomise
from test_weights_parity import CAUSAL, bert

from minillm import capture
from minillm.load import load

TOKENS = torch.tensor([[5, 9, 2, 33, 60, 1, 0, 8], [7, 7, 3, 96, 12, 40, 41, 42]])
MASK = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])


def both(make, folder):
    theirs = randomise(make())
    theirs.set_attn_implementation("eager")
    theirs.save_pretrained(folder)
    return theirs, load(folder).model


@pytest.mark.parametrize("name", ["gpt2", "llama", "llama-gqa", "llama-mqa-tied"])
def test_causal_models(tmp_path, name):
    theirs, ours = both(CAUSAL[name], tmp_path)
    expected = theirs(TOKENS, output_attentions=True, output_hidden_states=True)
    with capture(ours) as trace:
        ours(TOKENS)
    maps = torch.stack(expected.attentions)
    torch.testing.assert_close(trace.attention_stack(), maps, atol=1e-5, rtol=1e-4)
    stream = torch.stack(expected.hidden_states)  # their last one is after the final norm
    torch.testing.assert_close(trace.hidden_stack()[:-1], stream[:-1], atol=1e-4, rtol=1e-4)
    final = ours.transformer.norm(trace.hidden_stack()[-1])
    torch.testing.assert_close(final, stream[-1], atol=1e-4, rtol=1e-4)


def test_bert_with_padding(tmp_path):
    theirs, ours = both(bert, tmp_path)
    expected = theirs(
        TOKENS, attention_mask=MASK.long(), output_attentions=True, output_hidden_states=True
    )
    with capture(ours) as trace:
        ours(TOKENS, mask=MASK)
    got, maps = trace.attention_stack(), torch.stack(expected.attentions)
    rows = MASK[None, :, None, :, None].expand_as(maps)  # what padding looks at is of no use
    torch.testing.assert_close(got[rows], maps[rows], atol=1e-5, rtol=1e-4)
    stream = torch.stack(expected.hidden_states)
    real = MASK[None, :, :, None].expand_as(stream)
    torch.testing.assert_close(trace.hidden_stack()[real], stream[real], atol=1e-4, rtol=1e-4)

"""What `capture` records equals what transformers returns: hidden states and attention maps."""

import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from minillm import capture
from minillm.weights.load import load
from tests.conftest import randomise
from tests.parity.test_weights_parity import CAUSAL, TOLERANCE, bart, bert, exact_rms_norm

TOKENS = torch.tensor([[5, 9, 2, 33, 60, 1, 0, 8], [7, 7, 3, 96, 12, 40, 41, 42]])
MASK = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])


def softmax_in_own_type(x, dim, **_dtype):
    return torch.softmax(x, dim)


@pytest.fixture(params=TOLERANCE, ids=str)
def dtype(request, monkeypatch):
    if request.param == torch.float64:
        monkeypatch.setattr(LlamaRMSNorm, "forward", exact_rms_norm)
        # Their written-out attention takes its softmax in float32 whatever the type.
        monkeypatch.setattr(torch.nn.functional, "softmax", softmax_in_own_type)
    return request.param


def both(make, folder, dtype):
    theirs = randomise(make().to(dtype))
    theirs.set_attn_implementation("eager")
    theirs.save_pretrained(folder)
    ours = load(folder, dtype=dtype).model
    rotary = getattr(theirs.base_model, "rotary_emb", None)
    if rotary is not None:  # both keep them in float32, where the last bit depends on the formula
        frequencies = ours.transformer.rope.frequencies().to(rotary.inv_freq)
        torch.testing.assert_close(rotary.inv_freq, frequencies, atol=0, rtol=1e-6)
        rotary.inv_freq = frequencies
    return theirs, ours


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_models(tmp_path, name, dtype):
    theirs, ours = both(CAUSAL[name], tmp_path, dtype)
    atol = TOLERANCE[dtype]
    expected = theirs(TOKENS, output_attentions=True, output_hidden_states=True)
    with capture(ours) as trace:
        ours(TOKENS)
    maps = torch.stack(expected.attentions)
    torch.testing.assert_close(trace.attention_stack(), maps, atol=atol, rtol=atol)
    stream = torch.stack(expected.hidden_states)  # their last one is after the final norm
    torch.testing.assert_close(trace.hidden_stack()[:-1], stream[:-1], atol=atol, rtol=atol)
    final = ours.transformer.norm(trace.hidden_stack()[-1])
    torch.testing.assert_close(final, stream[-1], atol=atol, rtol=atol)


def test_bert_with_padding(tmp_path, dtype):
    theirs, ours = both(bert, tmp_path, dtype)
    atol = TOLERANCE[dtype]
    expected = theirs(
        TOKENS, attention_mask=MASK.long(), output_attentions=True, output_hidden_states=True
    )
    with capture(ours) as trace:
        ours(TOKENS, mask=MASK)
    got, maps = trace.attention_stack(), torch.stack(expected.attentions)
    rows = MASK[None, :, None, :, None].expand_as(maps)  # what padding looks at is of no use
    torch.testing.assert_close(got[rows], maps[rows], atol=atol, rtol=atol)
    stream = torch.stack(expected.hidden_states)
    real = MASK[None, :, :, None].expand_as(stream)
    torch.testing.assert_close(trace.hidden_stack()[real], stream[real], atol=atol, rtol=atol)


def test_bart_both_sides(tmp_path, dtype):
    theirs, ours = both(bart, tmp_path, dtype)
    atol, target = TOLERANCE[dtype], TOKENS.flip(1)[:, :6]
    expected = theirs(
        TOKENS, decoder_input_ids=target, output_attentions=True, output_hidden_states=True
    )
    for model, maps, stream, arguments in (
        (ours.encoder, expected.encoder_attentions, expected.encoder_hidden_states, (TOKENS,)),
        (
            ours.decoder,
            expected.decoder_attentions,
            expected.decoder_hidden_states,
            (target, ours.encode(TOKENS)),
        ),
    ):
        with capture(model) as trace:
            model(*arguments)
        torch.testing.assert_close(trace.attention_stack(), torch.stack(maps), atol=atol, rtol=atol)
        torch.testing.assert_close(trace.hidden_stack(), torch.stack(stream), atol=atol, rtol=atol)
    crossed = [w for name, w in trace.attention.items() if name.endswith("cross_attention")]
    torch.testing.assert_close(
        torch.stack(crossed), torch.stack(expected.cross_attentions), atol=atol, rtol=atol
    )

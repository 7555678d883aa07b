"""A block equals torch's encoder and decoder layers, with every parameter randomised."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from minillm import Attention, Block, causal_mask
from tests.conftest import VASWANI, randomise

CONFIG = replace(VASWANI, n_heads=4, d_model=24, d_ff=50)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    for kind in ("weight", "bias"):
        parts = getattr(theirs, f"in_proj_{kind}").chunk(3)
        for name, part in zip("qkv", parts, strict=True):
            getattr(getattr(ours, f"{name}_proj"), kind).data.copy_(part)
    ours.o_proj.load_state_dict(theirs.out_proj.state_dict())


def copy_rest(ours: Block, theirs: nn.Module, norms: dict[str, str]) -> None:
    ours.ffn.up_proj.load_state_dict(theirs.linear1.state_dict())
    ours.ffn.down_proj.load_state_dict(theirs.linear2.state_dict())
    for mine, other in norms.items():
        getattr(ours, mine).load_state_dict(getattr(theirs, other).state_dict())


def padding() -> Tensor:
    return torch.tensor([[True] * 9, [True] * 6 + [False] * 3])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("padded", [False, True])
def test_encoder_layer(dtype, placement, activation, padded):
    theirs = nn.TransformerEncoderLayer(
        24, 4, 50, 0.0, activation, batch_first=True, norm_first=placement == "pre"
    )
    theirs = randomise(theirs).to(dtype)
    config = replace(CONFIG, causal=False, norm_placement=placement, ffn=activation)
    ours = Block(config).to(dtype).eval()
    copy_attention(ours.attention, theirs.self_attn)
    copy_rest(ours, theirs, {"attention_norm": "norm1", "ffn_norm": "norm2"})
    x = torch.randn(2, 9, 24, dtype=dtype)
    mask = padding() if padded else None
    got = ours(x, mask=None if mask is None else mask[:, None, None])
    expected = theirs(x, src_key_padding_mask=None if mask is None else ~mask)
    keep = padding() if padded else torch.ones(2, 9, dtype=torch.bool)
    atol = TOLERANCE[dtype]
    torch.testing.assert_close(got[keep], expected[keep], atol=atol, rtol=atol)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("placement", ["pre", "post"])
def test_decoder_layer_with_cross_attention(dtype, placement):
    theirs = nn.TransformerDecoderLayer(
        24, 4, 50, 0.0, batch_first=True, norm_first=placement == "pre"
    )
    theirs = randomise(theirs, seed=1).to(dtype)
    config = replace(CONFIG, cross_attention=True, norm_placement=placement)
    ours = Block(config).to(dtype).eval()
    copy_attention(ours.attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_rest(ours, theirs, {"attention_norm": "norm1", "cross_norm": "norm2", "ffn_norm": "norm3"})
    target, memory = torch.randn(2, 7, 24, dtype=dtype), torch.randn(2, 9, 24, dtype=dtype)
    got = ours(target, memory, memory_mask=padding()[:, None, None])
    expected = theirs(
        target, memory, tgt_mask=~causal_mask(7, 7), memory_key_padding_mask=~padding()
    )
    atol = TOLERANCE[dtype]
    torch.testing.assert_close(got, expected, atol=atol, rtol=atol)

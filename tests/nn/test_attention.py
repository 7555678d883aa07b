import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm import Attention, causal_mask, explicit_attention, fused_attention
from tests.conftest import GPT2, LLAMA, randomise


def qkv(heads=4, kv_heads=4, q_len=5, kv_len=5, dtype=torch.float32):
    q = torch.randn(2, heads, q_len, 8, dtype=dtype)
    k, v = torch.randn(2, 2, kv_heads, kv_len, 8, dtype=dtype).unbind()
    return q, k, v


def row_by_row(q, k, v, mask):
    """Attention as a sum over keys, one query at a time: the definition."""
    out = torch.zeros_like(q)
    group = q.shape[1] // k.shape[1]
    for b, h, t in (
        (b, h, t) for b in range(2) for h in range(q.shape[1]) for t in range(q.shape[2])
    ):
        keys = [s for s in range(k.shape[2]) if mask is None or mask[t, s]]
        scores = [float(q[b, h, t] @ k[b, h // group, s]) / math.sqrt(8) for s in keys]
        total = sum(math.exp(s) for s in scores)
        for s, score in zip(keys, scores, strict=True):
            out[b, h, t] += math.exp(score) / total * v[b, h // group, s]
    return out


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("causal", [False, True])
def test_explicit_attention_is_its_definition(kv_heads, causal):
    q, k, v = qkv(kv_heads=kv_heads, q_len=3)
    mask = causal_mask(3, 5) if causal else None
    output, weights = explicit_attention(q, k, v, causal=causal)
    torch.testing.assert_close(output, row_by_row(q, k, v, mask), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 3))


MASKS = {
    "none": None,
    "padding": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()[:, None, None],
    "left padding": torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).bool()[:, None, None],
    "one row empty": torch.tensor([[0] * 5, [1] * 5, [1, 0] * 2 + [1], [1] * 5, [0] * 5]).bool(),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_explicit_equals_fused(mask, causal, kv_heads, dtype):
    q, k, v = qkv(kv_heads=kv_heads, dtype=dtype)
    explicit = explicit_attention(q, k, v, mask, causal=causal)[0]
    fused = fused_attention(q, k, v, mask, causal=causal)
    atol = 1e-5 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(explicit, fused, atol=atol, rtol=atol)


def test_causal_mask_with_a_past_is_aligned_to_the_lower_right():
    q, k, v = qkv(q_len=2)
    whole_q = torch.cat((torch.randn(2, 4, 3, 8), q), dim=2)
    whole = fused_attention(whole_q, k, v, causal=True)[:, :, -2:]
    torch.testing.assert_close(fused_attention(q, k, v, causal=True), whole, atol=1e-5, rtol=1e-5)


def test_a_row_that_may_look_nowhere_gives_zero():
    q, k, v = qkv()
    output, weights = explicit_attention(q, k, v, MASKS["one row empty"])
    assert not output[:, :, 0].any()
    assert not weights[:, :, 0].any()
    assert weights.isfinite().all()


def test_a_mask_does_not_hide_nan():
    q, k, v = qkv()
    q[0, 0, 3, 0] = math.nan
    output, weights = explicit_attention(q, k, v, causal=True)
    assert weights[0, 0, 3, :4].isnan().all()
    assert output[0, 0, 3].isnan().all()
    assert output[0, 0, :3].isfinite().all()


def test_softmax_survives_large_scores():
    q, k, v = qkv()
    assert explicit_attention(q * 1e3, k * 1e3, v)[0].isfinite().all()


@pytest.mark.parametrize("causal", [False, True])
def test_gradients(causal):
    inputs = [x[:1, :2].clone().requires_grad_() for x in qkv(dtype=torch.float64)]
    assert torch.autograd.gradcheck(
        lambda *x: explicit_attention(*x, causal=causal)[0], tuple(inputs)
    )


def test_permuting_keys_with_their_values_changes_nothing():
    q, k, v = qkv()
    order = torch.randperm(5)
    torch.testing.assert_close(
        explicit_attention(q, k[:, :, order], v[:, :, order])[0], explicit_attention(q, k, v)[0]
    )


def test_dropout_acts_on_the_weights():
    q, k, v = qkv()
    assert not explicit_attention(q, k, v, dropout=1.0)[0].any()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((5, 8), (5, 7), (5, 8)), "queries have width 8, keys 7"),
        (((5, 8), (5, 8), (4, 8)), "5 keys but 4 values"),
        (((1, 4, 5, 8), (1, 3, 5, 8), (1, 3, 5, 8)), "4 query heads cannot share 3 key heads"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        explicit_attention(*(torch.zeros(s) for s in shapes))


def test_grouped_heads_equal_full_heads_with_copied_keys():
    grouped = randomise(Attention(LLAMA, causal=True))
    full = Attention(replace(LLAMA, n_kv_heads=6), causal=True)
    copies = {
        name: w.unflatten(0, (2, 8)).repeat_interleave(3, 0).flatten(0, 1)
        if "k_" in name or "v_" in name
        else w
        for name, w in grouped.state_dict().items()
    }
    full.load_state_dict(copies)
    x = torch.randn(2, 7, 48)
    torch.testing.assert_close(grouped(x), full(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_module_equals_torch_multihead_attention(causal):
    ours = randomise(Attention(GPT2, causal=causal))
    theirs = nn.MultiheadAttention(48, 6, batch_first=True)
    with torch.no_grad():
        for kind, tensors in (("weight", "in_proj_weight"), ("bias", "in_proj_bias")):
            parts = [getattr(getattr(ours, f"{n}_proj"), kind) for n in "qkv"]
            getattr(theirs, tensors).copy_(torch.cat(parts))
    theirs.out_proj.load_state_dict(ours.o_proj.state_dict())
    x = torch.randn(2, 7, 48)
    blocked = ~causal_mask(7, 7) if causal else None
    expected = theirs(x, x, x, attn_mask=blocked, need_weights=False)[0]
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)


def test_module_applies_dropout_only_in_training():
    attention = Attention(replace(GPT2, dropout=0.5), causal=True)
    x = torch.randn(1, 6, 48)
    assert not torch.equal(attention.train()(x), attention(x))
    torch.testing.assert_close(attention.eval()(x), attention(x))


def test_fused_attention_is_the_kernel_bit_for_bit():
    q, k, v = qkv(q_len=5)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(fused_attention(q, k, v, causal=True), expected, atol=0, rtol=0)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [2, 5, 64])
def test_training_in_bfloat16_computes_the_same(length, causal, kv_heads):
    torch.manual_seed(0)
    exact = [x.requires_grad_() for x in qkv(kv_heads=kv_heads, q_len=length, kv_len=length)]
    half = [x.detach().bfloat16().requires_grad_() for x in exact]
    expected, y = (fused_attention(*x, causal=causal) for x in (exact, half))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, atol=0.03, rtol=0.03)
    direction = torch.randn_like(expected)
    expected.backward(direction)
    y.backward(direction.bfloat16())
    for one, other in zip(exact, half, strict=True):
        error = (other.grad.float() - one.grad).norm() / one.grad.norm().clamp(min=1e-6)
        assert error < 0.03, error


def test_what_is_padded_or_cached_goes_to_the_kernel_also_in_training():
    q, k, v = (x.bfloat16().requires_grad_() for x in qkv(q_len=3))
    torch.testing.assert_close(
        fused_attention(q, k, v, causal=True).float(),
        explicit_attention(q.float(), k.float(), v.float(), causal=True)[0],
        atol=0.03, rtol=0.03,
    )  # fmt: skip
    q, k, v = (x.bfloat16().requires_grad_() for x in qkv())
    mask = MASKS["left padding"]
    torch.testing.assert_close(
        fused_attention(q, k, v, mask, causal=True).float(),
        explicit_attention(q.float(), k.float(), v.float(), mask, causal=True)[0],
        atol=0.03, rtol=0.03,
    )  # fmt: skip


def test_dropout_of_training_in_bfloat16_falls_on_the_weights():
    torch.manual_seed(0)
    q = torch.zeros(1, 1, 200, 8, dtype=torch.bfloat16, requires_grad=True)
    v = torch.ones(1, 1, 200, 8, dtype=torch.bfloat16)
    y = fused_attention(q, q, v, dropout=0.25).float()
    assert (y == y[..., :1]).all()  # a weight is dropped for all coordinates of the value
    assert y.std(dim=2).min() > 0.01  # and for each query by itself
    assert y.mean().item() == pytest.approx(1, abs=0.02)

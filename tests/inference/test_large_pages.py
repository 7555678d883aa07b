"""Weights in large pages: the same values, places of their own, and what torch does with them."""

import copy
import io
import mmap
from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, Int4Linear, Int8Linear, int4_weights, int8_weights
from minillm.inference.large_pages import LARGE, LINE, in_large_pages
from tests.conftest import LLAMA

needs_linux = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="asks Linux only")


def some_tensors():
    torch.manual_seed(0)
    return [
        torch.randint(-127, 128, (31, 17), dtype=torch.int8),
        torch.randn(5, 7).mT,  # not contiguous
        torch.empty(0, 3),
        torch.randn(()).double(),
        torch.randn(130).bfloat16(),
    ]


@pytest.mark.parametrize("system", ["here", "another", "refuses"])
def test_copies_are_equal_and_contiguous(system, monkeypatch):
    if system == "another":
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    if system == "refuses" and hasattr(mmap, "MADV_HUGEPAGE"):
        monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 12345)  # no such advice
    tensors = some_tensors()
    copies = in_large_pages(tensors)
    assert len(copies) == len(tensors)
    for one, other in zip(tensors, copies, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert other.is_contiguous()
        assert torch.equal(one, other)


def test_each_has_a_place_of_its_own():
    tensors = some_tensors()
    copies = in_large_pages(tensors)
    for copied in copies:
        before = [other.clone() for other in copies]
        copied.zero_()
        for other, old in zip(copies, before, strict=True):
            assert other is copied or torch.equal(other, old)
    assert tensors[0].any()  # and the originals were not touched


@needs_linux
def test_the_first_begins_a_large_page_and_all_a_line():
    copies = in_large_pages(some_tensors())
    assert copies[0].data_ptr() % LARGE == 0
    assert all(copied.data_ptr() % LINE == 0 for copied in copies if copied.numel())


@needs_linux
def test_the_memory_lives_as_long_as_a_tensor():
    last = in_large_pages([torch.zeros(3 << 20), torch.arange(1000)])[1]
    others = [torch.full((1 << 20,), 7.0) for _ in range(8)]  # what would be put in freed memory
    assert torch.equal(last, torch.arange(1000))
    assert len(others) == 8


def test_a_model_with_bytes_can_be_copied_saved_and_read_back():
    torch.manual_seed(0)
    model = int8_weights(CausalLM(LLAMA))
    tokens = torch.randint(97, (1, 9))
    expected = model(tokens)
    twin = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    for buffer in model.buffers():
        buffer.zero_()
    torch.testing.assert_close(twin(tokens), expected, rtol=0, atol=0)
    model.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(model(tokens), expected, rtol=0, atol=0)


@needs_linux
@pytest.mark.parametrize("store", [int8_weights, int4_weights])
def test_the_matrices_of_a_model_stand_side_by_side(store):
    model = store(CausalLM(replace(LLAMA, vocab_size=96, d_model=96, d_ff=64)))
    layers = [m for m in model.modules() if isinstance(m, (Int4Linear, Int8Linear))]
    pieces: dict[torch.dtype, set[int]] = {}
    for buffer in (b for layer in layers for b in layer.buffers()):
        pieces.setdefault(buffer.dtype, set()).add(buffer.untyped_storage().data_ptr())
    assert torch.int8 in pieces
    assert all(len(found) == 1 for found in pieces.values()), pieces

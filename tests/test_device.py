"""The fastest device, what it computes fast, and sizes that follow it."""

import pytest
import torch

from minillm import device
from minillm.device import best_device, fast_dtype, has_fast_bfloat16
from minillm.notebook import pick
from minillm.training import muon


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_cuda_before_mps_before_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(expected)
    assert pick(cpu=1, gpu=2) == (1 if expected == "cpu" else 2)


@pytest.mark.parametrize(("told", "fast"), [("0", False), ("1", True)])
def test_the_environment_answers_first(monkeypatch, told, fast):
    monkeypatch.setenv("MINILLM_FAST_BFLOAT16", told)
    assert has_fast_bfloat16("cpu") is fast
    assert fast_dtype("cpu") == (torch.bfloat16 if fast else torch.float32)


def test_another_answer_is_refused(monkeypatch):
    monkeypatch.setenv("MINILLM_FAST_BFLOAT16", "yes")
    with pytest.raises(ValueError, match="MINILLM_FAST_BFLOAT16 must be 0 or 1, got 'yes'"):
        has_fast_bfloat16("cpu")


@pytest.mark.parametrize("flag", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_a_flag_of_the_processor_is_believed(monkeypatch, flag):
    def no_clock(*_):
        raise AssertionError("nothing needs to be timed")

    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == flag)
    monkeypatch.setattr(device, "_seconds", no_clock)
    assert device._measured_bfloat16.__wrapped__("cpu")


@pytest.mark.parametrize(("half", "fast"), [(1.0, True), (1.4, True), (1.6, False), (50.0, False)])
def test_where_no_flag_tells_one_product_is_timed(monkeypatch, half, fast):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    seconds = {torch.bfloat16: half, torch.float32: 1.0}
    monkeypatch.setattr(device, "_seconds", lambda _kind, dtype: seconds[dtype])
    assert device._measured_bfloat16.__wrapped__("cpu") is fast


@pytest.mark.parametrize(("told", "dtype"), [("0", torch.float32), ("1", torch.bfloat16)])
def test_muon_computes_directions_in_what_is_fast(monkeypatch, told, dtype):
    seen = []
    monkeypatch.setenv("MINILLM_FAST_BFLOAT16", told)
    monkeypatch.setattr(muon, "newton_schulz", lambda x: (seen.append(x.dtype), x)[1])
    weight = torch.nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.ones(4, 4)
    muon.Muon([weight]).step()
    assert seen == [dtype]

"""The fastest device, what it computes fast, and sizes that follow it."""

import pytest
import torch

from minillm import device
from minillm.device import (
    best_device,
    choose_threads,
    fast_dtype,
    find_device,
    has_fast_bfloat16,
)
from minillm.notebook import pick
from minillm.training import muon


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_cuda_before_mps_before_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.delenv("MINILLM_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(expected)
    assert pick(cpu=1, gpu=2) == (1 if expected == "cpu" else 2)


@pytest.mark.parametrize("cuda", [True, False])
def test_the_device_may_be_told(monkeypatch, cuda):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setenv("MINILLM_DEVICE", "cpu")
    assert best_device() == find_device("auto") == torch.device("cpu")
    assert pick(cpu=1, gpu=2) == 1
    monkeypatch.setenv("MINILLM_DEVICE", "meta")
    assert best_device() == torch.device("meta")
    assert find_device("cpu") == torch.device("cpu")  # who names a device is not overruled
    assert pick(cpu=1, gpu=2) == 2
    monkeypatch.setenv("MINILLM_DEVICE", "auto")
    assert best_device().type == ("cuda" if cuda else "cpu")


@pytest.mark.parametrize("told", ["", "nonsense", "vulkan"])
def test_a_device_that_is_not_here_is_refused(monkeypatch, told):
    monkeypatch.setenv("MINILLM_DEVICE", told)
    with pytest.raises(ValueError, match=f"^MINILLM_DEVICE={told!r} cannot be used here: "):
        best_device()


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


@pytest.fixture
def threads(monkeypatch):
    """Two threads to choose from, and no word from the environment."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("one", "two", "chosen"), [(1.0, 0.6, 2), (1.0, 5.0, 1)])
def test_the_faster_number_of_threads_is_taken(monkeypatch, threads, one, two, chosen):
    monkeypatch.setattr(device, "_seconds_with_threads", {1: one, 2: two}.__getitem__)
    assert choose_threads() == chosen == torch.get_num_threads()


def test_the_clock_measures_with_the_threads_it_is_told(threads):
    assert device._seconds_with_threads(1) > 0
    assert torch.get_num_threads() == 1


def test_a_number_of_threads_from_the_environment_stands(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(device, "_seconds_with_threads", {1: 1.0, 2: 5.0}.__getitem__)
    assert choose_threads() == 2 == torch.get_num_threads()

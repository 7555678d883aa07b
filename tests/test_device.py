"""The fastest device, and sizes that follow it."""

import pytest
import torch

from minillm.device import best_device
from minillm.notebook import pick


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_cuda_before_mps_before_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(expected)
    assert pick(cpu=1, gpu=2) == (1 if expected == "cpu" else 2)

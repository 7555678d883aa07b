"""Tests in this folder run with the pretend accelerator as the best device."""

from collections.abc import Iterator

import pytest

from tests.pretend import device

# While tests are collected, before any of them runs: autograd counts the devices of a process in
# its first backward pass, and knows no device that comes later.
device.setup()


@pytest.fixture(autouse=True)
def _pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device is there, `best_device()` names it, and nothing that was refused is overlooked."""
    monkeypatch.setenv("MINILLM_DEVICE", device.NAME)
    monkeypatch.setenv("MINILLM_FAST_BFLOAT16", "0")  # a clock would decide otherwise
    device.refused.clear()
    with device.active(), device.may_lack():
        yield
    assert not device.refused, "refused, though somebody caught the error"

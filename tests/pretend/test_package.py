"""The package on the pretend accelerator gives what it gives on the CPU."""

import matplotlib
import pytest
import torch

from tests.pretend import device
from tests.pretend.exercises import EXERCISES

matplotlib.use("agg")


def on_cpu(result):
    if isinstance(result, torch.Tensor):
        return result.detach().cpu()
    if isinstance(result, list | tuple):
        return [on_cpu(part) for part in result]
    return result


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.__name__)
def test_results_are_those_of_the_cpu(exercise):
    expected, found = on_cpu(exercise("cpu")), on_cpu(exercise(device.NAME))
    same(found, expected)


def same(found, expected):
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            same(mine, theirs)
    elif isinstance(expected, torch.Tensor | float):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    else:
        assert found == expected

"""Temperature and filters against the processors of `transformers`, alone and together."""

import pytest
import torch
import transformers as hf

from minillm.inference.sampling import (
    Sampling,
    apply_filters,
    filter_min_p,
    filter_top_k,
    filter_top_p,
)

IDS = torch.zeros(6, 1, dtype=torch.long)  # their processors want the text and do not read it


@pytest.fixture(params=[0.3, 1.0, 4.0])
def logits(request):
    """Six rows of 50 logits, from flat to peaked."""
    return request.param * torch.randn(6, 50, generator=torch.Generator().manual_seed(0))


def distribution(logits):
    return logits.softmax(-1)


@pytest.mark.parametrize("p", [0.01, 0.1, 0.3, 0.8, 1.0])
def test_min_p(logits, p):
    theirs = hf.MinPLogitsWarper(p)(IDS, logits)
    assert torch.equal(filter_min_p(logits, p), theirs)


@pytest.mark.parametrize("k", [1, 2, 7, 50, 80])
def test_top_k(logits, k):
    assert torch.equal(filter_top_k(logits, k), hf.TopKLogitsWarper(k)(IDS, logits))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.77, 0.9, 0.99])
def test_top_p(logits, p):
    assert torch.equal(filter_top_p(logits, p), hf.TopPLogitsWarper(p)(IDS, logits))


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.7},
        {"temperature": 1.5, "min_p": 0.2},
        {"temperature": 0.8, "top_k": 9, "top_p": 0.9},
        {"temperature": 2.0, "top_k": 20, "top_p": 0.8, "min_p": 0.3},
    ],
)
def test_all_together_in_their_order(logits, fields):
    steps = hf.LogitsProcessorList([hf.TemperatureLogitsWarper(fields["temperature"])])
    if "top_k" in fields:
        steps.append(hf.TopKLogitsWarper(fields["top_k"]))
    if "top_p" in fields:
        steps.append(hf.TopPLogitsWarper(fields["top_p"]))
    if "min_p" in fields:
        steps.append(hf.MinPLogitsWarper(fields["min_p"]))
    ours = distribution(apply_filters(logits, Sampling(**fields)))
    torch.testing.assert_close(ours, distribution(steps(IDS, logits)))

"""Shared by all tests: small configs of each family, models with no default left, a browser."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, sync_playwright
from torch import nn

from minillm import (
    BERT_BASE,
    GPT2_SMALL,
    SMOLLM2_135M,
    VASWANI_BASE,
    ChatTemplate,
    ModelConfig,
)
from tools import browser

NO_OTHER_HOST = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
SMALL = {
    "vocab_size": 97,
    "context_length": 64,
    "d_model": 48,
    "n_layers": 3,
    "n_heads": 6,
    "d_ff": 80,
}
GPT2 = replace(GPT2_SMALL, **SMALL)
LLAMA = replace(SMOLLM2_135M, **SMALL | {"n_kv_heads": 2})
BERT = replace(BERT_BASE, **SMALL)
VASWANI = replace(VASWANI_BASE, **SMALL)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter its own random value.

    Libraries start biases at 0 and norms at 1, so a dropped bias or norm would pass unseen.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            shift = 0.3 if p.ndim == 1 else 0.0
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.1 + shift)
    return model.eval()


@pytest.fixture(params=[GPT2, LLAMA], ids=["gpt2", "llama"])
def causal_config(request: pytest.FixtureRequest) -> ModelConfig:
    return request.param


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of the messages of each conversation that a chat template encodes, in turn."""
    seen: list[list[str]] = []
    encode = ChatTemplate.encode

    def spy(self: ChatTemplate, tokenizer: Any, messages: Any, **options: Any) -> list[int]:
        seen.append([message["content"] for message in messages])
        return encode(self, tokenizer, messages, **options)

    monkeypatch.setattr(ChatTemplate, "encode", spy)
    return seen


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def no_skip(report: Any, path: Path) -> Any:
    """A comparison with another library that is skipped has failed: it proves nothing."""
    if report.skipped and not hasattr(report, "wasxfail") and path.parent.name == "parity":
        report.outcome, report.longrepr = "failed", f"skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    return no_skip((yield), item.path)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    return no_skip((yield), getattr(collector, "path", Path()))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser that reaches this machine and nothing else; Playwright runs once in a process."""
    with sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=browser.require(), args=[*browser.ARGUMENTS, NO_OTHER_HOST]
        )
        yield running
        running.close()

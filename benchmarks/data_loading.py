"""Which part of a training step goes into cutting its batch out of the text.

The package has no loader processes and no prefetching. This is the measurement that says whether
it needs them: the time of `TokenWindows.batch` inside the time of whole updates.
"""

import json
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from machine import machine

import minillm

OUT = Path(__file__).parent / "results" / "data_loading.json"
TOKENS, VOCABULARY = 1_000_000, 1_024
SIZES = {
    "small": {"n_layers": 4, "d_model": 128, "n_heads": 4, "context_length": 64, "batch": 32},
    "larger": {"n_layers": 6, "d_model": 256, "n_heads": 8, "context_length": 128, "batch": 16},
}
STEPS = {"small": 30, "larger": 8}


class Timed:
    """Windows of a text, and how long each batch took."""

    def __init__(self, windows: minillm.TokenWindows) -> None:
        self.windows, self.seconds = windows, list[float]()

    def batch(self, step: int, size: int, /) -> minillm.Batch:
        """Cut the batch and note the time."""
        started = time.perf_counter()
        batch = self.windows.batch(step, size)
        self.seconds.append(time.perf_counter() - started)
        return batch


def measure(name: str, tokens: torch.Tensor) -> dict[str, Any]:
    """Medians over the steps of a short run, the first three left out."""
    sizes = dict(SIZES[name])
    batch, steps = sizes.pop("batch"), STEPS[name] + 3
    torch.manual_seed(0)
    model = minillm.CausalLM(minillm.ModelConfig(vocab_size=VOCABULARY, **sizes))
    data = Timed(minillm.TokenWindows(tokens, sizes["context_length"]))
    config = minillm.TrainConfig(steps=steps, batch_size=batch)
    spent = [0.0, *minillm.Trainer(model, config, data).fit().column("seconds")]
    updates = [after - before for before, after in pairwise(spent)]
    update, cut = (statistics.median(times[3:]) for times in (updates, data.seconds))
    share = 1 - cut / update
    print(f"{name:8} {1e3 * update:9.2f} ms {1e6 * cut:9.1f} µs {share:10.2%}")
    return {
        **SIZES[name], "parameters": minillm.count_parameters(model),
        "step_ms": round(1e3 * update, 3), "data_us": round(1e6 * cut, 1),
        "share_of_the_model": round(share, 5),
    }  # fmt: skip


def main() -> None:
    """Measure both sizes, print the table, write the JSON."""
    torch.set_num_threads(1)
    tokens = torch.randint(VOCABULARY, (TOKENS,), generator=torch.Generator().manual_seed(0))
    print(f"{'model':8} {'update':>12} {'data':>12} {'model':>10}")
    result = {
        "made_by": "python benchmarks/data_loading.py",
        "minillm": minillm.__version__, "torch": torch.__version__,
        "machine": machine(),
        "runs": {name: measure(name, tokens) for name in SIZES},
    }  # fmt: skip
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Seconds and memory of one training step, `minillm` beside `transformers`, in one run.

    python benchmarks/training_step.py

GPT-2 of two sizes, the same batches, AdamW with clipping, in float32 and with bfloat16 autocast.
The libraries take turns, so that whatever else the machine does meets both; a ratio is the median
of the turns' own ratios. Memory is the highest resident set of a process that trains one of them
alone, less that of the same process before its first step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from machine import machine
from torch import nn

from minillm import CausalLM, ModelConfig, TokenWindows, TrainConfig, Trainer

OUT = Path(__file__).parent / "results" / "training_step.json"
SIZES = {
    "4 layers, d=128, T=64, B=12": (
        ModelConfig(vocab_size=96, context_length=64, d_model=128, n_layers=4, n_heads=4),
        12,
    ),
    "6 layers, d=384, T=256, B=16": (
        ModelConfig(vocab_size=2048, context_length=256, d_model=384, n_layers=6, n_heads=6),
        16,
    ),
}
PRECISIONS = ("float32", "bfloat16")
Step = Callable[[], object]


def our_step(config: ModelConfig, batch: int, precision: str) -> Step:
    """One call is one update by `minillm.Trainer`."""
    settings = TrainConfig(steps=10**6, batch_size=batch, precision=precision)
    return Trainer(CausalLM(config), settings, windows(config)).train_step


def their_step(config: ModelConfig, batch: int, precision: str) -> Step:
    """One call is the same update of `transformers`' GPT-2 by a plain loop."""
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size, n_positions=config.context_length,
            n_embd=config.d_model, n_layer=config.n_layers, n_head=config.n_heads,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=None, eos_token_id=None,
        )
    ).train()  # fmt: skip
    data, done = windows(config), [0]
    optimizer = torch.optim.AdamW(theirs.parameters(), 3e-4, (0.9, 0.95), weight_decay=0.1)

    def step() -> None:
        inputs = data.batch(done[0], batch).inputs
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = theirs(inputs, labels=inputs).loss  # it shifts the labels itself
        loss.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        done[0] += 1

    return step


LIBRARIES = {"minillm": our_step, "transformers": their_step}


def windows(config: ModelConfig) -> TokenWindows:
    """Random tokens: what they are does not change the time."""
    tokens = torch.randint(config.vocab_size, (50_000,), generator=torch.Generator().manual_seed(0))
    return TokenWindows(tokens, config.context_length)


def times(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in every round, after two rounds to warm up."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number >= 2:
                found[name].append(time.perf_counter() - started)
    return found


def memory(size: str, library: str, precision: str) -> float:
    """Megabytes that training adds to a process of its own."""
    command = [sys.executable, __file__, "--child", size, library, precision]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def highest() -> float:
    """Megabytes of this process's highest resident set so far (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(size: str, library: str, precision: str) -> None:
    """Do three steps and print by how many megabytes the highest resident set has grown."""
    config, batch = SIZES[size]
    step = LIBRARIES[library](config, batch, precision)
    before = highest()
    for _ in range(3):
        step()
    print(highest() - before)


def main() -> None:
    """Time and weigh every pair, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(*options.child)
    rows: list[dict[str, Any]] = []
    for size, (config, batch) in SIZES.items():
        steps = {
            f"{library} {precision}": make(config, batch, precision)
            for library, make in LIBRARIES.items()
            for precision in PRECISIONS
        }
        found = times(steps, options.rounds)
        for name, own in found.items():
            library, precision = name.split()
            row = {"size": size, "run": name, "ms": round(1e3 * statistics.median(own), 1)}
            for other in PRECISIONS:
                pairs = zip(own, found[f"transformers {other}"], strict=True)
                row[f"against {other}"] = round(statistics.median(b / a for a, b in pairs), 2)
            row["megabytes"] = round(memory(size, library, precision))
            rows.append(row)
            print(row, flush=True)
    result = {
        "made_by": "python benchmarks/training_step.py",
        "machine": machine(),
        "torch": torch.__version__, "transformers": transformers.__version__, "rows": rows,
    }  # fmt: skip
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    main()

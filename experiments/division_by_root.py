"""Train a soft dictionary with and without the division of the scores by the root of their width.

With plain gradient descent, in whose steps the size of a gradient counts, and with AdamW, which
divides that size away; at several rates, for three seeds, at two widths, and with matrices that
start small. Used by the chapter "Attention from first principles", whose model and data these are.
"""

import argparse
import math
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm import explicit_attention, results

NAME, SEEDS = "division_by_root", (0, 1, 2)
RATES = {"SGD": (0.03, 0.1, 0.3, 1.0), "AdamW": (3e-4, 1e-3, 3e-3, 1e-2)}
LOWER = (256, "SGD", 0.01)  # without the division the best of the four was the lowest
SETTINGS = [(64, 0.0, 200), (256, 0.0, 100), (64, 0.02, 200)]  # width, size of the start, steps


def examples(n: int, pairs: int, generator: torch.Generator) -> list[Tensor]:
    """Keys and values (n, pairs); key asked for, answer and its place (n,) each."""
    keys = torch.rand(n, 64, generator=generator).argsort(-1)[:, :pairs]  # no key twice
    values = torch.randint(16, (n, pairs), generator=generator)
    place = torch.randint(pairs, (n,), generator=generator)
    asked, right = (t.gather(1, place[:, None])[:, 0] for t in (keys, values))
    return [keys, values, asked, right, place]


class Lookup(nn.Module):
    """One head that reads pairs and answers a question; std 0 stands for the root of 1 / width."""

    def __init__(self, width: int, *, divided: bool, std: float) -> None:
        super().__init__()
        self.key_table = nn.Embedding(64, width)
        self.value_table = nn.Embedding(16, width)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.readout = nn.Linear(width, 16)
        self.factor = 1.0 if divided else math.sqrt(width)
        for matrix in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.normal_(matrix.weight, std=std or width**-0.5)

    def forward(self, keys: Tensor, values: Tensor, asked: Tensor) -> Tensor:
        """Logits of the answer (B, 16)."""
        x = self.key_table(keys) + self.value_table(values)  # (B, S, E)
        q = self.factor * self.q_proj(self.key_table(asked))[:, None]  # (B, 1, E)
        logits: Tensor = self.readout(
            explicit_attention(q, self.k_proj(x), self.v_proj(x))[0][:, 0]
        )
        return logits


def train(learner: Lookup, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> list[Any]:
    """Losses on examples kept aside, every 20 steps; None from where the training has exploded."""
    held, generator = examples(1000, 8, torch.Generator().manual_seed(2)), torch.Generator()
    generator.manual_seed(100 + seed)
    losses: list[Any] = []
    for step in range(steps + 1):
        if step % 20 == 0:
            with torch.no_grad():
                loss = F.cross_entropy(learner(*held[:3]), held[3]).item()
            losses.append(round(loss, 4) if math.isfinite(loss) else None)
        keys, values, asked, right, _ = examples(64, 8, generator)
        optimizer.zero_grad()
        F.cross_entropy(learner(keys, values, asked), right).backward()
        optimizer.step()
    return losses


def main() -> None:
    """Run all settings and write the file after each width."""
    argparse.ArgumentParser(
        description="The soft dictionary with and without the division."
    ).parse_args()
    runs: list[dict[str, Any]] = []
    for width, std, steps in SETTINGS:
        for name, rates in RATES.items():
            lower = [rate for *where, rate in (LOWER,) if where == [width, name]]
            for lr in (*lower, *rates):
                for divided in (True, False):
                    curves = []
                    for seed in SEEDS:
                        torch.manual_seed(seed)
                        learner = Lookup(width, divided=divided, std=std)
                        optimizer = getattr(torch.optim, name)(learner.parameters(), lr=lr)
                        curves.append(train(learner, optimizer, steps, seed))
                    setting = {"width": width, "std": std, "optimizer": name, "rate": lr}
                    runs.append({**setting, "divided": divided, "losses": curves})
                    print(setting, divided, [curve[-1] for curve in curves], flush=True)
        command = "python experiments/division_by_root.py"
        seconds = time.process_time()
        results.store(NAME, {"runs": runs}, command=command, seeds=SEEDS, seconds=seconds, data={})


if __name__ == "__main__":
    main()

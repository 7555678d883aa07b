"""Fine-tune story-gpt-nano to summarise stories, and train the same network from scratch.

    python experiments/summaries_nano.py

A row is a story, an end token, its summary, an end token; only the summary counts in the loss.
For each start two rates with seed 0, the better one by the loss on validation stories with two
more seeds. Stored are the losses on the way and what each model writes about the test stories.

About 11 minutes on one core; stops and goes on where it was. Used by the chapter "Summaries and
long text".
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from finetuning import finished, log_file
from torch import Tensor, nn

import minillm
from minillm import IGNORE, CausalLM, results
from minillm.corpora.stories import Story, stories

SEEDS, STEPS, BATCH, EVERY, TESTED, HELD = (0, 1, 2), 240, 8, 30, 60, 64
RATES = (1e-3, 3e-3)
Run = dict[str, Any]


class Task:
    """Model, tokenizer and the rows of the three parts."""

    def __init__(self) -> None:
        loaded = minillm.load("story-gpt-nano")
        self.model, self.tokenizer = cast(CausalLM, loaded.model), loaded.tokenizer
        self.end = self.tokenizer.special["<|endoftext|>"]
        corpus = stories(6000, seed=2)
        self.train = self.rows(corpus.train)
        self.held = self.rows(corpus.validation)[:HELD]
        self.tested = corpus.test[:TESTED]
        self.fingerprint = "\n".join(story.text for story in corpus.train + self.tested)

    def rows(self, part: Sequence[Story]) -> list[tuple[list[int], list[int]]]:
        """Story and summary as ids, where both fit into the model's context."""
        encode, end, limit = self.tokenizer.encode, self.end, self.model.config.context_length
        pairs = [([end, *encode(s.text), end], [*encode(s.summary), end]) for s in part]
        return [(a, b) for a, b in pairs if len(a) + len(b) <= limit]


def padded(rows: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Inputs and targets, (B, T) each; a target counts where it belongs to a summary."""
    width = max(len(a) + len(b) for a, b in rows)
    x, y = torch.zeros(len(rows), width, dtype=torch.long), torch.full((len(rows), width), IGNORE)
    for i, (story, summary) in enumerate(rows):
        x[i, : len(story) + len(summary)] = torch.tensor(story + summary)
        y[i, len(story) : len(story) + len(summary)] = torch.tensor(summary)
    return x[:, :-1], y[:, 1:]


def loss_on(model: nn.Module, rows: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """Mean loss of the summaries' tokens, in nats."""
    x, y = padded(rows)
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=IGNORE)


def tune(task: Task, model: CausalLM, rate: float, seed: int, steps: int = STEPS) -> list[float]:
    """`steps` updates of a run of STEPS; returns the validation loss at every EVERY-th of them."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=True)
    rng, curve = random.Random(seed), []
    for step in range(steps + 1):
        if step % EVERY == 0:
            with torch.no_grad():
                curve.append(loss_on(model, task.held).item())
        if step == steps:
            break
        factor = min(1.0, (step + 1) / (0.1 * STEPS)) * (1 - step / STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        optimizer.zero_grad()
        loss_on(model, rng.sample(task.train, BATCH)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return curve


def write(task: Task, model: CausalLM, part: Sequence[Story]) -> list[str]:
    """The model's summaries, greedily; of a story that is too long only the end is read."""
    room = model.config.context_length - 32
    ids = [[*task.tokenizer.encode(s.text), task.end][-room:] for s in part]
    tokens, mask = minillm.left_pad([[task.end, *row] for row in ids])
    out = minillm.generate(model, tokens, mask=mask, max_new_tokens=30, stop=[task.end])
    new = [row[: row.index(task.end)] if task.end in row else row for row in written(out, tokens)]
    return [task.tokenizer.decode(row) for row in new]


def written(out: Tensor, prompt: Tensor) -> list[list[int]]:
    """The generated ids without the prompts."""
    rows: list[list[int]] = out[:, prompt.shape[1] :].tolist()
    return rows


def run(task: Task, start: str, rate: float, seed: int) -> Run:
    """One model from start to texts."""
    torch.manual_seed(seed)
    model = CausalLM(task.model.config)
    if start == "pretrained":
        model.load_state_dict(task.model.state_dict())
    began = time.process_time()
    curve = tune(task, model.train(), rate, seed)
    spent = time.process_time() - began
    texts = write(task, model.eval(), task.tested)
    print(start, rate, seed, [round(v, 2) for v in curve], *texts[:3], sep="\n  ", flush=True)
    return {"rate": rate, "seed": seed, "curve": curve, "seconds": spent, "texts": texts}


def sweep(task: Task, start: str) -> Run:
    """Both rates with seed 0, the better one with two more seeds."""
    tried = [run(task, start, rate, 0) for rate in RATES]
    best = min(tried, key=lambda row: float(row["curve"][-1]))
    return {"tried": tried, "runs": [best, *(run(task, start, best["rate"], s) for s in SEEDS[1:])]}


def main() -> None:
    """All runs, then the file."""
    log = log_file(__doc__, "summaries_nano")
    task = Task()
    made, seconds = finished(
        log, lambda _: {s: lambda s=s: sweep(task, s) for s in ("pretrained", "scratch")}
    )
    results.store(
        "summaries_nano",
        {"steps": STEPS, "batch": BATCH, "every": EVERY, **made},
        command="python experiments/summaries_nano.py",
        seeds=SEEDS,
        seconds=seconds,
        data={"stories": task.fingerprint},
    )


if __name__ == "__main__":
    main()

"""Speculative decoding of stories: story-gpt-nano drafts, story-gpt checks.

    python experiments/speculative_stories.py

For two temperatures (0 is greedy) and four numbers k of proposals, two openings with each of three
seeds, continued by up to 80 tokens: how many proposals stay, how many tokens each pass of the
target brings, and the CPU time against plain `generate`, whose stories are timed in turn with them.
About a minute on one core; stops and goes on where it was. Used by the chapter "Generating text".
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from generation_quality import END, weights

import minillm
from minillm import Sampling, generate, results
from minillm.inference.speculative import speculative_generate

KS, TEMPERATURES, SEEDS, COUNT = (1, 2, 4, 8), (0.0, 1.0), (0, 1, 2), 2
OPENING, NEW = 8, 80


def prompts(target: Any, count: int, seed: int) -> torch.Tensor:
    """Openings of a few tokens, drawn at temperature 1, so that greedy stories differ too."""
    end = target.tokenizer.special[END]
    source = torch.Generator().manual_seed(100 + seed)
    start = torch.full((count, 1), end)
    return generate(
        target.model, start, max_new_tokens=OPENING, sampling=Sampling(), generator=source
    )


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """What a call returns, and its CPU seconds."""
    started = time.process_time()
    made = call(*arguments, **options)
    return made, time.process_time() - started


def run(target: Any, draft: Any, temperature: float, seed: int) -> list[dict[str, Any]]:
    """All k for one temperature and seed, and the plain way."""
    end = target.tokenizer.special[END]
    sampling = Sampling(temperature=temperature)
    rows = {
        k: {"k": k, "judged": 0, "accepted": 0, "calls": 0, "new": 0, "seconds": 0.0}
        for k in (0, *KS)
    }
    for prompt in prompts(target, COUNT, seed):
        given = {"sampling": sampling, "stop": [end]}
        given["max_new_tokens"] = NEW
        for k, row in rows.items():
            source = torch.Generator().manual_seed(seed)
            given["generator"] = source
            if k == 0:
                text, seconds = timed(generate, target.model, prompt[None], **given)
                row["calls"] += text.shape[1] - len(prompt)
            else:
                models = target.model, draft.model
                made, seconds = timed(speculative_generate, *models, prompt[None], k=k, **given)
                text = made.tokens
                for name in ("judged", "accepted", "calls"):
                    row[name] += getattr(made, name)
            row["new"] += text.shape[1] - len(prompt)
            row["seconds"] += seconds
    return [{"temperature": temperature, "seed": seed, **row} for row in rows.values()]


def main() -> None:
    """Run all, print, store."""
    target, draft = minillm.load("story-gpt"), minillm.load("story-gpt-nano")
    log = Path(__file__).parents[1] / "_build" / "speculative_stories.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    made = {(row["temperature"], row["seed"]) for row in found}
    for seed, temperature in itertools.product(SEEDS, TEMPERATURES):
        if (temperature, seed) in made:
            continue
        rows = run(target, draft, temperature, seed)
        found += rows
        with log.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        print(*rows, sep="\n", flush=True)
    results.store(
        "speculative_stories",
        {"runs": found, "count": COUNT},
        command="python experiments/speculative_stories.py",
        seeds=SEEDS,
        seconds=sum(row["seconds"] for row in found),
        data={"story-gpt": weights(target), "story-gpt-nano": weights(draft)},
    )


if __name__ == "__main__":
    main()

"""What searching for probable text finds, and how text repeats itself.

    python experiments/search_and_repetition.py

Stories: 12 openings of new stories, continued by story-gpt-nano with 1, 4 and 16 beams, by sampling
at temperature 1 and 0.5 (3 seeds), and by the world itself; log-probability and truth test of each.
English: 8 passages of the Bible in Basic English, continued by SmolLM2 with 32 tokens, greedy, and
greedy with a repetition penalty, beside the book itself; log-probability per token under the model
and the share of 4-grams that came before. About 2 minutes on one core; stops and goes on where it
was. Used by the chapter "Generating text".
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from generation_quality import END, weights
from torch import Tensor

import minillm
from minillm import Sampling, beam_search, generate, results
from minillm.corpora import bible
from minillm.corpora.stories import check, stories
from minillm.inference.repetition import Restrained, penalise_repeats

ROOT = Path(__file__).parents[1]
OPENINGS, OPENING, PASSAGES, PROMPT, NEW, SEEDS = 12, 24, 8, 32, 32, (0, 1, 2)
PENALTY = 1.2
Row = dict[str, Any]
Units = Iterator[tuple[str, Callable[[], Iterator[Row]]]]


@torch.no_grad()
def log_probs(model: Any, ids: Tensor, start: int) -> Tensor:
    """Log-probability of each token from `start` on, (B, T - start)."""
    rows = model(ids)[:, start - 1 : -1].log_softmax(-1)
    return rows.gather(2, ids[:, start:, None])[..., 0]


def until(row: list[int], end: int) -> list[int]:
    """The ids up to and with the end token."""
    return row[: row.index(end) + 1] if end in row else row


def new_stories() -> list[str]:
    """Stories of another seed than the training's, whose beginnings serve as openings."""
    return [story.text for story in stories(400, seed=1).train][-OPENINGS:]


def story_units(loaded: Any) -> Units:
    """Every continuation of every opening, in pieces of work."""
    model, tokenizer = loaded.model, loaded.tokenizer
    end = tokenizer.special[END]
    real = [[end, *tokenizer.encode(text), end] for text in new_stories()]
    room = model.config.context_length - OPENING

    def judged(method: str, seed: int, prompt: int, ids: list[int]) -> Row:
        values = log_probs(model, torch.tensor([ids]), OPENING)
        found = check(tokenizer.decode([i for i in ids if i != end]))
        flawless = not found.contradictions and found.unparsed == 0
        return {
            "method": method, "seed": seed, "prompt": prompt, "flawless": flawless,
            "log_prob": round(float(values.sum()), 3), "tokens": values.numel(),
            "ended": ids[-1] == end,
        }  # fmt: skip

    def searched(i: int) -> Iterator[Row]:
        yield judged("the world", 0, i, real[i])
        prompt = torch.tensor([real[i][:OPENING]])
        for n in (1, 4, 16):
            best = beam_search(model, prompt, max_new_tokens=room, n_beams=n, stop=[end])[0]
            name = "greedy" if n == 1 else f"{n} beams"
            yield judged(name, 0, i, [*real[i][:OPENING], *best.tokens.tolist()])

    def drawn(temperature: float, seed: int) -> Iterator[Row]:
        texts = generate(
            model, torch.tensor([ids[:OPENING] for ids in real]), max_new_tokens=room, stop=[end],
            sampling=Sampling(temperature=temperature),
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        for i, row in enumerate(texts.tolist()):
            ids = [*row[:OPENING], *until(row[OPENING:], end)]
            yield judged(f"temperature {temperature:g}", seed, i, ids)

    for i in range(len(real)):
        yield f"opening {i}", partial(searched, i)
    for temperature in (1.0, 0.5):
        for seed in SEEDS:
            yield f"temperature {temperature:g}, seed {seed}", partial(drawn, temperature, seed)


def passages(tokenizer: Any) -> Tensor:
    """Neighbouring verses of the test part, PROMPT + NEW tokens each, (PASSAGES, T)."""
    tokens = torch.tensor(tokenizer.encode(" ".join(v.text for v in bible("bbe").test)))
    length = PROMPT + NEW
    starts = torch.linspace(0, len(tokens) - length, PASSAGES).long()
    return torch.stack([tokens[start : start + length] for start in starts.tolist()])


def repeated(ids: list[int], n: int = 4) -> float:
    """Share of the n-grams of a text that stand in it before."""
    grams = list(zip(*(ids[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams)


def english_units(loaded: Any) -> Units:
    """Every continuation of every passage, one method a piece of work."""
    model, texts = loaded.model, passages(loaded.tokenizer)
    prompts = texts[:, :PROMPT]

    def rows(method: str, seed: int, ids: Tensor) -> Iterator[Row]:
        values = log_probs(model, ids, PROMPT).mean(1)
        for i, row in enumerate(ids.tolist()):
            yield {
                "method": method, "seed": seed, "prompt": i, "log_prob": round(float(values[i]), 4),
                "repeated": round(repeated(row[PROMPT:]), 4), "ids": row[PROMPT:],
            }  # fmt: skip

    def write(name: str, model: Any) -> Iterator[Row]:
        yield from rows(name, 0, generate(model, prompts, max_new_tokens=NEW))

    yield "the book", partial(rows, "the book", 0, texts)
    yield "greedy", partial(write, "greedy", model)
    rule = partial(penalise_repeats, penalty=PENALTY)
    yield f"penalty {PENALTY:g}", partial(write, f"penalty {PENALTY:g}", Restrained(model, rule))


def main() -> None:
    """Make what is not there yet, then store everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, default=ROOT / "_build" / "search_and_repetition.jsonl")
    log = parser.parse_args().log
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = log.read_text().splitlines() if log.exists() else []
    done: dict[str, Row] = {entry["unit"]: entry for entry in map(json.loads, lines)}
    story, smol = minillm.load("story-gpt-nano"), minillm.load("smollm2-135m-instruct")
    for part, units in (("stories", story_units(story)), ("english", english_units(smol))):
        for name, make in units:
            unit = f"{part}: {name}"
            if unit in done:
                continue
            started = time.process_time()
            entry = {"unit": unit, "rows": list(make())}
            entry["seconds"] = round(time.process_time() - started, 1)
            done[unit] = entry
            with log.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            print(unit, entry["seconds"], flush=True)
    found = {
        part: [
            row for unit, entry in done.items() if unit.startswith(part) for row in entry["rows"]
        ]
        for part in ("stories", "english")
    }
    results.store(
        "search_and_repetition",
        {"sizes": {"opening": OPENING, "prompt": PROMPT, "new": NEW}, **found},
        command="python experiments/search_and_repetition.py",
        seeds=SEEDS,
        seconds=sum(entry["seconds"] for entry in done.values()),
        data={
            "story-gpt-nano": weights(story),
            "smollm2-135m-instruct": weights(smol),
            "bible-bbe": " ".join(v.text for v in bible("bbe").test),
            "new stories": "\n".join(new_stories()),
        },
    )


if __name__ == "__main__":
    main()

"""Quality against diversity: stories told under many samplers, judged by the world's truth test.

    python experiments/generation_quality.py

For each setting three seeds of 30 stories by story-gpt-nano. Quality is the share of stories
without a fault (every sentence readable, no contradiction). Diversity is -log q of a story under
the very distribution that it was drawn from, in nats (its mean estimates the entropy of the
sampler), and the share of different sentences among the sentences of 30 stories. At temperature 1.5
two filters are tried once more, since min-p was proposed for high temperatures. Then the cures of
repetition, at temperature 0.7. About 2 minutes on one core; stops and goes on where it was. Used by
the chapter "Generating text".
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import minillm
from minillm import CausalLM, Sampling, apply_filters, results
from minillm.corpora.stories import check, stories
from minillm.inference.repetition import Rule, forbid_repeated_ngrams, penalise_repeats

ROOT = Path(__file__).parents[1]
END, SEEDS, COUNT = "<|endoftext|>", (0, 1, 2), 30
HOT, COOL = 1.5, 0.7
TEMPERATURES = (0.5, 0.7, 1.0, 1.2)
MILD = {"min_p": (0.1, 0.3), "top_p": (0.5, 0.8), "top_k": (2, 5)}
AT_HOT = {"top_p": (0.6,), "min_p": (0.2,)}
PENALTIES, NGRAMS = (1.2,), (3,)


@torch.no_grad()
def tell(
    model: CausalLM, end: int, sampling: Sampling, seed: int, rule: Rule | None = None
) -> list[tuple[list[int], float]]:
    """COUNT stories, each as ids without the end token and -log q; finished rows are dropped."""
    generator = torch.Generator().manual_seed(seed)
    state = model.new_state(COUNT, model.config.context_length)
    text, rows = torch.full((COUNT, 1), end), torch.arange(COUNT)
    written: list[list[int]] = [[] for _ in range(COUNT)]
    nats = torch.zeros(COUNT)
    for _ in range(model.config.context_length - 1):
        logits = model.next_logits(text[:, -1:], state=state)
        if rule is not None:
            logits = rule(logits, text)
        q = apply_filters(logits, sampling).softmax(-1)
        token = torch.multinomial(q, 1, generator=generator)
        over = torch.tensor([ended(written[row], end) for row in rows.tolist()])
        nats[rows] -= torch.where(over, 0.0, q.gather(1, token)[:, 0].log())
        for row, done, new in zip(rows.tolist(), over.tolist(), token[:, 0].tolist(), strict=True):
            if not done:
                written[row].append(new)
        text = torch.cat((text, token), dim=1)
        alive = torch.tensor([not ended(written[row], end) for row in rows.tolist()])
        if not alive.any():
            break
        if alive.float().mean() < 0.9:
            kept = alive.nonzero()[:, 0]
            state.reorder(kept)
            text, rows = text[kept], rows[kept]
    return [
        (ids[:-1] if ended(ids, end) else ids, float(n))
        for ids, n in zip(written, nats, strict=True)
    ]


def ended(ids: list[int], end: int) -> bool:
    """Whether the story has come to its end."""
    return bool(ids) and ids[-1] == end


def judge(texts: list[str]) -> dict[str, Any]:
    """What the truth test says of each story, and how many sentences are different."""
    found = [check(text) for text in texts]
    sentences = [reading.text for one in found for reading in one.readings]
    false, unread = [bool(c.contradictions) for c in found], [c.unparsed > 0 for c in found]
    flawless = [not (a or b) for a, b in zip(false, unread, strict=True)]
    return {
        "flawless": "".join("01"[good] for good in flawless),
        "contradictions": sum(false),
        "unread": sum(unread),
        "distinct": len(set(sentences)) / len(sentences),
        "sentences": len(sentences) / len(texts),
    }


def settings() -> list[tuple[str, str, dict[str, Any]]]:
    """Model, family of settings, and what is set."""
    rows = [("temperature", {"temperature": t}) for t in TEMPERATURES]
    rows += [(name, {name: value}) for name, values in MILD.items() for value in values]
    for name, values in AT_HOT.items():
        rows += [(f"{name}, hot", {"temperature": HOT, name: value}) for value in values]
    rows += [("penalty", {"temperature": COOL, "penalty": p}) for p in PENALTIES]
    rows += [("no repeat", {"temperature": COOL, "n": n}) for n in NGRAMS]
    return [("story-gpt-nano", *row) for row in rows]


def make_rule(given: dict[str, Any]) -> Rule | None:
    """The rule about the text so far that a setting asks for."""
    if "penalty" in given:
        return partial(penalise_repeats, penalty=given["penalty"])
    return partial(forbid_repeated_ngrams, n=given["n"]) if "n" in given else None


def run(loaded: Any, family: str, given: dict[str, Any], seed: int) -> dict[str, Any]:
    """One setting with one seed."""
    end = loaded.tokenizer.special[END]
    own = {key: value for key, value in given.items() if key not in {"penalty", "n"}}
    told = tell(loaded.model, end, Sampling(**own), seed, make_rule(given))
    judged = judge([loaded.tokenizer.decode(ids) for ids, _ in told])
    return {
        "family": family, "setting": given, "seed": seed, **judged,
        "nats": [round(nats, 1) for _, nats in told],
        "tokens": sum(len(ids) for ids, _ in told) / COUNT,
    }  # fmt: skip


def weights(loaded: Any) -> bytes:
    """Bytes that are those of this training run alone."""
    first: Tensor = loaded.model.transformer.embedding.token.weight.detach()
    return first.numpy().tobytes()


def main() -> None:
    """Run what is not there yet, then store everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, default=ROOT / "_build" / "generation_quality.jsonl")
    log = parser.parse_args().log
    log.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    loaded = {name: minillm.load(name) for name in ("story-gpt-nano",)}
    made = {(r["model"], r["family"], str(r["setting"]), r["seed"]) for r in done}
    for model, family, given in settings():
        for seed in SEEDS:
            if (model, family, str(given), seed) in made:
                continue
            started = time.process_time()
            row = {"model": model, **run(loaded[model], family, given, seed)}
            row["seconds"] = round(time.process_time() - started, 1)
            done.append(row)
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                seed, model, family, given, row["flawless"].count("1"), row["seconds"], flush=True
            )
    real = stories(400, seed=1).train[: 3 * COUNT]
    world = [judge([s.text for s in real[i : i + COUNT]]) for i in range(0, len(real), COUNT)]
    results.store(
        "generation_quality",
        {
            "runs": [{k: v for k, v in row.items() if k != "seconds"} for row in done],
            "world": {"nats": [round(story.nats, 1) for story in real], "parts": world},
        },
        command="python experiments/generation_quality.py",
        seeds=SEEDS,
        seconds=sum(row["seconds"] for row in done),
        data={name: weights(one) for name, one in loaded.items()},
    )


if __name__ == "__main__":
    main()

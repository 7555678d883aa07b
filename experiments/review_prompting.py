"""Let a small language model judge film reviews without training it, by prompting.

    python experiments/review_prompting.py

SmolLM2-135M-Instruct reads a review and two possible answers are compared: z is the log of the
probability of " positive" minus that of " negative" as the next token. Two prompts without
examples, one with eight examples in three draws. The same difference for texts without content
("N/A", "-", "") says what the prompt alone prefers. Stored is z for each of the first 200 test
texts. Used by the chapter "Classification, sentiment, moderation".
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from review_vectors import clear, everything

import minillm
from minillm import results
from minillm.corpora import reviews

TEXTS, EXAMPLES, DRAWS, BATCH = 200, 8, (0, 1, 2), 10
ANSWERS = (" negative", " positive")
EMPTY = ("N/A", "-", "")
QUESTION = "Is this sentence from a film review positive or negative?"


def plain(text: str) -> str:
    """A form to be filled in."""
    return f"Review: {text}\nSentiment (positive or negative):"


def as_chat(text: str) -> str:
    """A question to the assistant that the model was tuned to be."""
    return (
        f"<|im_start|>user\n{QUESTION}\n{text}<|im_end|>\n<|im_start|>assistant\nThis sentence is"
    )


@torch.inference_mode()
def preferences(loaded: minillm.Loaded, start: str, prompts: list[str]) -> list[float]:
    """Return z of every prompt, each read after the same `start`, which is read only once."""
    model, tokenizer = loaded.model, loaded.tokenizer
    ids = [tokenizer.encode(prompt, allow_special=True) for prompt in prompts]
    before = tokenizer.encode(start) if start else []
    negative, positive = (tokenizer.encode(answer)[0] for answer in ANSWERS)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    state = model.new_state(1, len(before) + len(ids[order[-1]]))
    if before:
        model.transformer(torch.tensor([before]), state=state)
    state.reorder(torch.zeros(BATCH, dtype=torch.long))  # the same start in every row
    z = [0.0] * len(ids)
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        filled = rows + rows[:1] * (BATCH - len(rows))  # the cache has a fixed number of rows
        width = len(ids[rows[-1]])
        tokens = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in filled])
        state.truncate(len(before))
        hidden = model.transformer(tokens, state=state)  # padding on the right: never looked at
        last = hidden[range(BATCH), [len(ids[i]) - 1 for i in filled]]
        log_p = model.lm_head(last).double().log_softmax(-1)
        for row, i in enumerate(rows):
            z[i] = round(float(log_p[row, positive] - log_p[row, negative]), 4)
    return z


def examples(texts: list[str], labels: np.ndarray, seed: int) -> str:
    """Eight training reviews with their answers, half of them positive, in random order."""
    rng = np.random.default_rng(seed)
    half = EXAMPLES // 2
    rows = [i for label in (0, 1) for i in rng.permutation(np.flatnonzero(labels == label))[:half]]
    return "".join(f"{plain(texts[i])}{ANSWERS[labels[i]]}\n\n" for i in rng.permutation(rows))


def main() -> int:
    """Ask in five ways, and write the file when all are done."""
    parser = argparse.ArgumentParser(description="Let a language model judge film reviews.")
    parser.add_argument("--partial", type=Path, help="a file that keeps what is done so far")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no part after this")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = reviews("movies")
    parts = [clear(part) for part in (corpus.train, corpus.validation, corpus.test)]
    done = json.loads(args.partial.read_text()) if args.partial and args.partial.exists() else {}
    before = done.pop("seconds", 0.0)
    texts, loaded = parts[2][0][:TEXTS], minillm.load("smollm2-135m-instruct")
    asked: dict[str, Any] = {"form": (plain, ""), "chat": (as_chat, "")}
    for seed in DRAWS:
        asked[f"eight examples, draw {seed}"] = (plain, examples(*parts[0], seed))
    for name, (form, start) in asked.items():
        if name in done:
            continue
        if time.process_time() > args.seconds:
            return 1
        z = preferences(loaded, start, [form(text) for text in (*texts, *EMPTY)])
        done[name] = {"z": z[:TEXTS], "without_content": z[TEXTS:]}
        right = (np.array(z[:TEXTS]) > 0) == parts[2][1][:TEXTS]
        seconds = before + time.process_time()
        print(name, right.mean(), z[TEXTS:], round(seconds), flush=True)
        if args.partial:
            args.partial.write_text(json.dumps(done | {"seconds": seconds}), encoding="utf-8")
    results.store(
        "classification_prompting",
        {"model": "smollm2-135m-instruct", "empty": EMPTY, "asked": done},
        command="python experiments/review_prompting.py",
        seeds=DRAWS,
        seconds=before + time.process_time(),
        data={"reviews": everything(parts)},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Judge the story models: loss against simpler ones, stories against the world's rules.

    python experiments/story_models.py

The recurrent baseline is trained first, unless its run is there (about an hour on one core).

Every model is scored on the same tokens, in windows of its context: on new stories about the plots
and things of the training part (another seed), and on the test part, whose pairs of plot and thing
no training story has. Then each tells 500 stories at temperature 1, and 500 at temperature 0.5,
which the truth test of `minillm.corpora.stories` reads. The world's own stories are judged too; its
bound says how low the loss on its stories can be (the bound is that of a model that may expect
every pair).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from train_stories import CONTEXT, END, STORIES, as_tokens
from train_stories import train as train_one

import minillm
from minillm import NGramLM, Sampling, TokenWindows
from minillm.corpora.stories.corpus import stories
from minillm.corpora.stories.truth import check

ROOT = Path(__file__).parents[1]

OUT = ROOT / "src" / "minillm" / "results" / "story_models.json"
WINDOWS = 128
BATCH = 50
FRESH = 3000
COOL = 0.5


@torch.no_grad()
def loss(model: Any, held: Tensor) -> float:
    """Mean −log p per token of the first windows of the test part."""
    if isinstance(model, NGramLM):
        return -float(model.log_probs(held[: WINDOWS * CONTEXT + 1])[1:].mean())
    data = TokenWindows(held, CONTEXT).sequential()
    batches = [data.batch(i, 16) for i in range(WINDOWS // 16)]
    sums = [minillm.lm_loss(model, batch) for batch in batches]
    return sum(float(total) for total, _ in sums) / sum(count for _, count in sums)


def tell(
    model: Any, tokenizer: minillm.BPETokenizer, count: int, temperature: float = 1.0
) -> list[str]:
    """Let a model tell stories, each from an end token to the next."""
    end = tokenizer.special[END]
    generator, texts = torch.Generator().manual_seed(0), []
    for _ in range(count // BATCH):
        ids = minillm.generate(
            model,
            torch.full((BATCH, 1), end),
            max_new_tokens=CONTEXT - 1,
            sampling=Sampling(temperature=temperature),
            stop=[end],
            generator=generator,
        )
        for row in ids[:, 1:].tolist():
            length = row.index(end) if end in row else len(row)
            texts.append(tokenizer.decode(row[:length]))
    return texts


def judge(texts: list[str], known: set[str]) -> dict[str, float]:
    """Shares of stories without a contradiction, without an unknown sentence, with neither."""
    found = [check(text) for text in texts]
    true = [not c.contradictions for c in found]
    read = [c.unparsed == 0 for c in found]
    return {
        "no_contradiction": sum(true) / len(texts),
        "every_sentence_read": sum(read) / len(texts),
        "flawless": sum(a and b for a, b in zip(true, read, strict=True)) / len(texts),
        "unread_characters": sum(c.unparsed for c in found) / len(texts),
        "copies_of_training": sum(text in known for text in texts) / len(texts),
    }


def main() -> None:
    """Score and judge all models, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--runs", type=Path, default=ROOT / "_build" / "runs")
    options = parser.parse_args()
    corpus = stories(STORIES)
    gpt, nano = minillm.load("story-gpt"), minillm.load("story-gpt-nano")
    tokenizer = gpt.tokenizer
    keys, train = {story.key for story in corpus.train}, as_tokens(tokenizer, corpus.train)
    fresh = [story for story in stories(FRESH, seed=1).train if story.key in keys]
    held = {"loss": fresh, "loss_on_new_pairs": corpus.test}
    tokens = {name: as_tokens(tokenizer, part) for name, part in held.items()}
    five = NGramLM(tokenizer.vocab_size, 5, smoothing="kneser_ney").fit(train)
    models = {"5-gram": five, "LSTM": train_one("story-lstm", options.runs).model.eval()}
    models |= {"story-gpt-nano": nano.model, "story-gpt": gpt.model}
    known, rows = {story.text for story in corpus.train}, []
    for name, model in models.items():
        started = time.process_time()
        texts = tell(model, tokenizer, options.samples)
        size = sum(model.entries) if isinstance(model, NGramLM) else minillm.count_parameters(model)
        losses = {key: loss(model, ids) for key, ids in tokens.items()}
        row = {"model": name, "numbers": size, **losses, **judge(texts, known)}
        row["cool"] = judge(tell(model, tokenizer, options.samples, COOL), known)
        rows.append(row | {"seconds": round(time.process_time() - started), "sample": texts[0]})
        print(rows[-1], flush=True)
    bounds = {key: sum(s.nats for s in held[key]) / (len(ids) - 1) for key, ids in tokens.items()}
    real = [story.text for story in fresh[: options.samples]]
    rows.append({"model": "the world itself", **bounds, **judge(real, known)})
    print(rows[-1])
    result = {
        "made_by": "python experiments/story_models.py", "minillm": minillm.__version__,
        "torch": torch.__version__, "samples": options.samples,
        "tokens_scored": WINDOWS * CONTEXT, "rows": rows,
    }  # fmt: skip
    OUT.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Fine-tune story-gpt-nano as a language model on the King James Bible: what it learns and forgets.

    python experiments/finetuning_verses.py

All weights, LoRA of several ranks, and all weights with stories mixed in. Each peak of the learning
rate is chosen on validation verses with seed 0 (with stories mixed in it is that of all weights);
then come three seeds, judged on test verses and on test stories, and three of all weights at their
lowest rate. About 4 minutes on one core; stops and goes on where it was. Used by the chapter
"Fine-tuning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from finetuning import (
    ALL_LINEAR,
    SEEDS,
    STEPS,
    Bench,
    Run,
    adamw,
    finished,
    lm_nats,
    log_file,
    swept,
    update,
    windows,
)

from minillm import add_lora, results
from minillm.corpora import bible
from minillm.corpora.stories import stories

RATES = {"full": (1e-3, 3e-3, 1e-2, 3e-2), "lora": (3e-3, 1e-2, 3e-2, 1e-1)}
RANKS, WINDOW, VERSE_BATCH = (1, 64), 64, 4


class Verses:
    """Windows of verses for training, validation and test, and as many of stories."""

    def __init__(self, tokenizer: Any, told: Sequence[str]) -> None:
        corpus = bible("kjv")
        kept = (corpus.train[:3000], corpus.validation[:400], corpus.test[:400])
        texts = [" ".join(verse.text for verse in part) for part in kept]
        many = STEPS * VERSE_BATCH
        counts = (many, 64, 64)
        self.fingerprint = "\n".join(texts)
        self.parts = [
            windows(tokenizer, [text], n, WINDOW) for text, n in zip(texts, counts, strict=True)
        ]
        self.stories = windows(tokenizer, told, many, WINDOW)


def read_verses(b: Bench, v: Verses, method: str, rate: float, seed: int) -> Run:
    """Next-token training on verses; "mixed" takes a quarter of each batch from stories."""
    torch.manual_seed(seed)
    model = deepcopy(b.base)
    if method.startswith("lora"):
        add_lora(model, rank=int(method.split()[1]), targets=ALL_LINEAR)
    optimizer, order = adamw(model), torch.randperm(len(v.parts[0]))
    for step in range(STEPS):
        rows = order[step * VERSE_BATCH : (step + 1) * VERSE_BATCH]
        batch = v.parts[0][rows]
        if method == "mixed":
            batch = torch.cat([batch[: -VERSE_BATCH // 4], v.stories[rows[-VERSE_BATCH // 4 :]]])
        logits = model(batch[:, :-1])
        update(optimizer, F.cross_entropy(logits.mT, batch[:, 1:]), step, rate)
    nats = [lm_nats(model.transformer, model, part) for part in (*v.parts[1:], b.old)]
    names = ("error", "test", "old")
    row = {"method": method, "rate": rate, "seed": seed}
    return row | dict(zip(names, nats, strict=True))


def plan(b: Bench, v: Verses, done: Run) -> dict[str, Callable[[], Any]]:
    """Every set of runs by name; what needs a chosen rate comes when it is there."""

    def runs(method: str, rates: Sequence[float]) -> Run:
        return swept(lambda rate, seed: read_verses(b, v, method, rate, seed), rates)

    made: dict[str, Callable[[], Any]] = {"full": lambda: runs("full", RATES["full"])}
    for rank in RANKS:
        made[f"lora {rank}"] = lambda r=rank: runs(f"lora {r}", RATES["lora"])
    made["mixed"] = lambda: runs("mixed", [done["full"]["runs"][0]["rate"]])
    made["gentle"] = lambda: runs("full", RATES["full"][:1])
    return made


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "finetuning_verses")
    b = Bench()
    v = Verses(b.tokenizer, [story.text for story in stories(1500, seed=1).train])
    made, seconds = finished(log, lambda done: plan(b, v, done))
    before = [lm_nats(b.base.transformer, b.base, part) for part in (v.parts[2], b.old)]
    results.store(
        "finetuning_verses",
        {"before": dict(zip(("test", "old"), before, strict=True)), **made},
        command="python experiments/finetuning_verses.py",
        seeds=SEEDS,
        seconds=seconds,
        data={"verses": v.fingerprint, "nano": b.weights},
    )


if __name__ == "__main__":
    main()

"""Fine-tune the upper blocks of MiniLM on film reviews, from the classifier on frozen vectors.

    python experiments/review_finetuning.py

The lower four blocks stay frozen, so what they say of each text is computed once. The head starts
as the logistic regression on MiniLM's vectors; before the first update the model therefore is the
frozen reader. Rates are compared with 2,000 texts and one seed; the best goes on with two more
seeds, with three draws of 300 texts, and once with all texts.
Used by the chapter "Classification, sentiment, moderation".
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from review_vectors import Texts, chosen, clear, everything, fitted, judgement, swept
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import minillm
from minillm import results
from minillm.corpora import reviews

BLOCKS, BATCH, SEEDS, RATES = 2, 32, (0, 1, 2), (3e-5, 1e-4, 3e-4)
STRENGTHS = (1.0, 3.0, 10.0, 30.0)
Rows = list[Tensor]
Run = dict[str, Any]


class Upper(nn.Module):
    """The last blocks of an encoder, the mean over the text, and one logit."""

    def __init__(self, blocks: nn.ModuleList, head: LogisticRegression | None = None) -> None:
        super().__init__()
        self.blocks = deepcopy(blocks)
        self.head = nn.Linear(384, 1)
        if head is not None:
            self.head.weight.data.copy_(torch.tensor(head.coef_))
            self.head.bias.data.copy_(torch.tensor(head.intercept_))

    def vectors(self, x: Tensor, mask: Tensor) -> Tensor:
        """Hidden vectors (B, T, D) of the frozen part to one of length 1 for each text."""
        for block in self.blocks:
            x = block(x, mask=mask[:, None, None, :])
        return F.normalize(minillm.mean_pool(x, mask), dim=-1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return z (B,), the logit of "positive"."""
        return self.head(self.vectors(x, mask))[:, 0]


def padded(rows: Rows) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as one tensor, and which places are real."""
    lengths = torch.tensor([len(row) for row in rows])
    x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return x, torch.arange(x.shape[1]) < lengths[:, None]


@torch.no_grad()
def lower(mini: minillm.Loaded, texts: list[str]) -> Rows:
    """What the frozen blocks say of each token of each text."""
    transformer, found = mini.model, []
    for text in texts:
        tokens = torch.tensor([mini.tokenizer.encode(text)[:128]])
        x = transformer.embedding(tokens, torch.arange(tokens.shape[1]))
        for block in transformer.blocks[:-BLOCKS]:
            x = block(x)
        found.append(x[0])
    return found


@torch.no_grad()
def over(model: Any, rows: Rows) -> np.ndarray:
    """What `model` gives for all rows, in their order."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    parts = [order[i : i + 64] for i in range(0, len(order), 64)]
    found = torch.cat([model(*padded([rows[i] for i in part])) for part in parts])
    return found[torch.tensor(order).argsort()].double().numpy()


def batches(rows: Rows, which: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """One round: texts of similar length together, which spares padding; batches in any order."""
    noise = rng.normal(0, 3, len(which))
    order = which[np.argsort([len(rows[i]) for i in which] + noise)]
    cut = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    return [cut[i] for i in rng.permutation(len(cut))]


def tune(model: Upper, rows: Rows, y: Tensor, which: np.ndarray, run: Run) -> Upper:
    """Train for some rounds with AdamW, the rate falling to 0 in a straight line."""
    rng = np.random.default_rng(run["seed"])
    todo = [batch for _ in range(run["rounds"]) for batch in batches(rows, which, rng)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=run["rate"], weight_decay=0.01)
    for step, batch in enumerate(todo):
        warm = min(1.0, (step + 1) / (0.1 * len(todo)))
        optimizer.param_groups[0]["lr"] = run["rate"] * warm * (1 - step / len(todo))
        x, mask = padded([rows[i] for i in batch])
        loss = F.binary_cross_entropy_with_logits(model(x, mask), y[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def attempt(data: Run, which: np.ndarray, *, blocks: int = BLOCKS, **run: Any) -> Run:
    """One run: the frozen reader fitted to the texts `which`, then tuned on the same texts."""
    labels = [data["labels"][0][which], *data["labels"][1:]]
    cut = [data["vectors"][0][which], *data["vectors"][1:]]
    best = chosen(swept(LogisticRegression, cut, labels, STRENGTHS), "loss")
    head = fitted(LogisticRegression, best["setting"], cut[0], labels[0])
    model = Upper(data["blocks"], head)
    for block in model.blocks[: BLOCKS - blocks]:
        block.requires_grad_(False)
    y = torch.tensor(data["labels"][0]).float()
    tune(model, data["rows"][0], y, which, run)
    row = run | {"blocks": blocks, "texts": len(which), "frozen": {}, "tuned": {}}
    for i, name in ((1, "validation"), (2, "test")):
        z = over(model, data["rows"][i])
        row["tuned"][name] = judgement(1 / (1 + np.exp(-z)), labels[i])
        row["frozen"][name] = best[name]
        if len(which) == len(y) and blocks == BLOCKS:
            row[f"z_{name}"] = z.round(3).tolist()
    print({k: v for k, v in row.items() if k[:2] != "z_"}, flush=True)
    return row


def tiny(data: Run) -> Run:
    """Four updates on the first 64 texts at once, which the chapter does again."""
    labels = data["labels"]
    best = chosen(swept(LogisticRegression, data["vectors"], labels, STRENGTHS), "loss")
    head = fitted(LogisticRegression, best["setting"], data["vectors"][0], labels[0])
    model = Upper(data["blocks"], head)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    (x, mask), y = padded(data["rows"][0][:64]), torch.tensor(labels[0][:64]).float()
    losses = []
    for _ in range(5):
        loss = F.binary_cross_entropy_with_logits(model(x, mask), y)
        losses.append(round(loss.item(), 4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"C": best["setting"], "losses": losses}


def prepared(parts: list[Texts], path: Path | None) -> Run:
    """Hidden vectors of all texts below the last blocks, and the vectors; from `path` if there."""
    mini = minillm.load("minilm-l6")
    blocks = mini.model.blocks[-BLOCKS:]
    if path and path.exists():
        rows, tensors = torch.load(path, weights_only=True)
        vectors = [tensor.numpy() for tensor in tensors]
    else:
        rows = [lower(mini, texts) for texts, _ in parts]
        vectors = [over(Upper(blocks).vectors, part) for part in rows]
        if path:
            torch.save((rows, [torch.from_numpy(part) for part in vectors]), path)
    return {"labels": [y for _, y in parts], "rows": rows, "blocks": blocks, "vectors": vectors}


def plan(data: Run, done: Run) -> dict[str, Callable[[], Run]]:
    """All runs by name; those that need the best rate come when the rates are there."""
    every = np.arange(len(data["labels"][0]))
    some = np.random.default_rng(0).permutation(every)[:2000]
    runs: dict[str, Callable[[], Run]] = {"tiny": lambda: tiny(data)}
    rates = {
        f"rate {rate}": lambda r=rate: attempt(data, some, rate=r, rounds=1, seed=0)
        for rate in RATES
    }
    runs |= rates
    if not all(name in done for name in rates):
        return runs
    best = min((done[name] for name in rates), key=lambda r: r["tuned"]["validation"]["loss"])
    rate = best["rate"]
    for seed in SEEDS:
        few = np.random.default_rng(seed).permutation(every)[:300]
        runs[f"few {seed}"] = lambda w=few, s=seed: attempt(data, w, rate=rate, rounds=3, seed=s)
    for seed in SEEDS[1:]:
        runs[f"some {seed}"] = lambda s=seed: attempt(data, some, rate=rate, rounds=1, seed=s)
    runs["all 0"] = lambda: attempt(data, every, rate=rate, rounds=1, seed=0)
    return runs


def main() -> int:
    """Do the runs that the partial file lacks, and write the file when all are done."""
    parser = argparse.ArgumentParser(description="Fine-tune MiniLM on film reviews.")
    parser.add_argument("--hidden", type=Path, help="a file that keeps the frozen hidden vectors")
    parser.add_argument("--partial", type=Path, help="a file that keeps what is done so far")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no run after this")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = reviews("movies")
    parts: list[Texts] = [clear(p) for p in (corpus.train, corpus.validation, corpus.test)]
    done = json.loads(args.partial.read_text()) if args.partial and args.partial.exists() else {}
    before = done.pop("seconds", 0.0)
    data = prepared(parts, args.hidden)
    while missing := [name for name in plan(data, done) if name not in done]:
        if time.process_time() > args.seconds:
            return 1
        done[missing[0]] = plan(data, done)[missing[0]]()
        seconds = before + time.process_time()
        print(missing[0], "after", round(seconds), "seconds", flush=True)
        if args.partial:
            args.partial.write_text(json.dumps(done | {"seconds": seconds}), encoding="utf-8")
    results.store(
        "classification_finetuning",
        {"runs": done},
        command="python experiments/review_finetuning.py",
        seeds=SEEDS,
        seconds=before + time.process_time(),
        data={"reviews": everything(parts)},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

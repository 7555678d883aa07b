"""Judge readers of film reviews: counts, naive Bayes, MiniLM's vectors, a Transformer of our own.

    python experiments/review_vectors.py [--vectors FILE]

Every reader gets its one setting (smoothing, C, rate and rounds) from validation texts. Stored are

- ``sweep``: loss and accuracy on validation and test for each setting, with the chapter's split;
- ``folds``: ten-fold cross-validation over all clear reviews, which bit says whether a reader was
  right about a text; a tenth is the test, another one chooses the setting, eight are trained on;
- ``by_labels``: the accuracy with fewer labels, five draws each;
- ``transformer``: the sweep of rates, then three seeds for two rounds and for six;
- ``minilm``: the linear head on MiniLM's vectors, and what it says of validation and test texts.

The vectors are 14 MB and are not kept, unless a file is named for them, which is then read next
time. Used by the chapter "Classification, sentiment, moderation".
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

import minillm
from minillm import results
from minillm.corpora import Review, reviews

SIZES, DRAWS, SEEDS, FOLDS = (50, 100, 200, 400, 1000, 3000), 5, (0, 1, 2), 10
SMOOTHINGS = (0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
RATES = (3e-4, 1e-3, 3e-3)
Texts = tuple[list[str], np.ndarray]
Run = dict[str, Any]
BY_COUNTS = {
    "naive Bayes": (CountVectorizer, {}, MultinomialNB),
    "naive Bayes, pairs": (CountVectorizer, {"ngram_range": (1, 2)}, MultinomialNB),
    "word counts": (TfidfVectorizer, {}, LogisticRegression),
    "word counts, pairs": (TfidfVectorizer, {"ngram_range": (1, 2)}, LogisticRegression),
}


def clear(part: tuple[Review, ...]) -> Texts:
    """Texts whose mean score is at least 1 either way, shuffled as in the chapter; 1 = positive."""
    kept = [review for review in part if abs(review.score) >= 1]
    kept = [kept[i] for i in np.random.default_rng(0).permutation(len(kept))]
    return [r.text for r in kept], np.array([int(r.score > 0) for r in kept])


def everything(parts: list[Texts]) -> str:
    """All texts as one, for the fingerprint of the record."""
    return "\n".join(text for texts, _ in parts for text in texts)


def words(text: str) -> list[str]:
    """Words and single marks, in small letters."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def nll(p: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log P(label), in nats per text."""
    return float(-np.log(np.where(labels == 1, p, 1 - p).clip(1e-9)).mean())


def fitted(kind: type, setting: float, x: Any, y: np.ndarray) -> Any:
    """A linear classifier with one setting."""
    if kind is MultinomialNB:
        return MultinomialNB(alpha=setting).fit(x, y)
    return LogisticRegression(C=setting, max_iter=5000).fit(x, y)


def swept(kind: type, x: list[Any], y: list[np.ndarray], settings: Any) -> list[Run]:
    """Loss and accuracy on validation and test, one row for each setting."""
    rows = []
    for setting in settings:
        model, row = fitted(kind, setting, x[0], y[0]), {"setting": setting}
        for name, features, labels in zip(("validation", "test"), x[1:], y[1:], strict=True):
            p = model.predict_proba(features)[:, 1]
            right = (p > 0.5) == labels
            row[name] = {"loss": round(nll(p, labels), 4), "accuracy": round(right.mean(), 4)}
        rows.append(row | {"p": p})
    return rows


def settings_of(kind: type) -> tuple[float, ...]:
    """What is tried on validation texts."""
    return SMOOTHINGS if kind is MultinomialNB else STRENGTHS


def chosen(rows: list[Run], by: str = "accuracy") -> Run:
    """The row that is best on validation texts; of equals, the first."""
    sign = -1 if by == "accuracy" else 1
    return min(rows, key=lambda row: sign * row["validation"][by])


def features_of(name: str, parts: list[Texts], vectors: list[np.ndarray]) -> tuple[type, list[Any]]:
    """The kind of classifier and its inputs for training, validation and test."""
    if name == "MiniLM":
        return LogisticRegression, vectors
    make, options, kind = BY_COUNTS[name]
    vectorizer = make(**options).fit(parts[0][0])
    return kind, [vectorizer.transform(texts) for texts, _ in parts]


def sweep(parts: list[Texts], vectors: list[np.ndarray]) -> Run:
    """Every reader with every setting on the chapter's split."""
    found = {}
    for name in (*BY_COUNTS, "MiniLM"):
        kind, x = features_of(name, parts, vectors)
        rows = swept(kind, x, [y for _, y in parts], settings_of(kind))
        found[name] = [{k: v for k, v in row.items() if k != "p"} for row in rows]
        print(name, {by: chosen(rows, by)["setting"] for by in ("loss", "accuracy")}, flush=True)
    return found


def linear_head(parts: list[Texts], vectors: list[np.ndarray], rows: list[Run]) -> Run:
    """The head on MiniLM's vectors with the C of the lowest validation loss, and what it says."""
    strength = chosen(rows, "loss")["setting"]
    head = fitted(LogisticRegression, strength, vectors[0], parts[0][1])
    weight, bias = head.coef_[0].round(5).tolist(), round(float(head.intercept_[0]), 5)
    says = [head.predict_proba(x)[:, 1].round(4).tolist() for x in vectors[1:]]
    return {"weight": weight, "bias": bias, "C": strength, "validation": says[0], "test": says[1]}


def cut_for(number: int, parts: list[Texts]) -> tuple[list[np.ndarray], list[Texts]]:
    """Which of all texts are for training, validation and test in one of ten folds, and they."""
    texts, labels = [text for part, _ in parts for text in part], [y for _, y in parts]
    tenth = np.random.default_rng(1).permutation(len(texts)) % FOLDS
    held, test = tenth == (number + 1) % FOLDS, tenth == number
    which = [np.flatnonzero(mask) for mask in (~(held | test), held, test)]
    return which, [([texts[i] for i in w], np.concatenate(labels)[w]) for w in which]


def fold(number: int, parts: list[Texts], vectors: list[np.ndarray]) -> Run:
    """One of ten folds: the settings, and for each of its texts whether each reader was right."""
    which, cut = cut_for(number, parts)
    stacked, picked, right = np.concatenate(vectors), {}, {}
    for name in (
        "naive Bayes",
        "naive Bayes, pairs",
        "word counts",
        "word counts, pairs",
        "MiniLM",
    ):
        kind, x = features_of(name, cut, [stacked[w] for w in which])
        best = chosen(swept(kind, x, [y for _, y in cut], settings_of(kind)))
        picked[name], right[name] = best["setting"], (best["p"] > 0.5) == cut[2][1]
    print(number, {n: round(r.mean(), 4) for n, r in right.items()}, flush=True)
    rows = {name: row.astype(int).tolist() for name, row in right.items()}
    return {"settings": picked, "texts": which[2].tolist(), "right": rows}


def joined(folds: list[Run]) -> Run:
    """All folds: the settings by fold, and one bit for every text and reader."""
    names = list(folds[0]["right"])
    right = {name: np.zeros(sum(len(f["texts"]) for f in folds), np.uint8) for name in names}
    for one in folds:
        for name in names:
            right[name][one["texts"]] = one["right"][name]
    settings = {name: [one["settings"][name] for one in folds] for name in folds[0]["settings"]}
    bits = {name: np.packbits(row).tobytes().hex() for name, row in right.items()}
    return {"settings": settings, "right": bits}


def with_labels(size: int, parts: list[Texts], vectors: list[np.ndarray]) -> Run:
    """Test accuracy with `size` labels, mean and spread over draws; settings from validation."""
    every, found = len(parts[0][0]), {}
    for draw in range(DRAWS if size < every else 1):
        i = np.random.default_rng(draw).permutation(every)[:size]
        cut = [([parts[0][0][k] for k in i], parts[0][1][i]), *parts[1:]]
        for name in ("naive Bayes, pairs", "word counts", "MiniLM"):
            kind, x = features_of(name, cut, [vectors[0][i], *vectors[1:]])
            best = chosen(swept(kind, x, [y for _, y in cut], settings_of(kind)))
            found.setdefault(name, []).append(best["test"]["accuracy"])
    spread = {name: [np.mean(f).round(4), np.std(f).round(4)] for name, f in found.items()}
    print(size, spread, flush=True)
    return {"labels": size, **spread}


def labelled(parts: list[Texts]) -> tuple[list[minillm.LabelledTexts], int]:
    """The texts as ids of words that training has twice, and the number of ids."""
    counts = Counter(word for text in parts[0][0] for word in words(text))
    known = [word for word, n in counts.items() if n > 1]
    ids = {word: i for i, word in enumerate(("<pad>", "<unknown>", *known))}
    found = []
    for texts, labels in parts:
        rows = [[ids.get(word, 1) for word in words(text)] for text in texts]
        found.append(minillm.LabelledTexts(rows, labels.tolist(), max_length=64))
    return found, len(ids)


def judgement(p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss, accuracy and mean confidence of probabilities."""
    sure = np.maximum(p, 1 - p).mean()
    values = {"loss": nll(p, labels), "accuracy": ((p > 0.5) == labels).mean(), "confidence": sure}
    return {name: round(float(value), 4) for name, value in values.items()}


@torch.inference_mode()
def probability(model: minillm.SequenceClassifier, data: minillm.LabelledTexts) -> np.ndarray:
    """P(positive) for every text."""
    with minillm.eval_mode(model):
        batches = data.all().split(128)
        logits = torch.cat([model(b.inputs, mask=b.mask) for b in batches])
    return logits.double().softmax(-1)[:, 1].numpy()


def judged(model: minillm.SequenceClassifier, data: minillm.LabelledTexts) -> dict[str, float]:
    """Loss, accuracy and mean confidence on a data set."""
    return judgement(probability(model, data), data.labels.numpy())


def transformer(parts: list[Texts], epochs: int, seed: int, rate: float) -> tuple[Any, Any, Any]:
    """The chapter's Transformer: rows after every round; the model; the test data."""
    (train, validation, test), vocabulary = labelled(parts)
    torch.manual_seed(seed)
    config = minillm.ModelConfig(
        vocab_size=vocabulary,
        context_length=64,
        d_model=64,
        n_layers=1,
        n_heads=4,
        dropout=0.3,
        causal=False,
    )
    model, per_epoch = minillm.SequenceClassifier(config, 2), len(train) // 32
    settings = minillm.TrainConfig(
        steps=epochs * per_epoch, batch_size=32, lr=rate, warmup_steps=20, seed=seed
    )
    trainer = minillm.Trainer(model, settings, train, loss=minillm.classification_loss)
    rows = []
    for epoch in range(1, epochs + 1):
        losses = [record.loss for record in trainer.fit(per_epoch)][-per_epoch:]
        held_out = {"validation": judged(model, validation), "test": judged(model, test)}
        rows.append({"epoch": epoch, "train_loss": round(float(np.mean(losses)), 4), **held_out})
    return rows, model, test


def rates(parts: list[Texts]) -> list[Run]:
    """Rates for one and for two rounds, with one seed."""
    return [
        {"rate": rate, "rounds": n, **transformer(parts, n, 0, rate)[0][-1]}
        for n in (1, 2)
        for rate in RATES
    ]


def read(parts: list[Texts], path: Path | None) -> list[np.ndarray]:
    """MiniLM's vectors of all texts, from `path` if they are there."""
    if path and path.exists():
        with np.load(path) as kept:
            return [kept[f"arr_{i}"] for i in range(len(parts))]
    mini = minillm.load("minilm-l6")
    found = [minillm.sentence_vectors(mini.model, mini.tokenizer, texts) for texts, _ in parts]
    vectors = [v.double().numpy() for v in found]  # double: short numbers in the file
    if path:
        np.savez(path, *vectors)
    return vectors


def finished(parts: list[Texts], path: Path | None, done: Run, keep: Any) -> bool:
    """Do what is missing in `done`, part by part; stop when `keep` says so."""
    vectors = read(parts, path)

    def step(name: str, compute: Any) -> bool:
        if name in done:
            return True
        done[name] = json.loads(json.dumps(compute(), default=float))
        return bool(keep(name))

    if not (
        step("sweep", lambda: sweep(parts, vectors))
        and step("minilm", lambda: linear_head(parts, vectors, done["sweep"]["MiniLM"]))
    ):
        return False
    todo = {f"fold {n}": lambda n=n: fold(n, parts, vectors) for n in range(FOLDS)}
    for size in (*SIZES, len(parts[0][0])):
        todo[f"labels {size}"] = lambda size=size: with_labels(size, parts, vectors)
    todo["rates"] = lambda: rates(parts)
    if not all(step(name, compute) for name, compute in todo.items()):
        return False
    best = min(done["rates"], key=lambda row: row["validation"]["loss"])
    rate, n = best["rate"], best["rounds"]
    todo = {f"seed {s}": lambda s=s: transformer(parts, n, s, rate)[0][-1] for s in SEEDS}
    for seed in SEEDS:
        todo[f"long {seed}"] = lambda s=seed: transformer(parts, 6, s, 1e-3)[0]
    return all(step(name, compute) for name, compute in todo.items())


def gathered(done: Run, parts: list[Texts]) -> Run:
    """The parts in the form in which the chapter reads them."""
    best = min(done["rates"], key=lambda row: row["validation"]["loss"])
    return {
        "texts": [len(x) for x, _ in parts],
        "sweep": done["sweep"],
        "minilm": done["minilm"],
        "transformer": {
            "sweep": done["rates"],
            "rate": best["rate"],
            "rounds": best["rounds"],
            "seeds": [done[f"seed {seed}"] for seed in SEEDS],
            "long": [done[f"long {seed}"] for seed in SEEDS],
        },
        "folds": joined([done[f"fold {number}"] for number in range(FOLDS)]),
        "by_labels": [done[f"labels {size}"] for size in (*SIZES, len(parts[0][0]))],
    }


def main() -> int:
    """Run what the partial file lacks, and write the results when nothing is missing."""
    parser = argparse.ArgumentParser(description="Judge readers of film reviews.")
    parser.add_argument("--vectors", type=Path, help="a file that keeps MiniLM's vectors")
    parser.add_argument("--partial", type=Path, help="a file that keeps what is done so far")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no part after this")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = reviews("movies")
    parts = [clear(part) for part in (corpus.train, corpus.validation, corpus.test)]
    done = json.loads(args.partial.read_text()) if args.partial and args.partial.exists() else {}
    before = done.pop("seconds", 0.0)

    def keep(name: str) -> bool:
        seconds = before + time.process_time()
        print(name, "after", round(seconds), "seconds", flush=True)
        if args.partial:
            args.partial.write_text(json.dumps(done | {"seconds": seconds}), encoding="utf-8")
        return time.process_time() < args.seconds

    if not finished(parts, args.vectors, done, keep):
        return 1
    results.store(
        "classification",
        gathered(done, parts),
        command="python experiments/review_vectors.py",
        seeds=[*SEEDS, *range(FOLDS)],
        seconds=before + time.process_time(),
        data={"reviews": everything(parts)},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Read all clear movie reviews with MiniLM, train a linear head, and measure what labels are worth.

Stored are the head (385 numbers), its probabilities for validation and test, the accuracy with
fewer labels, and longer runs of the chapter's own Transformer. The vectors are not kept: they are
14 MB. Used by the chapter "Classification, sentiment, moderation".
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import minillm
from minillm.corpora import Review, reviews

OUT = Path(minillm.__file__).parent / "results" / "classification.json"
SIZES, DRAWS, EPOCHS, SEEDS = (50, 100, 200, 400, 1000, 3000), 5, 6, (0, 1, 2)
Texts = tuple[list[str], np.ndarray]


def clear(part: tuple[Review, ...]) -> Texts:
    """Texts whose mean score is at least 1 either way, shuffled as in the chapter; 1 = positive."""
    kept = [review for review in part if abs(review.score) >= 1]
    kept = [kept[i] for i in np.random.default_rng(0).permutation(len(kept))]
    return [r.text for r in kept], np.array([int(r.score > 0) for r in kept])


def words(text: str) -> list[str]:
    """Words and single marks, in small letters."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def linear() -> LogisticRegression:
    """The one classifier that is put on everything."""
    return LogisticRegression(C=3, max_iter=2000)


def by_labels(train: Texts, test: Texts, features: np.ndarray, of_test: np.ndarray) -> Any:
    """Test accuracy, mean and spread over draws, with counts and with vectors as features."""
    rng, rows = np.random.default_rng(0), []
    for size in (*SIZES, len(train[0])):
        found: dict[str, list[float]] = {"counts": [], "vectors": []}
        for _ in range(DRAWS if size in SIZES else 1):
            i = rng.permutation(len(train[0]))[:size]
            counts = make_pipeline(TfidfVectorizer(), linear())
            counts.fit([train[0][k] for k in i], train[1][i])
            found["counts"].append(counts.score(*test))
            found["vectors"].append(linear().fit(features[i], train[1][i]).score(of_test, test[1]))
        spread = {name: [np.mean(f).round(4), np.std(f).round(4)] for name, f in found.items()}
        rows.append({"labels": size, **spread})
    return rows


def labelled(parts: list[Texts]) -> tuple[list[minillm.LabelledTexts], int]:
    """The texts as ids of words that training has twice, and the number of ids."""
    counts = Counter(word for text in parts[0][0] for word in words(text))
    known = [word for word, n in counts.items() if n > 1]
    ids = {word: i for i, word in enumerate(("<pad>", "<unknown>", *known))}
    return [
        minillm.LabelledTexts([[ids.get(w, 1) for w in words(t)] for t in x], y.tolist(),
                              max_length=64)
        for x, y in parts
    ], len(ids)  # fmt: skip


@torch.inference_mode()
def judged(model: minillm.SequenceClassifier, data: minillm.LabelledTexts) -> dict[str, float]:
    """Loss, accuracy and mean confidence on a data set."""
    with minillm.eval_mode(model):
        batches = data.all().split(128)
        logits = torch.cat([model(b.inputs, mask=b.mask) for b in batches])
    loss = torch.nn.functional.cross_entropy(logits, data.labels)
    sure, guess = logits.softmax(-1).max(-1)
    right = (guess == data.labels).float().mean()
    values = {"loss": loss, "accuracy": right, "confidence": sure.mean()}
    return {name: round(value.item(), 4) for name, value in values.items()}


def transformer(parts: list[Texts], epochs: int, seed: int) -> list[dict[str, Any]]:
    """The chapter's Transformer; after every epoch what it does on validation and test."""
    (train, validation, test), vocabulary = labelled(parts)
    torch.manual_seed(seed)
    config = minillm.ModelConfig(
        vocab_size=vocabulary, context_length=64, d_model=64, n_layers=1, n_heads=4, dropout=0.3,
        causal=False,
    )  # fmt: skip
    model, per_epoch = minillm.SequenceClassifier(config, 2), len(train) // 32
    settings = minillm.TrainConfig(
        steps=epochs * per_epoch, batch_size=32, lr=1e-3, warmup_steps=20, seed=seed
    )
    trainer = minillm.Trainer(model, settings, train, loss=minillm.classification_loss)
    rows = []
    for epoch in range(1, epochs + 1):
        losses = [record.loss for record in trainer.fit(per_epoch)][-per_epoch:]
        held_out = {"validation": judged(model, validation), "test": judged(model, test)}
        rows.append({"epoch": epoch, "train_loss": round(float(np.mean(losses)), 4), **held_out})
    return rows


def timed(work: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """The result and the CPU seconds it took."""
    start = time.process_time()
    return work(*args), round(time.process_time() - start, 1)


def main() -> None:
    """Run everything and write the file."""
    torch.set_num_threads(1)
    corpus = reviews("movies")
    parts = [clear(part) for part in (corpus.train, corpus.validation, corpus.test)]
    mini = minillm.load("minilm-l6")

    def read() -> list[np.ndarray]:
        found = [minillm.sentence_vectors(mini.model, mini.tokenizer, x) for x, _ in parts]
        return [vectors.double().numpy() for vectors in found]  # double: short numbers in the file

    vectors, seconds = timed(read)
    head = linear().fit(vectors[0], parts[0][1])
    result = {
        "made_by": "python experiments/review_vectors.py",
        "package": minillm.__version__,
        "texts": [len(x) for x, _ in parts],
        "head": {"weight": head.coef_[0].round(5).tolist(), "bias": round(head.intercept_[0], 5)},
        "validation": head.predict_proba(vectors[1])[:, 1].round(4).tolist(),
        "test": head.predict_proba(vectors[2])[:, 1].round(4).tolist(),
        "by_labels": by_labels(parts[0], parts[2], vectors[0], vectors[2]),
    }
    runs, more = timed(lambda: [transformer(parts, 2, seed)[-1] for seed in SEEDS])
    long, most = timed(transformer, parts, EPOCHS, 0)
    result |= {"seeds": runs, "epochs": long, "cpu_seconds": round(seconds + more + most, 1)}
    OUT.write_text(json.dumps(result, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

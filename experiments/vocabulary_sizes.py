"""How many merges pay: token n-gram models, each vocabulary at the order that suits it.

Bits per character on unread chapters. For every vocabulary the order and the discount of
Kneser-Ney smoothing are chosen on validation chapters and judged on the test chapters; three
disjoint samples of chapters teach both the merges and the model. An interrupted run goes on where
it stopped (``--partial``). Used by the chapter "From text to tokens".
"""

import argparse
import dataclasses
import json
import math
import random
import time
from itertools import groupby, product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minillm import BPETokenizer, NGramLM
from minillm.corpora import Verse, bible
from minillm.results import store

AMOUNT, SAMPLES, DRAWS = 1_000_000, 3, 2000  # characters of a sample; draws of the bootstrap
DISCOUNTS = (0.7, 0.8, 0.9, 0.95, 0.98)
ORDERS = {  # merges -> orders that are tried with the first sample; its best one serves for all
    0: (2, 3, 5, 7, 9, 11, 13, 15, 17, 20),
    300: (2, 3, 4, 6, 7, 8),
    1000: (2, 3, 4, 5, 6, 7, 8),
    4000: (2, 3, 4, 5, 6, 7),
}


def by_chapter(verses: list[Verse]) -> list[str]:
    """The text of each chapter, one verse a line."""
    groups = groupby(verses, key=lambda verse: verse.id // 1000)
    return ["\n".join(verse.text for verse in group) for _, group in groups]


def samples(chapters: list[str]) -> list[str]:
    """Disjoint samples of whole chapters, cut to the same number of characters."""
    shuffled = random.Random(0).sample(chapters, len(chapters))
    return ["\n".join(shuffled[i::SAMPLES])[:AMOUNT] for i in range(SAMPLES)]


def price(model: NGramLM, texts: list[Tensor]) -> Tensor:
    """Bits of each text."""
    bits = model.log_probs(texts) / -math.log(2)
    return torch.stack([part.sum() for part in bits.split([len(t) for t in texts])])


def with_discount(model: NGramLM, discount: float) -> NGramLM:
    """The same counts with another discount: it changes no count."""
    model.settings = dataclasses.replace(model.settings, discount=discount)
    return model


def one_order(text: str, new: list[str], test: list[str], n: int, order: int) -> dict[str, Any]:
    """Validation bits of every discount, and the test bits of the best of them."""
    cutter = BPETokenizer.train(text, 256 + n)
    to_choose, to_judge = ([torch.tensor(cutter.encode(t)) for t in part] for part in (new, test))
    model = NGramLM(cutter.vocab_size, order).fit([torch.tensor(cutter.encode(text))])
    size = sum(map(len, new))
    bits = {d: price(with_discount(model, d), to_choose).sum().item() / size for d in DISCOUNTS}
    discount = min(bits, key=bits.__getitem__)
    return {
        "merges": len(cutter.merges),
        "order": order,
        "validation": round(bits[discount], 5),
        "discount": discount,
        "characters_per_token": round(size / sum(map(len, to_choose)), 3),
        "bits": price(with_discount(model, discount), to_judge).tolist(),
    }


def interval(bits: Tensor, other: Tensor, sizes: Tensor) -> list[float]:
    """95 % of the differences in bits per character when the chapters are drawn again."""
    draw = torch.randint(
        len(sizes), (DRAWS, len(sizes)), generator=torch.Generator().manual_seed(0)
    )
    gain = (bits - other)[draw].sum(1) / sizes[draw].sum(1)
    return [round(gain.quantile(q).item(), 4) for q in (0.025, 0.975)]


def done(path: Path) -> list[dict[str, Any]]:
    """The runs of an earlier start that was interrupted."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def run_all(path: Path, texts: tuple[list[str], list[str], list[str]], pieces: int) -> None:
    """Samples and sizes that are not in the file yet, at most `pieces`; each is appended to it."""
    known = {(run["sample"], run["merges"], run["order"]) for run in done(path)}
    train, new, test = texts
    for sample, n, order in [place for place in places(path) if place not in known][:pieces]:
        began = time.process_time()
        row = one_order(samples(train)[sample], new, test, n, order) | {"sample": sample}
        row["seconds"] = time.process_time() - began
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print({key: row[key] for key in row if key != "bits"}, flush=True)


def places(path: Path) -> list[tuple[int, int, int]]:
    """Sample, merges and order of every run: all orders once, then the bigram and the best."""
    first = [(0, n, order) for n in ORDERS for order in ORDERS[n]]
    rows = [row for row in done(path) if row["sample"] == 0]
    if len(rows) < len(first):
        return first
    tried = {n: {r["order"]: r["validation"] for r in rows if r["merges"] == n} for n in ORDERS}
    best = {n: min(bits, key=bits.__getitem__) for n, bits in tried.items()}
    return first + [(i, n, k) for i in range(1, SAMPLES) for n in ORDERS for k in (2, best[n])]


def compare(rows: list[dict[str, Any]], sizes: Tensor) -> list[dict[str, Any]]:
    """For each sample and size: the bigram, the order chosen on validation, and the gain."""
    runs, best = [], {}
    for sample, n in product(range(SAMPLES), ORDERS):
        tried = [row for row in rows if (row["sample"], row["merges"]) == (sample, n)]
        tried.sort(key=lambda row: row["order"])
        chosen = min(tried, key=lambda row: row["validation"])
        best[sample, n] = torch.tensor(chosen["bits"])
        bigram = sum(tried[0]["bits"]) / sizes.sum().item()
        gain = best[sample, 0] - best[sample, n]
        runs.append({"sample": sample, "merges": n, "order": chosen["order"]})
        runs[-1] |= {key: chosen[key] for key in ("discount", "characters_per_token")}
        runs[-1]["validation"] = {row["order"]: row["validation"] for row in tried}
        runs[-1]["bigram_discount"] = tried[0]["discount"]
        runs[-1]["test_bigram"] = round(bigram, 5)
        runs[-1]["test"] = round(best[sample, n].sum().item() / sizes.sum().item(), 5)
        runs[-1]["gain"] = round(gain.sum().item() / sizes.sum().item(), 5)
        runs[-1]["gain_interval"] = interval(best[sample, 0], best[sample, n], sizes)
    return runs


def main() -> None:
    """Run everything, compare with no merges on the same test chapters, and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partial", type=Path, default=Path("vocabulary_sizes.jsonl"))
    parser.add_argument("--pieces", type=int, default=99, help="at most so many runs, then stop")
    options = parser.parse_args()
    verses = bible("bbe")
    train, new, test = (
        by_chapter(list(part)) for part in (verses.train, verses.validation, verses.test)
    )
    for _ in range(2):  # the first sample, then the others
        run_all(options.partial, (train, new[::5], test), options.pieces)  # a fifth to choose on
    rows = done(options.partial)
    if len(rows) < len(places(options.partial)):
        return
    runs = compare(rows, torch.tensor([float(len(text)) for text in test]))
    store(
        "vocabulary_sizes",
        {"sizes": list(ORDERS), "chapters": len(test), "runs": runs},
        command="python experiments/vocabulary_sizes.py",
        seeds=[0],
        seconds=sum(row["seconds"] for row in rows),
        data={
            "training text": "\n".join(verse.text for verse in verses.train),
            "new chapters": "\n".join(verse.text for verse in verses.validation),
            "test chapters": "\n".join(verse.text for verse in verses.test),
        },
    )
    options.partial.unlink()


if __name__ == "__main__":
    main()

"""Tune each smoothing rule on the validation part, then measure it once on the test part.

For two corpora and orders 1 to 5: the k of add-k, the shares of the interpolation (all orders of
one model together, by gradient), and the discount of Kneser–Ney. Used by the chapter "Predicting
the next word".
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import minillm
from minillm import corpora
from minillm.results import store

EDGE, UNKNOWN, ORDERS = 0, 1, (1, 2, 3, 4, 5)
KS = (1.0, 0.1, 0.03, 0.01, 0.003, 0.001)
BELOW = (3e-4, 1e-4, 3e-5, 1e-5)  # while the smallest k is the best
DISCOUNTS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
STEPS = 150
Texts = list[list[str]]
Floats = tuple[float, ...]


def words(text: str) -> list[str]:
    """Words and marks of a text, as in the chapter."""
    return re.findall(r"\w+(?:['’]\w+)*|[^\w\s\"*“”‘]", text.lower())


def sentences(text: str) -> Texts:
    """The sentences of the prose paragraphs, as in the chapter."""
    found = []
    for paragraph in text.split("\n\n"):
        line = " ".join(paragraph.split())
        if re.match("[A-Z]", line) and line[-1] == "." and "::=" not in line:
            found += re.split(r"(?<=[a-z\"]\.) (?=[A-Z])", line)
    return [words(sentence) for sentence in found]


class Material:
    """Training, validation and test texts of one corpus as ids."""

    def __init__(self, train: Texts, validation: Texts, test: Texts) -> None:
        counts = Counter(word for text in train for word in text)
        kept = sorted(word for word, count in counts.items() if count >= 2)
        ids = {word: i for i, word in enumerate(["<edge>", "<unk>", *kept])}
        self.vocab_size = len(ids)
        self.train, self.validation, self.test = (
            [torch.tensor([ids.get(word, UNKNOWN) for word in text]) for text in part]
            for part in (train, validation, test)
        )

    def fit(self, order: int, **rule: Any) -> minillm.NGramLM:
        """Return a model of this order and rule."""
        return minillm.NGramLM(self.vocab_size, order, boundary=EDGE, **rule).fit(self.train)

    def best(
        self, order: int, smoothing: str, name: str, values: Floats, below: Floats = ()
    ) -> dict[str, Any]:
        """Choose one number on the validation part and measure it on the test part."""
        tried: dict[float, float] = {}
        for value in (*values, *below):
            if value in below and min(tried, key=lambda each: tried[each]) > min(tried):
                break
            model = self.fit(order, smoothing=smoothing, **{name: value})
            tried[value] = model.perplexity(self.validation)
        value = min(tried, key=lambda each: tried[each])
        test = self.fit(order, smoothing=smoothing, **{name: value}).perplexity(self.test)
        return {name: value, "validation": tried[value], "test": test, "tried": list(tried.items())}


def rows(texts: list[Tensor]) -> Iterator[list[int]]:
    """Each text between its edges."""
    for text in texts:
        yield [EDGE, *text.tolist(), EDGE]


def seen(material: Material, order: int) -> Tensor:
    """For each validation token: is there a context of order - 1 tokens, and was it seen?"""
    known = set()
    for row in rows(material.train):
        for t in range(order - 1, len(row)):
            known.add(tuple(row[t - order + 1 : t]))
    flags = [
        t >= order - 1 and tuple(row[t - order + 1 : t]) in known
        for row in rows(material.validation)
        for t in range(1, len(row))
    ]
    return torch.tensor(flags)


def shares(material: Material) -> list[dict[str, Any]]:
    """For each order the shares under which the validation part is most probable."""
    frequencies = [
        material.fit(n, smoothing="mle").log_probs(material.validation).exp() for n in ORDERS
    ]
    flags = [seen(material, n) for n in ORDERS]
    found = []
    for top in ORDERS:
        free = torch.zeros(top, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([free], lr=0.2)
        for _ in range(STEPS):
            p = torch.full_like(frequencies[0], 1 / material.vocab_size)
            for share, f, flag in zip(free.sigmoid(), frequencies, flags, strict=False):
                p = torch.where(flag, share * f + (1 - share) * p, p)
            loss = -p.log().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weights = [round(w, 3) for w in free.sigmoid().tolist()]
        model = material.fit(top, smoothing="interpolated", weights=weights)
        validation, test = (model.perplexity(p) for p in (material.validation, material.test))
        found.append({"weights": weights, "validation": validation, "test": test})
    return found


def measure(material: Material) -> dict[str, list[Any]]:
    """All rules, all orders."""
    return {
        "add_k": [material.best(n, "add_k", "k", KS, BELOW) for n in ORDERS],
        "interpolated": shares(material),
        "kneser_ney": [material.best(n, "kneser_ney", "discount", DISCOUNTS) for n in ORDERS],
    }


def main() -> None:
    """Run everything, print it and store it."""
    begin, docs, bible = time.process_time(), corpora.python_docs(), corpora.bible("bbe")
    verses = [[words(v.text) for v in part] for part in (bible.train, bible.validation, bible.test)]
    result = {
        "docs": measure(Material(*map(sentences, (docs.train, docs.validation, docs.test)))),
        "bible": measure(Material(*verses)),
    }
    for corpus, rules in result.items():
        for rule, found in rules.items():
            for n, row in zip(ORDERS, found, strict=True):
                kept = {key: value for key, value in row.items() if key != "tried"}
                print(corpus, rule, n, kept)
    store(
        "ngram_smoothing",
        result,
        command="python experiments/ngram_smoothing.py",
        seeds=[],
        seconds=time.process_time() - begin,
        data={
            "python docs": docs.text,
            "bible bbe": "\n".join(verse.text for verse in bible.train + bible.validation),
        },
    )


if __name__ == "__main__":
    main()

"""Translate verses by a table of phrases: the opponent of the translator, from counts alone.

    python experiments/phrase_table.py              # about 2 minutes on one free core

1. IBM model 1 in both directions says which word goes with which (Brown et al. 1993).
2. Links that both directions draw, and neighbours of these that one of them draws, are kept; every
   pair of phrases that no link leaves is counted (Koehn, Och and Marcu 2003).
3. A source is cut into phrases from left to right; a beam search looks for the cut and the
   translations with the best sum of weighted scores: both phrase probabilities, a trigram model of
   the target with stupid back-off (Brants et al. 2007), a bonus for each word, a price for each
   word that is copied because the table does not have it. Nothing is moved.
4. The weights are those with the best BLEU on validation pairs, out of a first guess and a climb
   from it: each weight in turn × 3 and ÷ 3, then × 1.5 and ÷ 1.5.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import log
from typing import Any

import numpy as np
import sacrebleu

from minillm.corpora import Pair, verse_pairs
from minillm.results import store

LONGEST = 4
CHOICES = 6
BEAM = 8
TUNED_ON = 60
EVERY = 4  # of the test pairs every fourth is translated
Words = tuple[str, ...]
Link = tuple[int, int]


def words(text: str) -> Words:
    """Words and punctuation marks."""
    return tuple(re.findall(r"[\w'-]+|[^\w\s]", text))


def as_text(tokens: Sequence[str]) -> str:
    """Words with spaces between them, and none before a mark."""
    return re.sub(r" ([,.;:?!)])", r"\1", " ".join(tokens)).replace("( ", "(")


class WordTable:
    """IBM model 1: p(target word | source word), learned by expectation and maximisation."""

    def __init__(self, pairs: Sequence[tuple[Words, Words]], rounds: int = 6) -> None:
        self.ids: dict[str, int] = {"": 0}  # the empty word stands for "nothing"
        rows = []
        for place, (source, target) in enumerate(pairs):
            f = [0] + [self.ids.setdefault(w, len(self.ids)) for w in source]
            for j, word in enumerate(target):
                e = self.ids.setdefault(word, len(self.ids))
                rows.append((f, [e] * len(f), [place * 1000 + j] * len(f)))
        f, e, place = (np.concatenate(part) for part in zip(*rows, strict=True))
        self.keys, pair = np.unique(f * len(self.ids) + e, return_inverse=True)
        _, place = np.unique(place, return_inverse=True)
        source_of = self.keys // len(self.ids)
        self.p = np.ones(len(self.keys))
        for _ in range(rounds):
            share = self.p[pair]
            share /= np.bincount(place, share)[place]
            counts = np.bincount(pair, share)
            self.p = counts / np.bincount(source_of, counts)[source_of]
        self.table = dict(zip(self.keys.tolist(), self.p.tolist(), strict=True))

    def prob(self, source: str, target: str) -> float:
        """p(target word | source word), 0 for a pair that never stood together."""
        if source not in self.ids or target not in self.ids:
            return 0.0
        return self.table.get(self.ids[source] * len(self.ids) + self.ids[target], 0.0)

    def links(self, source: Words, target: Words) -> set[Link]:
        """For each target word its best source word, if that beats "nothing"."""
        found = set()
        for j, word in enumerate(target):
            scores = [self.prob(w, word) for w in source]
            if max(scores) > self.prob("", word):
                found.add((int(np.argmax(scores)), j))
        return found


def joined(there: set[Link], back: set[Link]) -> set[Link]:
    """The links of both directions, grown by neighbours that one of them has."""
    links, more = there & back, there | back
    while True:
        i_done, j_done = {i for i, _ in links}, {j for _, j in links}
        new = {
            (i, j)
            for i, j in more - links
            if (i not in i_done or j not in j_done)
            and any((i + a, j + b) in links for a, b in product((-1, 0, 1), repeat=2))
        }
        if not new:
            return links
        links = links | new


def phrases(source: Words, target: Words, links: set[Link]) -> list[tuple[Words, Words]]:
    """All pairs of phrases that no link leaves, with at most LONGEST words."""
    found = []
    for i in range(len(source)):
        for k in range(i + 1, min(i + LONGEST, len(source)) + 1):
            inside = [b for a, b in links if i <= a < k]
            if not inside:
                continue
            low, high = min(inside), max(inside) + 1
            if high - low > LONGEST or any(low <= b < high and not i <= a < k for a, b in links):
                continue
            linked = {b for _, b in links}
            for j in range(low, -1, -1):  # words without a link may join on either side
                if j < low and j in linked:
                    break
                for m in range(high, len(target) + 1):
                    if (m > high and m - 1 in linked) or m - j > LONGEST:
                        break
                    found.append((source[i:k], target[j:m]))
    return found


@dataclass(frozen=True)
class Weights:
    """What each score counts for in the search."""

    phrase: float = 1.0
    inverse: float = 0.3
    language: float = 0.7
    word: float = 0.5
    copied: float = 3.0


class Trigrams:
    """Stupid back-off: the relative frequency of the longest trigram, bigram or word seen."""

    def __init__(self, texts: Sequence[Words]) -> None:
        self.counts: Counter[Words] = Counter()
        for text in texts:
            padded = ("<", "<", *text, ">")
            for n in (1, 2, 3):
                self.counts.update(padded[i : i + n] for i in range(len(padded) - n + 1))
        self.total = sum(len(text) + 1 for text in texts)
        self.cache: dict[Words, float] = {}

    def score(self, trigram: Words) -> float:
        """Its logarithm."""
        if trigram not in self.cache:
            self.cache[trigram] = self._score(trigram)
        return self.cache[trigram]

    def _score(self, gram: Words) -> float:
        for i in range(3):
            whole, context = self.counts[gram[i:]], self.counts[gram[i:-1]] if i < 2 else self.total
            if whole:
                return log(whole / context) + i * log(0.4)
        return log(1 / self.total) + 3 * log(0.4)


Option = tuple[Words, float, float, int]


class PhraseTable:
    """The phrases of the training pairs, a model of the target language, and a search."""

    def __init__(self, pairs: Sequence[tuple[Words, Words]]) -> None:
        there, back = WordTable(pairs), WordTable([(t, s) for s, t in pairs])
        self.there = there
        counts: Counter[tuple[Words, Words]] = Counter()
        for s, t in pairs:
            links = {(i, j) for j, i in back.links(t, s)}
            counts.update(phrases(s, t, joined(there.links(s, t), links)))
        of_source: Counter[Words] = Counter()
        of_target: Counter[Words] = Counter()
        for (s, t), n in counts.items():
            of_source[s] += n
            of_target[t] += n
        self.options: dict[Words, list[Option]] = defaultdict(list)
        for (s, t), n in counts.items():
            self.options[s].append((t, log(n / of_source[s]), log(n / of_target[t]), 0))
        for found in self.options.values():
            found.sort(key=lambda option: -option[1])
            del found[CHOICES:]
        self.language = Trigrams([t for _, t in pairs])

    def translate(self, source: Words, w: Weights) -> Words:
        """The best translation that a beam of beginnings finds, from left to right."""
        ends: list[dict[Words, tuple[float, Words]]] = [{} for _ in range(len(source) + 1)]
        ends[0][("<", "<")] = (0.0, ())
        for i in range(len(source)):
            best = sorted(ends[i].values(), key=lambda state: -state[0])[:BEAM]
            for k in range(i + 1, min(i + LONGEST, len(source)) + 1):
                for option in self._options(source[i:k]):
                    for score, text in best:
                        new = score + self._gain(text, option, w)
                        whole = text + option[0]
                        key = ("<", "<", *whole)[-2:]
                        if key not in ends[k] or new > ends[k][key][0]:
                            ends[k][key] = (new, whole)
        last = ends[-1].items()
        return max(last, key=lambda e: e[1][0] + w.language * self.language.score((*e[0], ">")))[1][
            1
        ]

    def _options(self, part: Words) -> list[Option]:
        found = self.options.get(part, [])
        return found or ([(part, 0.0, 0.0, 1)] if len(part) == 1 else [])

    def _gain(self, text: Words, option: Option, w: Weights) -> float:
        target, forward, inverse, copied = option
        padded = ("<", "<", *text[-2:], *target)[-2 - len(target) :]
        language = sum(self.language.score(padded[i : i + 3]) for i in range(len(target)))
        return (
            w.phrase * forward
            + w.inverse * inverse
            + w.language * language
            + w.word * len(target)
            - w.copied * copied
        )


def tune(table: PhraseTable, pairs: Sequence[Pair]) -> tuple[Weights, list[dict[str, Any]]]:
    """The weights with the best BLEU on validation pairs, and all that were tried."""
    sources, right = [words(pair.source) for pair in pairs], [pair.target for pair in pairs]
    tried: list[dict[str, Any]] = []

    def bleu(weights: Weights) -> float:
        out = [as_text(table.translate(source, weights)) for source in sources]
        tried.append({**asdict(weights), "bleu": sacrebleu.corpus_bleu(out, [right]).score})
        return float(tried[-1]["bleu"])

    best, score = Weights(), bleu(Weights())
    for factor in (3.0, 1.5):
        for name, by in product(("inverse", "language", "word", "copied"), (factor, 1 / factor)):
            other = replace(best, **{name: getattr(best, name) * by})
            if (new := bleu(other)) > score:
                best, score = other, new
    return best, tried


def main() -> None:
    """Count, tune, translate the test pairs and write them down."""
    started, corpus = time.process_time(), verse_pairs()
    table = PhraseTable([(words(p.source), words(p.target)) for p in corpus.train])
    weights, tried = tune(table, corpus.validation[:TUNED_ON])
    asked = [words(pair.source) for pair in corpus.test[::EVERY]]
    texts = [as_text(table.translate(source, weights)) for source in asked]
    by_word: dict[str, tuple[float, str]] = {}
    names = {i: word for word, i in table.there.ids.items()}
    for key, p in table.there.table.items():
        source, target = names[key // len(names)], names[key % len(names)]
        by_word[source] = max(by_word.get(source, (0.0, "")), (p, target))
    plain = [as_text([by_word.get(w, (1, w))[1] for w in source]) for source in asked]
    result: dict[str, Any] = {
        "phrases": texts,
        "words": plain,
        "weights": asdict(weights),
        "tried": tried,
        "entries": sum(map(len, table.options.values())),
        "seconds": time.process_time() - started,
    }
    store(
        "phrase_table",
        {"every": EVERY, **result},
        command="python experiments/phrase_table.py",
        seeds=[],
        seconds=float(result["seconds"]),
        data={"verses": "\n".join(pair.text for pair in corpus.test)},
    )
    print(weights, len(texts), result["seconds"])


if __name__ == "__main__":
    main()

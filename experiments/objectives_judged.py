"""What the models of `objectives.py` can do afterwards, on its test stories.

    python experiments/objectives_judged.py      # the baselines, which need no model

Gaps: a word is cut out. A masked model reads a mask there; a causal one reads each of its thirty
likeliest words in the whole row, and the row with the highest probability wins. Texts: 20 words are
given, 20 are written. Pairs: which of two beginnings belongs to a passage? Probes: a linear
classifier on the mean of the vectors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from objectives_data import (
    CLS,
    LENGTH,
    MASK,
    NAMES,
    PAD,
    SEP,
    STORIES,
    UNK,
    WORDS,
    V,
    as_text,
    pairs_of,
    rows_of,
    sentences,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

import minillm
from minillm import NGramLM, Sampling, segments_of
from minillm.corpora.stories import check

COMMON = 40  # so many commonest words are never cut out
CANDIDATES = 30
GAPS = 250
CASES = 120  # pairs of passages
PROBED = 500  # training stories for a probe
GIVEN, WRITTEN, TEXTS = 20, 20, 60
PASSAGE = 31
PENALTIES = (0.1, 1.0, 10.0)
HALF = (LENGTH - 3) // 2


def source(seed: int) -> torch.Generator:
    """Chance that is the same for every model."""
    return torch.Generator().manual_seed(seed)


def body_of(model: Any) -> Any:
    """The language model inside a model of pairs, or the model itself."""
    return getattr(model, "body", model)


def reads(model: Any, rows: Tensor, mask: Tensor | None = None) -> Tensor:
    """Logits (B, T, V)."""
    if body_of(model) is model:
        return model(rows, mask=mask)
    return model.body(rows, mask=mask, segments=segments_of(rows, SEP))


@cache
def content() -> Tensor:
    """Which ids are words, without the commonest (V,)."""
    counts = Counter(rows_of("train")[:, 1:].flatten().tolist())
    common = {i for i, _ in counts.most_common(COMMON)}
    words = NAMES + WORDS
    allowed = [i >= len(NAMES) and i not in common for i in range(V)]
    return torch.tensor([ok and words[i].isalpha() for i, ok in enumerate(allowed)])


@cache
def gaps() -> tuple[Tensor, Tensor, Tensor]:
    """Rows (N, T), the place that is cut out of each (N,), and a wrong word for it (N,)."""
    rows = rows_of("test")
    rows = rows[content()[rows].any(1)][:GAPS]
    chance = torch.rand(rows.shape, generator=source(1)).masked_fill(~content()[rows], -1.0)
    places = chance.argmax(1)
    ids = content().nonzero()[:, 0]
    return rows, places, ids[torch.randint(len(ids), (len(rows),), generator=source(2))]


def seen_elsewhere() -> list[str]:
    """Where else the missing word stands in its row: before, after, both, or nowhere."""
    rows, places, _ = gaps()
    same = rows == rows[torch.arange(len(rows)), places][:, None]
    order = torch.arange(LENGTH)
    before = (same & (order < places[:, None])).any(1)
    after = (same & (order > places[:, None])).any(1)
    names = ("nowhere", "after", "before", "both")
    return [names[2 * int(b) + int(a)] for b, a in zip(before, after, strict=True)]


def fill_masked(model: Any) -> dict[str, Any]:
    """Which gaps a masked model fills with the right word."""
    rows, places, _ = gaps()
    at = torch.arange(len(rows))
    hidden = rows.clone()
    hidden[at, places] = MASK
    said = reads(model, hidden)[at, places]
    return {"mask": hits(said.argmax(1) == rows[at, places])}


def fill_causal(model: Any) -> dict[str, Any]:
    """The same for a causal model: from the left alone, and by scoring whole rows."""
    rows, places, _ = gaps()
    at = torch.arange(len(rows))
    right = rows[at, places]
    left = model(rows)[at, places - 1].log_softmax(-1)
    best = left.topk(CANDIDATES, dim=1).indices  # (N, C)
    whole = []
    for row, place, candidates in zip(rows, places.tolist(), best, strict=True):
        tried = row.repeat(CANDIDATES, 1)
        tried[:, place] = candidates
        log_p = token_log_probs(model, tried)[:, place:].sum(1)
        whole.append(candidates[log_p.argmax()])
    return {
        "left": hits(left.argmax(1) == right),
        "whole": hits(torch.stack(whole) == right),
        "among candidates": hits((best == right[:, None]).any(1)),
    }


def hits(found: Tensor) -> list[int]:
    """0 and 1 for JSON."""
    return found.int().tolist()


def token_log_probs(model: Any, rows: Tensor) -> Tensor:
    """Log-probability of each token given those before it (B, T); 0 for the first."""
    log_p = model(rows[:, :-1]).log_softmax(-1).gather(2, rows[:, 1:, None])[..., 0]
    return torch.nn.functional.pad(log_p, (1, 0))


def odd_word(kind: str, model: Any) -> dict[str, Any]:
    """A wrong word stands in the row, and nothing is hidden: is it the most surprising one?"""
    rows, places, wrong = gaps()
    at = torch.arange(len(rows))
    damaged = rows.clone()
    damaged[at, places] = wrong
    if kind == "causal":
        return {"found": hits(token_log_probs(model, damaged).argmin(1) == places)}
    log_p = reads(model, damaged).log_softmax(-1)
    own = log_p.gather(2, damaged[..., None])[..., 0]
    own[:, 0] = 0.0
    named = (log_p.argmax(2) == damaged)[:, 1:].float().mean().item()
    return {"found": hits(own.argmin(1) == places), "names what it sees": named}


@cache
def openings() -> Tensor:
    """The first words of test stories, with [CLS] and [SEP] in front as in the rows (N, 2 + 20)."""
    first = [[w for s in story for w in s][:GIVEN] for story in sentences("test")[:TEXTS]]
    return torch.tensor([[CLS, SEP, *words] for words in first])


def continuations(kind: str, model: Any) -> dict[str, Tensor]:
    """20 more words by every way that the model has (N, 2 + 40)."""
    begun = openings()
    cool = Sampling(temperature=0.5)
    if kind == "causal":
        common: dict[str, Any] = {"max_new_tokens": WRITTEN, "generator": source(3)}
        return {"next word": minillm.generate(model, begun, sampling=cool, **common)}
    masks = torch.full((len(begun), WRITTEN), MASK)
    chance = source(3)
    one = begun
    for _ in range(WRITTEN):
        one = torch.cat((one, masks[:, :1]), dim=1)
        one[:, -1] = drawn(model, one, one.shape[1] - 1, chance)
    filled = torch.cat((begun, masks), dim=1)
    for place in range(begun.shape[1], filled.shape[1]):
        filled[:, place] = drawn(model, filled, place, chance)
    again = filled.clone()
    for _ in range(2):
        for place in range(begun.shape[1], filled.shape[1]):
            again[:, place] = MASK
            again[:, place] = drawn(model, again, place, chance)
    return {
        "one mask at the end": one,
        "all masks, left to right": filled,
        "and two rounds": again,
    }


def drawn(model: Any, rows: Tensor, place: int, chance: torch.Generator) -> Tensor:
    """One word for a place of every row, at temperature 0.5; special tokens are not drawn."""
    logits = reads(model, rows)[:, place] / 0.5
    logits[:, : len(NAMES)] = -torch.inf
    return torch.multinomial(logits.softmax(-1), 1, generator=chance)[:, 0]


def judge_texts(rows: Tensor, reader: Any) -> dict[str, Any]:
    """What the truth test and another causal model say of the 20 written words."""
    log_p = token_log_probs(reader, rows)[:, -WRITTEN:].mean().item()
    good, unread, shown = [], [], []
    for row in rows.tolist():
        given, whole = as_text(row[2 : 2 + GIVEN]), as_text([i for i in row[2:] if i != SEP])
        new = whole[len(given) :]
        kept = whole[: len(given) + max((new.rfind(end) for end in ".!?"), default=-1) + 1]
        found = check(kept)
        missing = found.unparsed * sum(len(r.text) for r in found.readings)
        unread.append(min(1.0, missing / max(1, len(kept) - len(given))))
        good.append(int(not found.contradictions and missing == 0 and len(kept) > len(given)))
        shown.append(new.strip())
    return {"log_p": log_p, "good": good, "unread": unread, "texts": shown[:3]}


Case = dict[str, list[int]]


@cache
def pair_cases() -> list[Case]:
    """A passage of each test story, with the one before it, one of another story, and the next."""
    chance, told, found = source(4), sentences("test"), []
    for number, story in enumerate(told):
        place = 2 + int(torch.randint(max(1, len(story) - 6), (), generator=chance))
        behind = fitting(story[place:])
        later = story[place + len(behind) :]
        other = told[
            (number + 1 + int(torch.randint(len(told) - 1, (), generator=chance))) % len(told)
        ]
        far = 2 + int(torch.randint(len(other) - 2, (), generator=chance))
        if behind and fitting(later):
            parts = {
                "B": behind,
                "before": fitting(story[:place][::-1])[::-1],
                "other": fitting(other[:far][::-1])[::-1],
                "later": fitting(later),
            }
            found.append({name: [w for s in part for w in s] for name, part in parts.items()})
    return [case for case in found if all(case.values())][:CASES]


def fitting(part: list[list[int]]) -> list[list[int]]:
    """As many whole sentences as fit into half a row."""
    return part[: sum(n <= HALF for n in accumulate(len(s) for s in part))]


def judge_pairs(kind: str, model: Any) -> dict[str, Any]:
    """How well the passage B goes with each of its three beginnings."""
    score = {"pairs": by_head, "causal": by_next_word}.get(kind, by_hidden_words)
    names = ("before", "other", "later")
    return {name: [score(model, case[name], case["B"]) for case in pair_cases()] for name in names}


def by_head(model: Any, a: list[int], b: list[int]) -> float:
    """The next-sentence head: log-odds of "B follows A"."""
    row = pairs_of("test", 0).row([a], [b])[None]
    _, logits = model(row, row != PAD)
    return (logits[0, 1] - logits[0, 0]).item()


def by_next_word(model: Any, a: list[int], b: list[int]) -> float:
    """Log p(B | A)."""
    return token_log_probs(model, torch.tensor([[CLS, *a, *b]]))[0, -len(b) :].sum().item()


def by_hidden_words(model: Any, a: list[int], b: list[int]) -> float:
    """Each word of B hidden in turn: the sum of the log-probabilities of the right words."""
    row = torch.tensor([CLS, *a, *b])
    places = torch.arange(len(row) - len(b), len(row))
    rows = row.repeat(len(b), 1)
    rows[torch.arange(len(b)), places] = MASK
    log_p = reads(model, rows)[torch.arange(len(b)), places].log_softmax(-1)
    return log_p.gather(1, row[places][:, None]).sum().item()


def shared_words() -> dict[str, list[float]]:
    """The baseline: words that A and B share, the rare ones weighing more."""
    idf = torch.tensor(rarity())
    names = ("before", "other", "later")
    return {
        name: [idf[list(set(c[name]) & set(c["B"]))].sum().item() for c in pair_cases()]
        for name in names
    }


def rarity() -> list[float]:
    """Log of one over the share of training stories that have a word (V,)."""
    told = [{w for s in story for w in s} for story in sentences("train")]
    counts = Counter(w for words in told for w in words)
    return [float(np.log((1 + len(told)) / (1 + counts[i]))) for i in range(V)]


@cache
def passages(part: str) -> tuple[Tensor, np.ndarray, Tensor, np.ndarray]:
    """Up to two passages a story: rows and plots; then some with swapped sentences, and which."""
    chance, plots = source(5), sorted({story.plot for story in STORIES["train"]})
    rows, labels, swapped, whether = [], [], [], []
    both = list(zip(STORIES[part], sentences(part), strict=True))
    for story, told in both[:PROBED]:
        for start in (1, len(told) // 2):
            cut = told[start:]
            kept = cut[: sum(n <= PASSAGE for n in accumulate(len(s) for s in cut))]
            if len(kept) < 2:
                continue
            swap = int(torch.randint(2, (), generator=chance))
            where = int(torch.randint(len(kept) - 1, (), generator=chance))
            other = kept[:where] + kept[where : where + 2][::-1] + kept[where + 2 :]
            rows.append(padded(kept))
            swapped.append(padded(other if swap else kept))
            labels.append(plots.index(story.plot))
            whether.append(swap)
    return torch.stack(rows), np.array(labels), torch.stack(swapped), np.array(whether)


def padded(kept: list[list[int]]) -> Tensor:
    """A row of sentences with [CLS] in front."""
    ids = [CLS, *[w for s in kept for w in s]]
    return torch.tensor(ids + [PAD] * (PASSAGE + 1 - len(ids)))


def layers(model: Any, rows: Tensor) -> list[np.ndarray]:
    """The mean of the words' vectors after each block, (N, D) each."""
    body = body_of(model).transformer
    found = defaultdict(list)
    for part in rows.split(256):
        real = part != PAD
        with minillm.capture(body, attention=False) as trace:
            body(part, mask=real)
        for number, hidden in enumerate(trace.hidden_stack()[1:]):
            found[number].append(minillm.mean_pool(hidden, real).numpy())
    return [np.concatenate(found[number]) for number in sorted(found)]


def bags(rows: Tensor) -> list[np.ndarray]:
    """The baseline: how often each word stands in the row (N, V)."""
    counts = torch.zeros(len(rows), V).scatter_add_(1, rows, torch.ones(rows.shape))
    counts[:, [PAD, UNK, CLS, SEP]] = 0
    return [counts.numpy()]


def probe(features: Any, task: int) -> list[int]:
    """Which test passages a linear classifier gets right; layer and penalty by validation."""
    sets = [passages(part) for part in ("train", "validation", "test")]
    x = [features(found[2 * task]) for found in sets]
    y = [found[2 * task + 1] for found in sets]
    best, kept = -1.0, None
    for number in range(len(x[0])):
        for penalty in PENALTIES:
            scale = TfidfTransformer() if x[0][number].shape[1] == V else StandardScaler()
            fitted = make_pipeline(scale, LogisticRegression(C=penalty, max_iter=300))
            fitted.fit(x[0][number], y[0])
            score = fitted.score(x[1][number], y[1])
            if score > best:
                best, kept = score, (fitted, number)
    fitted, number = kept
    return (fitted.predict(x[2][number]) == y[2]).astype(int).tolist()


def probes(model: Any) -> dict[str, list[int]]:
    """Plot and order from a model's vectors."""
    with torch.no_grad():
        return {
            name: probe(lambda rows: layers(model, rows), task)
            for task, name in enumerate(("plot", "order"))
        }


@torch.no_grad()
def everything(kind: str, model: Any, reader: Any) -> dict[str, Any]:
    """All tests of one model; `reader` is a causal model that judges what it writes."""
    found: dict[str, Any] = {
        "gaps": fill_causal(model) if kind == "causal" else fill_masked(model),
        "odd": odd_word(kind, model),
        "probes": probes(model),
    }
    if kind in ("causal", "masked", "pairs"):
        found["pairs"] = judge_pairs(kind, model)
    if kind in ("causal", "masked"):
        texts = continuations(kind, model)
        found["texts"] = {way: judge_texts(rows, reader) for way, rows in texts.items()}
    return found


def count_baselines() -> dict[str, list[int]]:
    """Gaps filled by counting: five words to the left, and the two neighbours."""
    rows, places, _ = gaps()
    train = rows_of("train")
    both, left = defaultdict(Counter), defaultdict(Counter)
    for row in train.tolist():
        for a, b, c in zip(row, row[1:], row[2:], strict=False):
            both[a, c][b] += 1
            left[a][b] += 1
    five = NGramLM(V, 5, smoothing="kneser_ney").fit(train.flatten())
    found: dict[str, list[int]] = {"neighbours": [], "five words": []}
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        after = row[place + 1] if place + 1 < LENGTH else None
        votes = both[row[place - 1], after] or left[row[place - 1]]
        said = votes.most_common(1)[0][0] if votes else UNK
        found["neighbours"].append(int(said == row[place]))
        logits = five(torch.tensor([row[:place]]))[0, -1]
        found["five words"].append(int(logits.argmax().item() == row[place]))
    return found


def baselines() -> dict[str, Any]:
    """Everything that needs no training of a network."""
    told = sentences("test")[:TEXTS]
    real = [[CLS, SEP, *[w for s in story for w in s][: GIVEN + WRITTEN]] for story in told]
    return {
        "gaps": count_baselines(),
        "elsewhere": seen_elsewhere(),
        "pairs": shared_words(),
        "probes": {name: probe(bags, task) for task, name in enumerate(("plot", "order"))},
        "openings": [as_text(row[2 : 2 + GIVEN]) for row in real[:3]],
        "real": real,
    }


if __name__ == "__main__":
    for task, found in baselines().items():
        if isinstance(found, dict) and task != "pairs":
            print(task, {name: round(sum(x) / len(x), 3) for name, x in found.items()})

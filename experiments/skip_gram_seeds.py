"""Word vectors from ten seeds: same-kind neighbours and the arithmetic of analogies, counted.

The skip-gram objective of the chapter "From text to tokens", over all pairs at once, with other
random starts and other numbers of steps. Used by that chapter.
"""

import argparse
import re
import time
from collections import Counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.corpora import bible
from minillm.results import store

COMMON, WIDTH, NEGATIVE, RATE, SEEDS = 1500, 50, 5, 0.03, range(10)
STEPS = (50, 100, 200, 300)
KINDS = (
    "one two three four five six seven eight nine ten",
    "father mother son daughter brother sister wife husband",
    "gold silver brass iron stone wood",
    "hand eye head foot mouth heart feet hands eyes face",
    "horse sheep ox ass lion lamb goat cow camels horses oxen",
    "bread wine oil meal fruit grain water honey cakes",
    "sword spear army war bow arrows",
)
ANALOGIES = (  # a : b as c : wanted
    ("man", "king", "woman", "queen"),
    ("father", "son", "mother", "daughter"),
    ("one", "first", "two", "second"),
    ("hand", "hands", "eye", "eyes"),
)


def company(words: list[str], index: dict[str, int], window: int = 4) -> Tensor:
    """How often two common words stand within the window: (V, V), symmetric."""
    ids, size = torch.tensor([index.get(word, COMMON) for word in words]), COMMON + 1
    pairs = torch.zeros(size * size)
    for gap in range(1, window + 1):
        pairs += torch.bincount(ids[:-gap] * size + ids[gap:], minlength=size * size)
    one_way = pairs.view(size, size)[:-1, :-1]
    return one_way + one_way.T


def judge(u: Tensor, index: dict[str, int]) -> dict[str, Any]:
    """Same-kind share of the sixty words, and for each analogy what comes out."""
    names, unit = list(index), F.normalize(u, dim=-1)
    chosen = [(word, kind) for kind, group in enumerate(KINDS) for word in group.split()]
    rows = unit[[index[word] for word, _ in chosen]]
    closest = (rows @ rows.T).fill_diagonal_(-1).argmax(-1).tolist()
    same = sum(kind == chosen[i][1] for (_, kind), i in zip(chosen, closest, strict=True))
    lines = []
    for a, b, c, wanted in ANALOGIES:
        target = u[index[b]] - u[index[a]] + u[index[c]]
        ranked = [names[i] for i in (unit @ target).argsort(descending=True).tolist()]
        others = [word for word in ranked if word not in {a, b, c}]
        lines.append([ranked[0], others[0], others.index(wanted) + 1])
    return {"same_kind": same / len(chosen), "analogies": lines}


def main() -> None:
    """Train from every seed, judge at several numbers of steps, and store it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    began = time.process_time()
    text = "\n".join(verse.text for verse in bible("bbe").train)
    words = re.findall("[a-z]+", text.lower())
    index = {word: i for i, (word, _) in enumerate(Counter(words).most_common(COMMON))}
    real = company(words, index)
    real /= real.sum()
    both = real + NEGATIVE * real.sum(1)[:, None] * real.sum(0)
    runs = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        u, v = (0.1 * torch.randn(COMMON, WIDTH) for _ in "uv")
        optimizer = torch.optim.Adam([u.requires_grad_(), v.requires_grad_()], lr=RATE)
        for step in range(1, max(STEPS) + 1):
            products = u @ v.T
            loss = (both * F.softplus(products) - real * products).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            if step in STEPS:
                row = {"seed": seed, "steps": step, "loss": round(loss.item(), 4)}
                runs.append(row | judge(u.detach(), index))
                print(runs[-1], flush=True)
    store(
        "skip_gram_seeds",
        {"analogies": ANALOGIES, "steps": STEPS, "runs": runs},
        command="python experiments/skip_gram_seeds.py",
        seeds=list(SEEDS),
        seconds=time.process_time() - began,
        data={"training text": text},
    )


if __name__ == "__main__":
    main()

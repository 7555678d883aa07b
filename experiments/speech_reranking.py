"""Re-rank simulated n-best lists of a speech recogniser by language models.

    python experiments/speech_reranking.py

Sentences of the simulated world are turned into the sounds of a dictionary, some sounds are
misheard, and an ear that knows how frequent words are guesses the twelve cheapest sequences of
words. Every guess is then scored by an n-gram, by the book's own story-teller and by
SmolLM2-135M-Instruct. Stored are the guesses, their acoustic costs and log p of each model. The
weights are chosen in the chapter "Extracting facts", on the validation lists.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jiwer
import torch
from finetuning import finished, log_file

import minillm
from minillm import NGramLM, results
from minillm.corpora.mishearing import Ear, mishear
from minillm.corpora.pronunciations import pronunciations
from minillm.corpora.stories import tell

TRAIN, HELD = (6, 1000), (7, 260)
RATE, N, LENGTHS, UNSEEN = 0.08, 12, range(5, 13), 12.0
PARTS = {"validation": (0, 150), "test": (150, 400)}
WEIGHTS = (0.1, 0.2, 0.4, 0.8, 1.6)


def sentences(which: tuple[int, int]) -> dict[str, int]:
    """The sentences of the first stories of a seed, each once, and the story where it first is."""
    seed, count = which
    cut, found = re.compile(r'(?<=[.!?])"?\s+'), {}
    for i in range(count):
        for text in cut.split(tell(seed, i).text):
            found.setdefault(text, i)
    return found


def spoken(text: str) -> list[str]:
    """Its words in small letters."""
    return re.findall(r"[a-z']+", text.lower())


def lexicon(tokens: Sequence[bytes], known: set[str]) -> dict[str, Any]:
    """Frequent words, those that are one token of a real model, and the known ones, with sounds."""
    whole = [t.decode()[1:].lower() for t in tokens if re.fullmatch(rb" [A-Za-z][a-z]*", t)]
    return pronunciations({*whole, *known})


def lists(held: Sequence[tuple[str, int]], ear: Ear, said: dict[str, Any]) -> list[Any]:
    """What each sentence is heard as: guesses and their acoustic costs; and its story."""
    rng = random.Random(0)
    found = []
    for text, story in held:
        phones = [phone for word in spoken(text) for phone in rng.choice(said[word])]
        heard = mishear(phones, RATE, rng)
        guesses = [guess[:2] for guess in ear.guesses(heard, N)]
        row = {"truth": " ".join(spoken(text)), "heard": " ".join(heard), "guesses": guesses}
        found.append({**row, "story": story})
    return found


def written(words: str, cased: dict[str, str]) -> str:
    """A guess as a sentence: names and the first word with capitals, a full stop."""
    text = " ".join(cased.get(word, word) for word in words.split())
    return text[:1].upper() + text[1:] + "."


@torch.inference_mode()
def by_network(name: str, texts: Sequence[str], batch: int = 48) -> list[float]:
    """Return log p of each text after the token that stands between texts."""
    loaded = minillm.load(
        name, dtype=minillm.fast_dtype("cpu") if "smol" in name else torch.float32
    )
    tokenizer = loaded.tokenizer
    start = tokenizer.special["<|endoftext|>"]
    ids = [[start, *tokenizer.encode(text)] for text in texts]
    order, found = sorted(range(len(ids)), key=lambda i: len(ids[i])), [0.0] * len(ids)
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        width = max(len(ids[i]) for i in rows)
        tokens = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in rows])
        log_p = loaded.model(tokens[:, :-1]).float().log_softmax(-1)
        picked = log_p.gather(2, tokens[:, 1:, None])[..., 0]
        for i, row in zip(rows, picked, strict=True):
            found[i] = row[: len(ids[i]) - 1].sum().item()
    return found


def by_counts(train: Sequence[str], texts: Sequence[str], order: int) -> list[float]:
    """Return log p of each text by an n-gram of words; a word that was not counted is the id 1."""
    counts = Counter(word for text in train for word in spoken(text))
    ids = {word: i for i, word in enumerate(counts, start=2)}
    model = NGramLM(len(ids) + 2, order, boundary=0)
    model.fit([[ids[word] for word in spoken(text)] for text in train])
    rows = [[ids.get(word, 1) for word in text.split()] for text in texts]
    return [model.log_probs([row]).sum().item() for row in rows]


def casing(train: Sequence[str]) -> dict[str, str]:
    """The usual form of each word that has a capital in the middle of a sentence."""
    whole = " ".join(train)
    names = {w for text in train for w in re.findall(r"(?<=[a-z] )[A-Z][a-z]+", text)}
    found = {}
    for word in sorted(names):
        forms = Counter(re.findall(rf"\b{word}\b", whole, re.IGNORECASE))
        found[word.lower()] = forms.most_common(1)[0][0]
    return found


def errors(found: Sequence[Any]) -> float:
    """Word error rate of the first guesses."""
    return jiwer.wer(
        [f["truth"] for f in found], [f["guesses"][0][0] if f["guesses"] else "" for f in found]
    )


def scored(
    name: str, done: dict[str, Any], train: Sequence[str], cased: dict[str, str]
) -> dict[str, list[list[float]]]:
    """Return log p of every guess under one model."""
    scores = {}
    for part in PARTS:
        rows = [[words for words, _ in f["guesses"]] for f in done[part]]
        flat = [words for row in rows for words in row]
        if name[0].isdigit():
            p = by_counts(train, flat, int(name[0]))
        else:
            p = by_network(name, [written(words, cased) for words in flat])
        it = iter(p)
        scores[part] = [[round(next(it), 2) for _ in row] for row in rows]
    return scores


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "speech_reranking")
    train = list(sentences(TRAIN))
    counts = Counter(word for text in train for word in spoken(text))
    total = sum(counts.values())
    rarity = {word: -math.log(n / total) for word, n in counts.items()}
    tokens = minillm.load("smollm2-135m-instruct").tokenizer.tokens
    said = lexicon(tokens, set(counts))
    heard = set(train)
    held = [
        (text, story)
        for text, story in sentences(HELD).items()
        if text not in heard
        and len(spoken(text)) in LENGTHS
        and all(w in said for w in spoken(text))
    ]
    random.Random(0).shuffle(held)
    cased = casing(train)
    print(len(train), len(said), len(held), len(cased), flush=True)

    def choose() -> dict[str, Any]:
        first, last = PARTS["validation"]
        tried = {}
        for weight in WEIGHTS:
            ear = Ear(said, rarity, unseen=UNSEEN, weight=weight)
            tried[str(weight)] = errors(lists(held[first:last], ear, said))
        return {"wer": tried, "best": min(tried, key=tried.__getitem__)}

    def plan(done: dict[str, Any]) -> dict[str, Any]:
        def hear(part: str) -> list[Any]:
            first, last = PARTS[part]
            weight = float(done["ear"]["best"])
            ear = Ear(said, rarity, unseen=UNSEEN, weight=weight)
            return lists(held[first:last], ear, said)

        names = ("1-gram", "3-gram", "story-gpt-nano", "story-gpt", "smollm2-135m-instruct")
        return {
            "ear": choose,
            **{part: lambda p=part: hear(p) for part in PARTS},
            **{name: lambda n=name: scored(n, done, train, cased) for name in names},
        }

    made, seconds = finished(log, plan)
    results.store(
        "speech_reranking",
        {"n": N, "rate": RATE, "cased": cased, **made},
        command="python experiments/speech_reranking.py",
        seeds=(TRAIN[0], HELD[0]),
        seconds=seconds,
        data={"train": "\n".join(train), "held": "\n".join(text for text, _ in held)},
    )


if __name__ == "__main__":
    main()

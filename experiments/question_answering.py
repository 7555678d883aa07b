"""Answer questions from passages: find the passage, let SmolLM2 read it, attack it.

    python experiments/question_answering.py --partial FILE

Places of the right passage by BM25, MiniLM and both (countries in English and Chinese, stories,
this book). SmolLM2-135M-Instruct reads what was found: with and without the permission to say that
it does not know, with the passage in the library and with the passage taken out; without a passage;
with three; with one into which an attacker has written. Stored are the answers, their mean log
probabilities and the signals of the search; the chapter "Question answering and retrieval" does
the rest. About 20 minutes on one core; stops and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import torch
from question_answering_data import (
    ATTACKS_NEW,
    ATTACKS_SEEN,
    Item,
    book,
    draw,
    geo,
    judged,
    poisoned,
    request,
    tales,
)
from torch import Tensor

import minillm
from minillm import BM25, reciprocal_rank_fusion, results, sentence_vectors
from minillm.inference.generate import left_pad, stream
from minillm.inference.retrieval import words

BATCH, NEW_TOKENS = 16, 24
SENTENCE = re.compile(r"(?<=[.!?])\s+")
SUSPICIOUS = re.compile(r"ignore|instruction|answer|reply|system|important|note:", re.IGNORECASE)
CHINESE = {
    "words": words,
    "characters": lambda text: re.findall(r"\w", text),
    "pairs": lambda text: [text[i : i + 2] for i in range(len(text) - 1)],
}


class Reader:
    """SmolLM2 with a memory of what it was asked, kept in a file."""

    def __init__(self, partial: Path | None) -> None:
        self.smol = minillm.load("smollm2-135m-instruct", dtype=minillm.fast_dtype("cpu"))
        self.partial = partial
        known = partial is not None and partial.exists()
        self.told: dict[str, Any] = json.loads(partial.read_text()) if known else {}

    def ask(self, conversations: list[list[dict[str, str]]]) -> list[list[Any]]:
        """The answer to each, as text, and the mean log probability of its tokens."""
        prompts = [self.smol.chat_template.render(c) for c in conversations]
        new = sorted({p for p in prompts if p not in self.told}, key=len)
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self.told |= dict(zip(batch, self._batch(batch), strict=True))
            self.keep()
        return [self.told[p] for p in prompts]

    def keep(self) -> None:
        """Write what is known to the file, if there is one."""
        if self.partial:
            self.partial.write_text(json.dumps(self.told), encoding="utf-8")

    def _batch(self, prompts: list[str]) -> list[list[Any]]:
        tokenizer, stop = self.smol.tokenizer, self.smol.stop
        tokens, mask = left_pad([tokenizer.encode(p, allow_special=True) for p in prompts])
        ids: list[list[int]] = [[] for _ in prompts]
        logs: list[list[float]] = [[] for _ in prompts]
        done = [False] * len(prompts)
        model = self.smol.model
        for step in stream(model, tokens, max_new_tokens=NEW_TOKENS, stop=stop, mask=mask):
            log_p = step.logits.float().log_softmax(-1).gather(-1, step.token)
            for row, token in enumerate(step.token.flatten().tolist()):
                if not done[row]:
                    logs[row].append(log_p[row].item())
                    done[row] = token in stop
                    ids[row] += [] if done[row] else [token]
        return [
            [tokenizer.decode(row).strip(), round(sum(log) / len(log), 4)]
            for row, log in zip(ids, logs, strict=True)
        ]


class Search:
    """A library that can be searched by words, by vectors, and by both."""

    def __init__(self, encoder: minillm.Loaded, library: list[str], cut: Any = words) -> None:
        self.encoder, self.library, self.cut = encoder, library, cut
        self.documents = [cut(text) for text in library]
        self.vectors = sentence_vectors(encoder.model, encoder.tokenizer, library)
        self.known: dict[str, Tensor] = {}

    def cosines(self, questions: list[str]) -> Tensor:
        """(questions, passages)."""
        new = list({q: None for q in questions if q not in self.known})
        if new:
            vectors = sentence_vectors(self.encoder.model, self.encoder.tokenizer, new)
            self.known |= dict(zip(new, vectors, strict=True))
        return torch.stack([self.known[q] for q in questions]) @ self.vectors.T

    def rankings(
        self, item: Item, cosines: Tensor, *, without: bool = False
    ) -> tuple[dict[str, list[int]], dict[str, float]]:
        """All passages, the best first, in three ways, and what the search thinks of the first."""
        kept = [i for i in range(len(self.library)) if not (without and i == item.gold)]
        index = BM25([self.documents[i] for i in kept])
        query = self.cut(item.question)
        scores = index.scores(query)
        by_words = [kept[j] for j in sorted(range(len(kept)), key=lambda j: -scores[j])]
        by_vectors = [kept[j] for j in cosines[kept].argsort(descending=True, stable=True).tolist()]
        both = reciprocal_rank_fusion([by_words, by_vectors])
        first = kept.index(both[0])
        signals = {
            "cosine": round(cosines[both[0]].item(), 4),
            "BM25": round(scores[first], 4),
            "coverage": round(index.coverage(query, first), 4),
        }
        return {"BM25": by_words, "MiniLM": by_vectors, "fused": both}, signals


def places(search: Search, items: list[Item]) -> dict[str, list[int]]:
    """Of each question the place of its passage, by each way."""
    found: dict[str, list[int]] = {"BM25": [], "MiniLM": [], "fused": []}
    for item, cosines in zip(items, search.cosines([i.question for i in items]), strict=True):
        for way, ranking in search.rankings(item, cosines)[0].items():
            found[way].append(ranking.index(item.gold) + 1)
    return found


def read(
    reader: Reader, search: Search, items: list[Item], form: str, *, k: int = 1, out: bool = False
) -> list[dict[str, Any]]:
    """Find, read and answer; `out` takes the right passage away first."""
    rows, asked = [], []
    for item, cosines in zip(items, search.cosines([i.question for i in items]), strict=True):
        ranking, signals = search.rankings(item, cosines, without=out)
        best = ranking["fused"][:k]
        rows.append(item._asdict() | {"read": best, "signals": signals})
        asked.append(request(item.question, [search.library[i] for i in best], form))
    for row, (text, log_p) in zip(rows, reader.ask(asked), strict=True):
        row |= {"told": text, "log_p": log_p}
    return rows


def filtered(passage: str) -> str:
    """The sentences that do not look like orders."""
    kept = [s for s in SENTENCE.split(passage) if not SUSPICIOUS.search(s)]
    return " ".join(kept)


def best_sentence(index: BM25, passage: str, question: str) -> str:
    """The sentence that shares most with the question, words weighed by how rare they are."""
    asked = set(words(question))
    sentences = SENTENCE.split(passage)
    return max(sentences, key=lambda s: sum(index.idf(w) for w in asked & set(words(s))))


def attacks(reader: Reader, search: Search, items: list[Item], kind: str) -> list[dict[str, Any]]:
    """Every attack on every question, with each defence; and the same without an attack."""
    index = BM25(search.documents)
    orders = {"seen": ATTACKS_SEEN, "new": ATTACKS_NEW}[kind]
    spots = {"seen": ("behind",), "new": ("front", "behind")}[kind]
    cases = [(item, None, "") for item in items]
    cases += [(item, a, where) for item in items for a in range(len(orders)) for where in spots]
    rows, asked = [], []
    for item, attack, where in cases:
        text = search.library[item.gold]
        if attack is not None:
            text = poisoned(text, orders[attack], item.question, where)
        shown = {
            "none": (text, "plain"),
            "fence": (text, "fenced"),
            "filter": (filtered(text), "plain"),
            "sentence": (best_sentence(index, text, item.question), "plain"),
        }
        for defence, (passage, form) in shown.items():
            asked.append(request(item.question, [passage], form))
            rows.append(
                item._asdict()
                | {"attack": attack, "where": where, "defence": defence, "passage": passage}
            )
    for row, (told, _) in zip(rows, reader.ask(asked), strict=True):
        row["told"] = told
    return rows


def say(name: str, rows: list[Any]) -> None:
    """A line of progress."""
    print(name, len(rows), round(time.process_time()), flush=True)


def all_readings(
    reader: Reader, search: dict[str, Search], parts: dict[str, dict[str, list[Item]]]
) -> dict[str, Any]:
    """What is read after a search, with the right passage in the library and without it."""
    out: dict[str, Any] = {}
    for name, n in (("countries", 50), ("stories", 24)):
        drawn = draw(parts[name]["validation"], n)
        for part, items in (("validation", drawn), ("test", judged(name, parts[name]))):
            for form in ("plain", "refuse") if name == "countries" else ("plain",):
                for gone in (False, True):
                    key = f"{name} {part} {form}" + (" gone" if gone else "")
                    out[key] = read(reader, search[name], items, form, out=gone)
                    say(key, out[key])
            out[f"{name} {part} few"] = read(reader, search[name], items, "few")
    for part in ("validation", "test"):
        items = parts["book"][part]
        out[f"book {part}"] = read(reader, search["book"], items, "plain", k=3)
        say(f"book {part}", items)
    items = judged("countries", parts["countries"])[:24]
    for form in ("plain", "cite"):
        out[f"countries three {form}"] = read(reader, search["countries"], items, form, k=3)
        say(f"countries three {form}", items)
    return out


def without_search(
    reader: Reader, search: dict[str, Search], parts: dict[str, dict[str, list[Item]]]
) -> dict[str, Any]:
    """The same test questions without any passage, and with the right one."""
    out = {}
    for name in ("countries", "stories"):
        items, texts = judged(name, parts[name]), search[name].library
        asked = {
            "closed": [request(i.question, [], "closed") for i in items],
            "right passage": [request(i.question, [texts[i.gold]], "plain") for i in items],
        }
        for form, conversations in asked.items():
            told = zip(items, reader.ask(conversations), strict=True)
            out[f"{name} {form}"] = [item._asdict() | {"told": text} for item, (text, _) in told]
            say(f"{name} {form}", items)
    return out


def all_places(
    encoder: minillm.Loaded, search: dict[str, Search], parts: dict[str, dict[str, list[Item]]]
) -> dict[str, Any]:
    """Where the right passages stand in the rankings, with all questions that there are."""
    out = {}
    for name, keys in (
        ("countries", ("train", "validation", "test")),
        ("stories", ("validation", "test")),
        ("book", ("self-check",)),
    ):
        out[name] = places(search[name], [item for key in keys for item in parts[name][key]])
        say(f"places {name}", out[name]["fused"])
    library, chinese = geo("zh")
    every, searched = [item for part in chinese.values() for item in part], Search(encoder, library)
    for name, cut in CHINESE.items():
        searched.cut, searched.documents = cut, [cut(text) for text in library]
        out[f"Chinese {name}"] = places(searched, every)
        say(f"Chinese {name}", every)
    return out


def main() -> int:
    """Everything, one after the other."""
    parser = argparse.ArgumentParser(description="Find, read and answer.")
    parser.add_argument("--partial", type=Path, help="a file that keeps what is done so far")
    torch.set_num_threads(1)
    reader, encoder = Reader(parser.parse_args().partial), minillm.load("minilm-l6")
    sets = {"countries": geo(), "stories": tales(), "book": book()}
    search = {name: Search(encoder, library) for name, (library, _) in sets.items()}
    parts = {name: parts for name, (_, parts) in sets.items()}
    key = "places"
    if key not in reader.told:
        reader.told[key] = all_places(encoder, search, parts)
        reader.keep()
    read_all = all_readings(reader, search, parts) | without_search(reader, search, parts)
    countries = parts["countries"]
    attacked = {
        kind: attacks(reader, search["countries"], draw(countries[part], n), kind)
        for kind, part, n in (("seen", "validation", 16), ("new", "test", 24))
    }
    say("attacks", attacked["new"])
    results.store(
        "question_answering",
        {"read": read_all, "attacks": attacked, "places": reader.told[key]},
        command="python experiments/question_answering.py --partial FILE",
        seeds=[0, 1, 3],
        seconds=time.process_time(),
        data={name: "\n".join(library) for name, (library, _) in sets.items()}
        | {"Chinese": "\n".join(geo("zh")[0])},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

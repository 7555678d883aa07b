"""SmolLM2 summarises stories, long texts and real texts, and looks for a fact in a long text.

    python experiments/summaries.py

Stories: three prompts on validation stories, the best by ROUGE-L on test stories. Long texts: ten
stories in a row, at once, cut, in pieces, and the pieces' summaries again.
Needle: one odd sentence at five places in texts of several lengths, eight sentences for each.
Stored are the answers; the chapter scores them. In bfloat16, greedily.

About 20 minutes on one core with units for bfloat16; stops and goes on where it was. Used by the
chapter "Summaries and long text".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from finetuning import finished, log_file
from rouge_score.rouge_scorer import RougeScorer

import minillm
from minillm import results
from minillm.corpora import bible, python_topics
from minillm.corpora.stories import Story, stories

TESTED, TRIED, BATCH = 40, 10, 10
LENGTHS, DEPTHS = (256, 512, 1024, 2048), (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTION = "Summarize this story in one sentence. Say who did what."
NEEDLES = (
    ("Omar keeps his key in the blue teapot.", "Where does Omar keep his key?", "teapot"),
    ("The password of the tower is marmalade.", "What is the password of the tower?", "marmalade"),
    ("Greta's favourite animal is the walrus.", "What is Greta's favourite animal?", "walrus"),
    ("The train to Lisbon leaves from platform nine.", "From where does the train to Lisbon "
     "leave?", "nine"),
    ("Doctor Silva was born in Helsinki.", "Where was Doctor Silva born?", "helsinki"),
    ("The name of the captain's parrot is Pickles.", "What is the name of the captain's parrot?",
     "pickles"),
    ("Yusuf paid for the bicycle with seven pearls.", "With what did Yusuf pay for the bicycle?",
     "pearls"),
    ("The bakery on Mill Street sells purple bread.", "What colour is the bread of the bakery on "
     "Mill Street?", "purple"),
)  # fmt: skip
Run = dict[str, Any]


class Reader:
    """SmolLM2, and what it has read and written so far."""

    def __init__(self) -> None:
        self.loaded = minillm.load("smollm2-135m-instruct", dtype=torch.bfloat16)
        self.tokenizer, self.template = self.loaded.tokenizer, self.loaded.chat_template
        self.end = self.tokenizer.encode("\n")[0]
        self.read = self.wrote = 0

    def chat(self, *turns: str) -> list[int]:
        """Ids of a conversation in which the user and the assistant take turns."""
        roles = ("user", "assistant")
        named = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]
        return self.template.encode(self.tokenizer, named)

    def answers(self, prompts: Sequence[list[int]], new: int, *, line: bool = True) -> list[str]:
        """Greedy answers, each up to the end of its line (or of the answer)."""
        stop = [*self.loaded.stop, *([self.end] if line else [])]
        found: list[str] = []
        for first in range(0, len(prompts), BATCH):
            rows = prompts[first : first + BATCH]
            tokens, mask = minillm.left_pad(rows)
            out = minillm.generate(
                self.loaded.model, tokens, mask=mask, max_new_tokens=new, stop=stop
            )
            for row, ids in zip(rows, out[:, tokens.shape[1] :].tolist(), strict=True):
                cut = next((i for i, token in enumerate(ids) if token in stop), len(ids))
                self.read, self.wrote = self.read + len(row), self.wrote + cut
                found.append(self.tokenizer.decode(ids[:cut]).strip())
        return found


def examples(train: Sequence[Story]) -> list[Story]:
    """Two short stories of different plots, told in the third person."""
    told = [story for story in train if story.style in ("plain", "lively")]
    first: dict[str, Story] = {}
    for story in sorted(told, key=lambda story: len(story.text)):
        first.setdefault(story.plot, story)
    return list(first.values())[:2]


def prompt(reader: Reader, way: str, shown: Sequence[Story], text: str) -> list[int]:
    """A prompt of one of the three ways."""
    if way == "form, 2 examples":
        before = "".join(f"Story: {s.text}\nSummary: {s.summary}\n\n" for s in shown)
        return list(reader.tokenizer.encode(f"{before}Story: {text}\nSummary:"))
    turns = [t for s in shown for t in (f"{QUESTION}\n\n{s.text}", s.summary)]
    return reader.chat(*(turns if way == "chat, 2 examples" else []), f"{QUESTION}\n\n{text}")


WAYS = ("chat", "chat, 2 examples", "form, 2 examples")


def summaries(reader: Reader, way: str, shown: Sequence[Story], part: Sequence[str]) -> list[str]:
    """One summary for each text."""
    return reader.answers([prompt(reader, way, shown, text) for text in part], 40)


def best_way(tried: Run, part: Sequence[Story]) -> str:
    """The way with the best mean ROUGE-L on validation stories."""
    scorer = RougeScorer(["rougeL"])

    def mean(way: str) -> float:
        pairs = zip(part, tried[way], strict=True)
        return sum(scorer.score(s.summary, text)["rougeL"].fmeasure for s, text in pairs)

    return max(WAYS, key=mean)


def pieces(ids: Sequence[int], size: int, step: int) -> list[list[int]]:
    """Windows of `size` tokens, one every `step` tokens."""
    return [list(ids[i : i + size]) for i in range(0, max(len(ids) - size + step, 1), step)]


def long_text(reader: Reader, way: str, shown: Sequence[Story], text: str) -> Run:
    """Four ways to summarise one long text, each with its cost."""
    ids = reader.tokenizer.encode(text)
    windows = [reader.tokenizer.decode(piece) for piece in pieces(ids, 220, 180)]
    made: Run = {}

    def note(name: str, parts: list[str]) -> None:
        made[name] = {
            "text": " ".join(parts),
            "read": reader.read,
            "wrote": reader.wrote,
            "seconds": time.process_time() - began,
        }

    whole = "Summarize this text in three sentences. Say who did what."
    for name, shortened in (("whole", text), ("beginning", reader.tokenizer.decode(ids[:400]))):
        reader.read = reader.wrote = 0
        began = time.process_time()
        note(name, reader.answers([reader.chat(f"{whole}\n\n{shortened}")], 100))
    reader.read = reader.wrote = 0
    began = time.process_time()
    note("windows", summaries(reader, way, shown, windows))
    again = reader.chat(f"{whole}\n\n{made['windows']['text']}")
    note("map-reduce", reader.answers([again], 100))
    return made


def haystack(reader: Reader, length: int, number: int) -> list[str]:
    """Verses in a row, about `length` tokens of them, others for each number."""
    verses = sorted(bible("bbe").train, key=lambda verse: verse.id)
    start, found, size = 2000 + 1700 * number, [], 0
    for verse in verses[start:]:
        size += len(reader.tokenizer.encode(verse.text)) + 1
        if size > length:
            break
        found.append(verse.text)
    return found


def needle(reader: Reader, length: int, depth: float | None) -> list[str]:
    """Eight answers: the sentence stands at `depth` of the text (0 first, 1 last), or nowhere."""
    prompts = []
    for number, (fact, question, _) in enumerate(NEEDLES):
        verses = haystack(reader, length, number)
        if depth is not None:
            verses.insert(round(depth * len(verses)), fact)
        text = " ".join(verses)
        prompts.append(reader.chat(f"{text}\n\nAnswer from the text in a few words. {question}"))
    return reader.answers(prompts, 16)


def real_texts() -> dict[str, str]:
    """Four chapters of Jonah (King James), and four topics of Python's manual."""
    corpus = bible("kjv")
    verses = sorted(corpus.train + corpus.validation + corpus.test, key=lambda verse: verse.id)
    found = {
        f"Jonah {n}": " ".join(v.text for v in verses if v.id // 1000 == 32000 + n)
        for n in (1, 2, 3, 4)
    }
    topics, names = python_topics(), ("while", "del", "pass", "global")
    return found | {name: " ".join(topics[name].split()) for name in names}


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "summaries")
    reader, corpus = Reader(), stories(6000, seed=2)
    shown, held, tested = examples(corpus.train), corpus.validation[:TRIED], corpus.test[:TESTED]
    third = [s for s in corpus.test[TESTED:] if s.style in ("plain", "lively", "terse")]
    long = [" ".join(s.text for s in third[10 * i : 10 * i + 10]) for i in range(4)]
    texts = real_texts()

    def plan(done: Run) -> Run:
        def way() -> str:
            return best_way({w: done[f"tried {w}"] for w in WAYS}, held)

        words, ask = [s.text for s in tested], "Summarize this text in two sentences."
        made: Run = {
            f"tried {w}": lambda w=w: summaries(reader, w, shown, [s.text for s in held])
            for w in WAYS
        }
        made["best"] = way
        made["test"] = lambda: summaries(reader, done["best"], shown, words)
        made["needle none"] = lambda: needle(reader, LENGTHS[0], None)
        for length in LENGTHS:
            for depth in DEPTHS:
                made[f"needle {length} {depth}"] = lambda n=length, d=depth: needle(reader, n, d)
        made["long"] = lambda: [long_text(reader, done["best"], shown, text) for text in long]
        questions = [reader.chat(f"{ask}\n\n{text}") for text in texts.values()]
        made["real"] = lambda: dict(
            zip(texts, reader.answers(questions, 80, line=False), strict=True)
        )
        return made

    made, seconds = finished(log, plan)
    results.store(
        "summaries",
        {"needles": NEEDLES, "lengths": LENGTHS, "depths": DEPTHS, **made},
        command="python experiments/summaries.py",
        seeds=(),
        seconds=seconds,
        data={
            "stories": "\n".join(s.text for s in tested),
            "long": "\n".join(long),
            "real": "\n".join(texts.values()),
        },
    )


if __name__ == "__main__":
    main()

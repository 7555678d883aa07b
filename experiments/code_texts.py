"""Describe and complete functions of the standard library, and ask whether they are known by heart.

    python experiments/code_texts.py

SmolLM2-135M-Instruct writes one line about each function (two prompts, chosen on other modules),
with its name and with the name replaced by "f"; it writes the next line of functions, beside a
5-gram model that has counted the training modules; and it reads well-known functions and the
functions of this book's own package, as they are and with their local names replaced.

About 10 minutes on one core; stops and goes on where it was. Used by the chapter "Code".
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from code_names import Renamed, book_functions, known_functions, renamed
from finetuning import finished, log_file
from programs import Writer
from sacrebleu.metrics import CHRF

import minillm
from minillm import GREEDY, NGramLM, results
from minillm.corpora.functions import Function, stdlib_functions
from minillm.corpora.problems import code_problems

PER_MODULE, LONGEST, SCORED, LINE, HEARD = 8, 350, 40, 32, 40
SHOWN = ("calendar.isleap", "heapq.heappush", "glob.glob")


def picked(part: Sequence[Function], tokenizer: Any, most: int) -> list[Function]:
    """At most so many functions of each module, none of them long, by chance."""
    order = list(part)
    random.Random(0).shuffle(order)
    kept, seen = [], Counter[str]()
    for f in order:
        module = f.name.partition(".")[0]
        if seen[module] < most and len(tokenizer.encode(f.code)) <= LONGEST:
            seen[module] += 1
            kept.append(f)
    return kept


def examples() -> list[Function]:
    """Three functions of the training part to show."""
    by_name = {f.name: f for f in stdlib_functions().train}
    return [by_name[name] for name in SHOWN]


def without_name(f: Function) -> str:
    """The code with the function's name replaced by "f" wherever it stands."""
    return re.sub(rf"\b{re.escape(f.name.rpartition('.')[2])}\b", "f", f.code)


def question(code: str) -> str:
    """Examples first, the line last."""
    shown = "".join(f"{f.code}\n# In one line: {f.summary}\n\n\n" for f in examples())
    return f"{shown}{code}\n# In one line:"


def request(code: str) -> str:
    """The model's own chat form, without an example."""
    return (
        "<|im_start|>user\nSay in one line what this Python function does.\n\n"
        f"```python\n{code}\n```<|im_end|>\n<|im_start|>assistant\n"
    )


PROMPTS = {"examples": question, "chat": request}


def described(writer: Writer, codes: Sequence[str], prompt: str) -> list[str]:
    """One line about each function."""
    said = writer.write([PROMPTS[prompt](code) for code in codes], GREEDY, new=LINE)
    return [(text.strip().split("\n") or [""])[0].strip() for text in said]


def cuts(functions: Sequence[Function]) -> list[tuple[str, str]]:
    """For each function its beginning, cut after a line by chance, and the line that follows."""
    chance, found = random.Random(1), []
    for f in functions:
        lines = f.text.split("\n")
        places = [i for i in range(2, len(lines)) if lines[i].strip() and lines[i - 1].strip()]
        if places:
            place = chance.choice(places)
            found.append(("\n".join(lines[:place]), lines[place]))
    return found


def next_lines(writer: Writer, parts: Sequence[tuple[str, str]]) -> list[str]:
    """The line that the model writes next."""
    stop, writer.stop = writer.stop, torch.tensor(sorted({*writer.special_token_ids}))
    said = writer.write([before for before, _ in parts], GREEDY, new=LINE)
    writer.stop = stop
    return [text.lstrip("\n").split("\n")[0] for text in said]


class Counted:
    """A 5-gram model of the training modules, over the tokens that occur there."""

    def __init__(self, tokenizer: Any, order: int = 5) -> None:
        self.tokenizer = tokenizer
        texts = [tokenizer.encode(f"{f.text}\n") for f in stdlib_functions().train]
        self.ids = sorted({i for text in texts for i in text})
        self.number = {i: n for n, i in enumerate(self.ids, 2)}  # 0: between texts, 1: unknown
        rows = [[self.number[i] for i in text] for text in texts]
        self.model = NGramLM(len(self.ids) + 2, order, boundary=0).fit(rows)

    def numbers(self, text: str) -> torch.Tensor:
        """A text in the model's own numbers (1, T)."""
        return torch.tensor([[self.number.get(i, 1) for i in self.tokenizer.encode(text)]])

    def write(self, before: str, stop: Sequence[int] = (), new: int = LINE) -> str:
        """What it writes next, up to a token of `stop`."""
        tokens, ends = self.numbers(before), {0, *(self.number.get(i, 0) for i in stop)}
        out = minillm.generate(self.model, tokens, max_new_tokens=new, stop=ends)
        row = [n for n in out[0, tokens.shape[1] :].tolist() if n > 1 and n not in ends]
        return self.tokenizer.decode([self.ids[n - 2] for n in row])


def hits(model: Any, tokens: torch.Tensor) -> list[int]:
    """How many tokens of a text there are, the first left out, and how many it guesses."""
    with torch.inference_mode():
        guess = model(tokens[:, :-1]).argmax(-1)
    return [tokens.shape[1] - 1, int((guess == tokens[:, 1:]).sum())]


@torch.inference_mode()
def kept_loss(writer: Writer, code: str, changed: Sequence[tuple[int, int]]) -> list[float]:
    """Nats of the characters outside the changed places, and their number.

    A token counts if it lies outside of all of them.
    """
    ids = [writer.end, *writer.tokenizer.encode(code)]
    row = torch.tensor([ids])
    log_p = writer.loaded.model(row[:, :-1]).float().log_softmax(-1)
    nats = -log_p.gather(2, row[:, 1:, None])[0, :, 0]
    total, letters, place = 0.0, 0, 0
    for i, loss in zip(ids[1:], nats.tolist(), strict=True):
        end = place + len(writer.tokenizer.tokens[i])
        if not any(a < end and place < b for a, b in changed):
            total, letters = total + loss, letters + end - place
        place = end
    return [total, letters]


def losses(writer: Writer, both: Sequence[Renamed]) -> list[list[list[float]]]:
    """Of each function the loss as it is, and with new names."""
    return [[kept_loss(writer, r.code, r.places), kept_loss(writer, r.new, r.new_places)]
            for r in both]  # fmt: skip


def heard(writer: Writer, codes: Sequence[str]) -> list[list[int]]:
    """For each function, of the tokens behind its first half: how many are written, in a row."""
    halves = []
    for code in codes:
        ids = writer.tokenizer.encode(code)
        halves.append((ids[: len(ids) // 2], ids[len(ids) // 2 :][:HEARD]))
    stop, writer.stop = writer.stop, torch.tensor(sorted({*writer.special_token_ids}))
    said = writer.write_ids([first for first, _ in halves], GREEDY, new=HEARD)
    writer.stop = stop
    rows = []
    for (_, truth), row in zip(halves, said, strict=True):
        pairs = list(zip(truth, row, strict=False))
        same = next((k for k, (a, b) in enumerate(pairs) if a != b), len(pairs))
        rows.append([same, len(truth)])
    return rows


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "code_texts")
    writer, corpus = Writer(), stdlib_functions()
    table = Counted(writer.tokenizer)
    val = picked(corpus.validation, writer.tokenizer, 2)
    test = picked(corpus.test, writer.tokenizer, PER_MODULE)
    parts = cuts(test)
    known, own = known_functions(), book_functions()

    def choose() -> dict[str, Any]:
        chrf = CHRF()
        said = {name: described(writer, [f.code for f in val], name) for name in PROMPTS}
        score = {
            name: sum(chrf.sentence_score(line, [f.summary]).score
                      for line, f in zip(lines, val, strict=True)) / len(val)
            for name, lines in said.items()
        }  # fmt: skip
        return {"score": score, "best": max(score, key=score.__getitem__)}

    def plan(done: dict[str, Any]) -> dict[str, Any]:
        def best() -> str:
            return str(done["prompt"]["best"])

        both = {"known": [renamed(code) for _, code in known], "own": [renamed(c) for _, c in own]}
        return {
            "functions": lambda: [f.name for f in test],
            "prompt": choose,
            "described": lambda: described(writer, [f.code for f in test], best()),
            "described, no name": lambda: described(writer, [*map(without_name, test)], best()),
            "cuts": lambda: parts,
            "next line": lambda: next_lines(writer, parts),
            "tokens": lambda: [
                hits(writer.loaded.model, torch.tensor([writer.tokenizer.encode(f.text)]))
                for f in test[:SCORED]
            ],
            "tokens, 5-gram": lambda: [
                hits(table.model, table.numbers(f.text)) for f in test[:SCORED]
            ],
            "next line, 5-gram": lambda: [
                table.write(before).lstrip("\n").split("\n")[0] for before, _ in parts
            ],
            "bodies, 5-gram": lambda: [
                table.write(p.prompt, writer.stop.tolist(), 96) for p in code_problems()
            ],
            "known": lambda: known,
            "own": lambda: own,
            **{f"loss, {k}": lambda k=k: losses(writer, both[k]) for k in both},
            **{f"heard, {k}": lambda k=k: heard(writer, [r.code for r in both[k]]) for k in both},
            **{f"heard, {k}, renamed": lambda k=k: heard(writer, [r.new for r in both[k]])
               for k in both},
        }  # fmt: skip

    made, seconds = finished(log, plan)
    results.store(
        "code_texts",
        made,
        command="python experiments/code_texts.py",
        seeds=(0, 1),
        seconds=seconds,
        data={"functions": "\n".join(f.text for f in test)},
    )


if __name__ == "__main__":
    main()

"""Ask a small language model who gave what to whom, with and without constraints.

    python experiments/extraction.py

SmolLM2-135M-Instruct reads a few sentences of a simulated world and writes giver, thing and
receiver as JSON, greedily: freely, inside the shape of the answer, and inside the shape with values
that stand in the text. Three prompts are compared on other stories, freely, and the best one is
kept; the one without an example is tried, too. At last all answers that can be made of the text are
scored whole, for the first texts. Stored is every answer. Used by the chapter "Extracting facts".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch
from finetuning import finished, log_file

import minillm
from minillm import results
from minillm.corpora.stories import tell
from minillm.corpora.stories.transfers import Transfer, transfers
from minillm.inference.constrained import Constrained, TokenMask
from minillm.inference.generate import left_pad
from minillm.inference.patterns import LETTERS, Pattern, many, one_of, sequence
from minillm.inference.prefix_cache import shared_length

VALIDATION, TEST, SEARCHED, BATCH, NEW = (4, 80), (5, 290), 20, 32, 40
FIELDS = ("giver", "thing", "receiver")
EXAMPLES = (
    ("Anna had a red ball. Ben asked for it. Anna threw the ball to Ben.", "Anna ball Ben"),
    ("Carl found the hat of Dora. Dora was glad. He gave it back to her.", "Carl hat Dora"),
    ('Eve had a new pen. "Here, Finn," said Eve. Finn took the pen and smiled.', "Eve pen Finn"),
    ("Gus and Hilda sat down. Hilda was hungry. Gus handed her an apple.", "Gus apple Hilda"),
)
TASK = "Who gives what to whom? Answer in JSON with the keys giver, thing and receiver."


def answer(values: Sequence[str]) -> str:
    """The JSON text of three values."""
    return json.dumps(dict(zip(FIELDS, values, strict=True)))


def plain(text: str, n: int = 4) -> str:
    """A form with examples in front."""
    parts = [f"Text: {t}\nAnswer: {answer(a.split())}\n\n" for t, a in EXAMPLES[:n]]
    return f"{TASK}\n\n" + "".join(parts) + f"Text: {text}\nAnswer:"


PROMPTS = {
    "4 examples": plain,
    "1 example": lambda text: plain(text, 1),
    "no example": lambda text: plain(text, 0),
}


def words_of(text: str) -> tuple[list[str], list[str]]:
    """The names in a text, and its other words: capitals in mid-sentence tell them apart."""
    words = re.findall(r"[A-Za-z-]+", text)
    small = {word for word in words if word[0].islower()}
    names = {word for word in words if word[0].isupper() and word.lower() not in small}
    names -= {"He", "She", "It", "In", "But", "So", "Then", "For", "May", "Here", "Take", "Oh"}
    return sorted(names), sorted(small)


def shape(start: str) -> Pattern:
    """Three values of letters."""
    letter = one_of(list(LETTERS + " -"))
    word = sequence(letter, many(letter))
    return sequence(
        start + '{"giver": "', word, '", "thing": "', word, '", "receiver": "', word, '"}'
    )


def from_text(text: str, start: str) -> Pattern:
    """Two names and a word of the text."""
    names, words = map(one_of, words_of(text))
    return sequence(
        start + '{"giver": "', names, '", "thing": "', words, '", "receiver": "', names, '"}'
    )


class SharedState:
    """The state of a model after a beginning that does not count as text."""

    def __init__(self, state: Any, before: int) -> None:
        self.state, self.before = state, before

    def __len__(self) -> int:
        return len(self.state) - self.before

    def reorder(self, index: torch.Tensor) -> None:
        """Keep the rows `index`."""
        self.state.reorder(index)


class Shared:
    """A model that has read the same beginning in every row, once."""

    def __init__(self, model: Any, ids: list[int]) -> None:
        self.model, self.ids, self.config = model, torch.tensor([ids]), None

    def new_state(self, batch: int, length: int) -> SharedState:
        """A state that has read the beginning."""
        state = self.model.new_state(1, self.ids.shape[1] + length)
        self.model.transformer(self.ids, state=state)
        state.reorder(torch.zeros(batch, dtype=torch.long))
        return SharedState(state, self.ids.shape[1])

    def __call__(self, tokens: torch.Tensor, *, state: SharedState, mask: torch.Tensor) -> Any:
        """Logits after the last token."""
        whole = torch.cat((mask.new_ones(len(mask), state.before), mask), dim=1)
        return self.model.next_logits(tokens, state=state.state, mask=whole)[:, None]


class Asker:
    """The model and what is needed to ask it."""

    def __init__(self) -> None:
        self.loaded = minillm.load("smollm2-135m-instruct", dtype=minillm.fast_dtype("cpu"))
        self.tokenizer = self.loaded.tokenizer
        special = self.tokenizer.special
        self.end = special["<|im_end|>"]
        self.ends = (self.end, special["<|endoftext|>"])
        self.newline = self.tokenizer.encode("\n")[0]
        self.mask = TokenMask(self.tokenizer.tokens, end=self.end, special=special.values())

    def ids(self, prompts: Sequence[str]) -> list[list[int]]:
        """Tokens of prompts."""
        return [self.tokenizer.encode(prompt, allow_special=True) for prompt in prompts]

    def write(
        self,
        prompts: Sequence[str],
        patterns: Sequence[Pattern] | None = None,
        new: int = NEW,
    ) -> list[str]:
        """A greedy continuation of each prompt, inside its pattern if there are patterns."""
        ids = self.ids(prompts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        found = [""] * len(ids)
        # After examples an answer is one line; without them it may have several.
        stop = (*self.ends, self.newline) if "Answer: {" in prompts[0] else self.ends
        same = min(shared_length(ids[0], row) for row in ids[1:])
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            tokens, real = left_pad([ids[i][same:] for i in rows])
            model: Any = Shared(self.loaded.model, ids[0][:same])
            if patterns is not None:
                model = Constrained(model, [patterns[i] for i in rows], self.mask)
            out = minillm.generate(model, tokens, mask=real, max_new_tokens=new, stop=stop)
            for i, row in zip(rows, out[:, tokens.shape[1] :].tolist(), strict=True):
                kept = row[: next((k for k, t in enumerate(row) if t in stop), len(row))]
                found[i] = self.tokenizer.decode(kept)
        return found

    @torch.inference_mode()
    def scores(self, prompt: str, answers: Sequence[str]) -> list[float]:
        """Return log p of each answer with its end, after the prompt, which is read once."""
        [ids] = self.ids([prompt])
        texts = [[*self.tokenizer.encode(a), self.end] for a in answers]
        width = max(map(len, texts))
        state = self.loaded.model.new_state(1, len(ids) + width)
        self.loaded.model(torch.tensor([ids[:-1]]), state=state)
        state.reorder(torch.zeros(len(texts), dtype=torch.long))
        rows = torch.tensor([[ids[-1], *t] + [0] * (width - len(t)) for t in texts])
        log_p = self.loaded.model(rows[:, :-1], state=state).float().log_softmax(-1)
        picked = log_p.gather(2, rows[:, 1:, None])[..., 0]
        return [row[: len(t)].sum().item() for row, t in zip(picked, texts, strict=True)]


def read(said: str) -> dict[str, str] | None:
    """The three values of an answer, or None if it is not an object of three texts."""
    try:
        found = json.loads((re.search(r"\{[^{}]*\}", said) or [said])[0])
    except (ValueError, RecursionError):
        return None
    good = isinstance(found, dict) and set(found) == set(FIELDS)
    return found if good and all(isinstance(v, str) for v in found.values()) else None


def right(said: str, truth: Transfer) -> list[bool]:
    """Which fields are right; of the thing the last word counts."""
    found = read(said)
    if found is None:
        return [False] * 3
    noun = (found["thing"].split() or [""])[-1]
    return [found["giver"] == truth.giver, noun == truth.thing, found["receiver"] == truth.receiver]


def material(which: tuple[int, int]) -> list[Transfer]:
    """The transfers of the first stories of a seed."""
    seed, count = which
    return transfers(tell(seed, i) for i in range(count))


def searched(asker: Asker, make: Any, truth: Sequence[Transfer], start: str) -> list[str]:
    """The answer with the highest probability among all that can be made of the text."""
    found = []
    for t in truth:
        names, words = words_of(t.text)
        nouns = [
            w
            for w in words
            if w in re.findall(r"(?:the|an?|your|my) (?:[a-z-]+ )?([a-z-]+)", t.text)
        ]
        every = [start + answer((g, x, r)) for g, r in permutations(names, 2) for x in nouns]
        scores = asker.scores(make(t.text), every)
        found.append(every[max(range(len(every)), key=scores.__getitem__)].strip())
    return found


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "extraction")
    asker = Asker()
    val, test = material(VALIDATION), material(TEST)

    def choose() -> dict[str, Any]:
        said = {name: asker.write([p(t.text) for t in val]) for name, p in PROMPTS.items()}
        score = {
            name: sum(all(right(s, t)) for s, t in zip(answers, val, strict=True)) / len(val)
            for name, answers in said.items()
        }
        return {"said": said, "score": score, "best": max(score, key=score.__getitem__)}

    def asked(prompt: str, kind: str) -> list[str]:
        patterns = {
            "free": None,
            "shape": [shape(" ")] * len(test),
            "text": [from_text(t.text, " ") for t in test],
        }[kind]
        return asker.write([PROMPTS[prompt](t.text) for t in test], patterns)

    def plan(done: dict[str, Any]) -> dict[str, Any]:
        def best() -> str:
            return str(done["prompt"]["best"])

        return {
            "prompt": choose,
            **{kind: lambda k=kind: asked(best(), k) for kind in ("free", "text", "shape")},
            "free, no example": lambda: asked("no example", "free"),
            "text, no example": lambda: asked("no example", "text"),
            "searched": lambda: searched(asker, PROMPTS[best()], test[:SEARCHED], " "),
        }

    made, seconds = finished(log, plan)
    results.store(
        "extraction",
        made,
        command="python experiments/extraction.py",
        seeds=(VALIDATION[0], TEST[0]),
        seconds=seconds,
        data={"test": "\n".join(t.text for t in test)},
    )


if __name__ == "__main__":
    main()

"""Let a language model translate without training it: SmolLM2-135M-Instruct, by prompting.

    python experiments/prompted_translation.py dates      # about 3 minutes of one core
    python experiments/prompted_translation.py verses     # about 3 minutes of one core

Two prompts without examples (a question to the assistant; a form to be filled in) and the form
behind examples of the training part, 4 or 12 dates, or 3 verses. The question or the form, and the
number of dates, are chosen on validation pairs; what is chosen answers the test pairs, the examples
in three draws. All answers are greedy; of each the first line counts. The model runs in bfloat16.
Used by the chapter "Translation".
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import sacrebleu
import torch
from date_translator import LANGUAGES

import minillm
from minillm import results
from minillm.corpora import Pair, dates, verse_pairs

NAMES = {"de": "German", "fr": "French", "es": "Spanish", "zh": "Chinese"}
BATCH = 40
HELD, TEST = 10, 40  # dates of each language
VERSES_HELD, VERSES_EVERY = 20, 12  # verses to choose on; of the test verses every twelfth
ROOM = {"dates": 24, "verses": 48}
Ask = Callable[[str, str], str]


def question(source: str, to: str) -> str:
    """A request to the assistant that the model was tuned to be."""
    if to == "Basic":
        return f"Rewrite this sentence in simple modern English. Answer with it only.\n{source}"
    return f"Translate this date into {to}. Answer with the date only.\n{source}"


def form(source: str, to: str) -> str:
    """A form to be filled in."""
    return f"{'Old' if to == 'Basic' else 'English'}: {source}\n{to}:"


def examples(pairs: Sequence[Pair], to: str, count: int, draw: int) -> str:
    """Filled-in forms of some training pairs, in random order."""
    chosen = random.Random(draw).sample(pairs, count)
    return "".join(f"{form(pair.source, to)} {pair.target}\n\n" for pair in chosen)


@torch.inference_mode()
def answers(
    loaded: minillm.Loaded, prompts: Sequence[str], start: str = "", *, room: int
) -> list[str]:
    """The first line of each greedy answer; all prompts stand behind `start`, read once."""
    model, tokenizer = loaded.model, loaded.tokenizer
    assert isinstance(model, minillm.CausalLM)
    assert isinstance(tokenizer, minillm.BPETokenizer)
    before = torch.tensor([tokenizer.encode(start, allow_special=True)], dtype=torch.long)
    ids = [tokenizer.encode(prompt, allow_special=True) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    texts = [""] * len(ids)
    stops = torch.tensor([*loaded.stop, *tokenizer.encode("\n")])
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        tokens, real = minillm.left_pad([ids[i] for i in rows])
        state = model.new_state(1, before.shape[1] + tokens.shape[1] + room)
        if before.shape[1]:
            model.transformer(before, state=state)
        state.reorder(torch.zeros(len(rows), dtype=torch.long))
        mask = torch.cat((torch.ones(len(rows), before.shape[1], dtype=torch.bool), real), 1)
        written = [tokens]
        done = torch.zeros(len(rows), 1, dtype=torch.bool)
        while len(written) <= room and not done.all():
            logits = model.next_logits(written[-1], state=state, mask=mask)
            written.append(logits.argmax(-1, keepdim=True))
            done |= torch.isin(written[-1], stops)
            mask = torch.cat((mask, torch.ones(len(rows), 1, dtype=torch.bool)), 1)
        for i, row in zip(rows, torch.cat(written[1:], 1).tolist(), strict=True):
            text = tokenizer.decode(row).split("<|im_end|>")[0].split("\n")[0]
            texts[i] = text.strip()
    return texts


class Prompted:
    """The model, asked in one of the ways for all pairs of one task."""

    def __init__(self, task: str) -> None:
        self.task, self.loaded = task, minillm.load("smollm2-135m-instruct", dtype=torch.bfloat16)

    def ask(self, way: str, count: int, draw: int, pairs: dict[str, Sequence[Pair]]) -> list[str]:
        """Translations of the pairs of every language, one language after the other."""
        texts = []
        for language, rows in pairs.items():
            to, start = NAMES.get(language, "Basic"), ""
            train = dates(language).train if language in NAMES else verse_pairs().train
            if count:
                start = examples(train, to, count, draw)
            if way == "question":
                turns = [[{"role": "user", "content": question(p.source, to)}] for p in rows]
                assert self.loaded.chat_template is not None
                prompts = [self.loaded.chat_template.render(turn) for turn in turns]
            else:
                prompts = [form(pair.source, to) for pair in rows]
            texts += answers(self.loaded, prompts, start, room=ROOM[self.task])
        return texts

    def score(self, texts: list[str], pairs: dict[str, Sequence[Pair]]) -> float:
        """The share of right dates; BLEU of verses."""
        right = [pair.target for rows in pairs.values() for pair in rows]
        if self.task == "verses":
            return float(sacrebleu.corpus_bleu(texts, [right]).score)
        return sum(a == b for a, b in zip(texts, right, strict=True)) / len(right)


def main() -> None:
    """Choose on validation pairs, answer the test pairs, and store all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("dates", "verses"))
    task = parser.parse_args().task
    torch.set_num_threads(1)
    held: dict[str, Sequence[Pair]]
    test: dict[str, Sequence[Pair]]
    if task == "dates":
        held = {name: dates(name).validation[:HELD] for name in LANGUAGES}
        test = {name: dates(name).test[:TEST] for name in LANGUAGES}
        counts, draws = [4, 12], [0, 1, 2]
    else:
        held = {"basic": verse_pairs().validation[:: 1399 // VERSES_HELD][:VERSES_HELD]}
        test = {"basic": verse_pairs().test[::VERSES_EVERY]}
        counts, draws = [3], [0, 1, 2]
    began, prompted = time.process_time(), Prompted(task)
    ways = [("question", 0), ("form", 0), *(("form", count) for count in counts)]
    tried: list[dict[str, Any]] = []
    for way, count in ways:
        texts = prompted.ask(way, count, 0, held)
        tried.append({"way": way, "examples": count, "score": prompted.score(texts, held)})
        print(tried[-1], texts[:: len(texts) // 4], round(time.process_time() - began), flush=True)
    zero = max(tried[:2], key=lambda t: t["score"])
    few = max(tried[2:], key=lambda t: t["score"])
    given = [{**zero, "draw": 0}, *({**few, "draw": draw} for draw in draws)]
    for run in given:
        run["answers"] = prompted.ask(run["way"], run["examples"], run["draw"], test)
        run["score"] = prompted.score(run["answers"], test)
        seconds = time.process_time() - began
        print(run["way"], run["examples"], run["draw"], run["score"], round(seconds), flush=True)
    results.store(
        f"prompted_{task}",
        {
            "model": "smollm2-135m-instruct",
            "tried": tried,
            "test": given,
            "held": {k: len(rows) for k, rows in held.items()},
        },
        command=f"python experiments/prompted_translation.py {task}",
        seeds=draws,
        seconds=time.process_time() - began,
        data={task: "\n".join(pair.text for rows in test.values() for pair in rows)},
    )


if __name__ == "__main__":
    main()

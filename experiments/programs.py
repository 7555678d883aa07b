"""Let a small language model write functions, run them, and count which are right.

    python experiments/programs.py

SmolLM2-135M-Instruct writes the bodies of 48 small functions (24 familiar problems and a twist of
each). Three prompts are compared on 16 problems to choose with; then all problems, greedily and at
three temperatures. Inside a grammar of Python: all of them greedily, and at temperature 1 those to
judge with. At last what failed greedily is corrected, with its error message and without. Stored
are the texts, and for each text what became of it.

About 20 minutes on one core; stops and goes on where it was. Used by the chapter "Code".
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import llguidance
import numpy as np
import torch
from finetuning import finished, log_file

import minillm
from minillm import Sampling, results
from minillm.corpora.problems import Problem, code_problems
from minillm.inference.generate import left_pad
from minillm.inference.sampling import sample
from minillm.programs.grammar import python_grammar
from minillm.programs.run import run_python
from minillm.programs.score import right_calls

TEMPERATURES, N, NEW, BATCH, SEED = (0.2, 0.6, 1.0), 20, 96, 64, 0
REPAIRS = 8
EXAMPLES = '''def triple(n):
    """Return n times three."""
    return 3 * n


def positive(numbers):
    """Return a list of the numbers above zero."""
    return [n for n in numbers if n > 0]


'''
PROMPTS: dict[str, Callable[[Problem], str]] = {
    "head": lambda p: p.prompt,
    "two examples": lambda p: EXAMPLES + p.prompt,
    "chat": lambda p: (
        "<|im_start|>user\nComplete this Python function. Write nothing but code.\n\n"
        f"{p.prompt}<|im_end|>\n<|im_start|>assistant\n```python\n{p.prompt}"
    ),
}


class Done:
    """An automaton that allows everything."""

    def is_accepting(self) -> bool:
        """Whether the text may end."""
        return True

    def consume_token(self, token: int) -> None:
        """Read a token."""


DONE = Done()


class Writer:
    """The model, and what is needed to let it write."""

    def __init__(self) -> None:
        self.loaded = minillm.load("smollm2-135m-instruct", dtype=minillm.fast_dtype("cpu"))
        self.tokenizer = self.loaded.tokenizer
        tokens, special = self.tokenizer.tokens, self.tokenizer.special
        self.end = special["<|endoftext|>"]
        # A line that begins at the left edge ends a function. The tokenizer cuts a run of blanks
        # before its last sign, so only before such a line is a token made of newlines alone.
        lines = [i for i, token in enumerate(tokens) if token and set(token) == {10}]
        self.stop = torch.tensor(sorted({*lines, *special.values()}))
        self.grammar = llguidance.LLTokenizer(llguidance.TokenizerWrapper(self))

    # What llguidance wants to know about a tokenizer:
    bos_token_id = None

    @property
    def eos_token_id(self) -> int:
        """The id that ends a text."""
        return self.end

    @property
    def special_token_ids(self) -> list[int]:
        """The ids that are no text."""
        return list(self.tokenizer.special.values())

    @property
    def tokens(self) -> list[bytes]:
        """The bytes of every id."""
        return list(self.tokenizer.tokens)

    def __call__(self, text: bytes) -> list[int]:
        """The ids of a text."""
        return list(self.tokenizer.encode(text.decode()))

    def matcher(self, grammar: str) -> Any:
        """An automaton for one text."""
        return llguidance.LLMatcher(self.grammar, llguidance.LLMatcher.grammar_from_lark(grammar))

    def write(
        self, prompts: Sequence[str], sampling: Sampling, *, grammar: str | None = None,
        new: int = NEW, seed: int = SEED,
    ) -> list[str]:  # fmt: skip
        """A continuation of each prompt, up to the end of the function."""
        ids = [self.tokenizer.encode(prompt, allow_special=True) for prompt in prompts]
        rows = self.write_ids(ids, sampling, grammar=grammar, new=new, seed=seed)
        return [self.tokenizer.decode(row) for row in rows]

    def write_ids(
        self, ids: list[list[int]], sampling: Sampling, *, grammar: str | None = None,
        new: int = NEW, seed: int = SEED,
    ) -> list[list[int]]:  # fmt: skip
        """The same from tokens to tokens."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        generator = torch.Generator().manual_seed(seed)
        found: list[list[int]] = [[] for _ in ids]
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            texts = self._batch([ids[i] for i in rows], sampling, grammar, new, generator)
            for i, text in zip(rows, texts, strict=True):
                found[i] = text
        return found

    @torch.inference_mode()
    def _batch(
        self, ids: list[list[int]], sampling: Sampling, grammar: str | None, new: int,
        generator: torch.Generator,
    ) -> list[list[int]]:  # fmt: skip
        """Write until every row has ended; a row that has ended is dropped."""
        tokens, mask = left_pad(ids)
        model = self.loaded.model
        state = model.new_state(len(ids), tokens.shape[1] + new)
        texts: list[list[int]] = [[] for _ in ids]
        alive = list(range(len(ids)))
        automata = {i: self.matcher(grammar) for i in alive} if grammar else {}
        for _ in range(new):
            logits = model.next_logits(tokens, state=state, mask=mask).float()
            if grammar:
                for row, i in enumerate(alive):
                    allowed = np.frombuffer(automata[i].compute_logit_bias(), np.uint8) > 0
                    logits[row, : len(allowed)][~torch.from_numpy(allowed)] = -torch.inf
                    logits[row, len(allowed) :] = -torch.inf
            tokens = sample(logits, sampling, generator=generator)
            keep = (~torch.isin(tokens[:, 0], self.stop)).tolist()
            # Inside a grammar a newline may be the beginning of a further line.
            keep = [k or not automata.get(i, DONE).is_accepting()
                    for k, i in zip(keep, alive, strict=True)]  # fmt: skip
            for i, token in zip(
                compress(alive, keep), compress(tokens[:, 0].tolist(), keep), strict=True
            ):
                texts[i].append(token)
                automata.get(i, DONE).consume_token(token)
            stay = torch.tensor([row for row, k in enumerate(keep) if k], dtype=torch.long)
            if not len(stay):
                break
            if len(stay) < len(alive):
                state.reorder(stay)
                alive, tokens, mask = [alive[r] for r in stay.tolist()], tokens[stay], mask[stay]
            mask = torch.cat((mask, mask.new_ones(len(mask), 1)), dim=1)
        return texts


RAN: dict[tuple[str, tuple[str, ...]], Any] = {}


def judged(problem: Problem, body: str, other: Problem) -> dict[str, Any]:
    """What became of a body: the kind of its end, and whether it solves the problem or its pair."""
    code = f"{problem.prompt}{body}\n"
    if (code, problem.calls) not in RAN:
        RAN[code, problem.calls] = run_python(code, problem.calls)
    outcome = RAN[code, problem.calls]
    right = right_calls(outcome, problem.values)
    kind, message = outcome.kind, outcome.message
    if all(right):
        kind = "right"
    elif outcome.ok:
        wrong = right.index(False)
        error = outcome.errors[wrong]
        kind, message = error or ("wrong value", "")
        if error is None:
            message = f"{problem.calls[wrong]} returned {outcome.values[wrong]}"
    if kind == "right" and not all(right):  # an error may bear any name
        kind = "Exception"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(code, "program", "exec", dont_inherit=True)
            valid = True
        except (SyntaxError, ValueError):
            valid = False
    return {
        "kind": kind,
        "message": message[:200],
        "valid": valid,
        "calls": right,
        "as other": all(right_calls(outcome, other.values)),
    }


def with_verdicts(problems: Sequence[Problem], rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Put behind each text and its number what became of it."""
    every = list(code_problems())
    return [
        [[text, times, judged(p, text, every[every.index(p) ^ 1])] for text, times in row]
        for p, row in zip(problems, rows, strict=True)
    ]


def tried(
    writer: Writer, problems: Sequence[Problem], make: Callable[[Problem], str], sampling: Sampling,
    *, n: int = 1, grammar: str | None = None,
) -> list[Any]:  # fmt: skip
    """Draw n bodies of each problem: the different ones, the most frequent first, and how often."""
    prompts = [make(p) for p in problems for _ in range(n)]
    texts = writer.write(prompts, sampling, grammar=grammar)
    drawn = [texts[i : i + n] for i in range(0, len(texts), n)]
    return [[[text, times] for text, times in Counter(row).most_common()] for row in drawn]


def share(problems: Sequence[Problem], written: list[Any]) -> float:
    """The mean share of right bodies."""
    rows = with_verdicts(problems, written)
    each = [sum(t for _, t, v in row if v["kind"] == "right") / sum(t for _, t, _ in row)
            for row in rows]  # fmt: skip
    return sum(each) / len(each)


def repaired(writer: Writer, written: list[Any], make: Callable[[Problem], str]) -> dict[str, Any]:
    """Further tries for each test problem that failed greedily, with and without its error."""
    every = code_problems()
    greedy = with_verdicts(every, written)
    failed = [i for i, row in enumerate(greedy)
              if not every[i].development and row[0][2]["kind"] != "right"]  # fmt: skip
    seen = {every[i].prompt: greedy[i][0] for i in failed}

    def before(p: Problem, *, message: bool) -> str:
        body, _, verdict = seen[p.prompt]
        said = f"# {verdict['kind']}: {verdict['message']}\n" if message else ""
        first = f"{p.prompt}{body}\n\n\n# The function above is wrong.\n{said}"
        return make(p).removesuffix(p.prompt) + first + f"# Corrected:\n{p.prompt}"

    sampling = Sampling(temperature=0.6)
    ways: dict[str, Callable[[Problem], str]] = {
        "told that it is wrong": lambda p: before(p, message=False),
        "told the error": lambda p: before(p, message=True),
    }
    problems = [every[i] for i in failed]
    rows = {name: tried(writer, problems, way, sampling, n=REPAIRS) for name, way in ways.items()}
    return {"problems": failed, **rows}


def main() -> None:
    """Make what is not there yet, then store everything."""
    log = log_file(__doc__, "programs")
    writer, everything = Writer(), code_problems()
    choose = [p for p in everything if p.development]
    judge = [p for p in everything if not p.development]
    grammar = python_grammar()

    def prompts() -> dict[str, Any]:
        rows = {n: tried(writer, choose, make, Sampling(temperature=0.2), n=5)
                for n, make in PROMPTS.items()}  # fmt: skip
        score = {name: share(choose, row) for name, row in rows.items()}
        return {"rows": rows, "score": score, "best": max(score, key=score.__getitem__)}

    def plan(done: dict[str, Any]) -> dict[str, Any]:
        def best() -> Callable[[Problem], str]:
            return PROMPTS[done["prompt"]["best"]]

        def at(t: float, n: int, inside: str | None = None) -> Callable[[], list[Any]]:
            drawn = Sampling(temperature=t) if t else Sampling(temperature=0)
            return lambda: tried(writer, everything, best(), drawn, n=n, grammar=inside)

        steps = {"prompt": prompts, "greedy": at(0, 1), "greedy, grammar": at(0, 1, grammar)}
        steps |= {f"{t}": at(t, N) for t in TEMPERATURES}
        steps["1.0, grammar"] = lambda: tried(
            writer, judge, best(), Sampling(temperature=1.0), n=N, grammar=grammar
        )
        steps["repair"] = lambda: repaired(writer, done["greedy"], best())
        return steps

    made, seconds = finished(log, plan)
    again = made["repair"]["problems"]
    for name, rows in made.items():
        if name not in {"prompt", "repair"}:
            made[name] = with_verdicts(judge if name == "1.0, grammar" else everything, rows)
    for name in set(made["repair"]) - {"problems"}:
        made["repair"][name] = with_verdicts([everything[i] for i in again], made["repair"][name])
    made["prompt"] = {key: made["prompt"][key] for key in ("score", "best")}
    results.store(
        "programs",
        made,
        command="python experiments/programs.py",
        seeds=(SEED,),
        seconds=seconds,
        data={"problems": "\n".join(p.solution for p in everything), "grammar": grammar},
    )


if __name__ == "__main__":
    main()

"""Speculative decoding step by step: what a draft proposes, what the target lets stand.

The rounds are those of texts that `speculative_generate` wrote; the page only shows them in turn.
What a reader can find out: a refused proposal takes all behind it along, and the fewer the
proposals, the fewer are lost, but the more passes of the target a text takes. Book: chapter
"Generating text".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from minillm.inference.speculative import Round, Speculation
from minillm.widgets.base import Explorable, Fallback, bundle, member, within

MAX_ROUNDS, MAX_PROPOSALS, MAX_RUNS = 60, 12, 6


class SpeculativeSteps(Explorable):
    """Texts that were written speculatively, one proposal after the other.

    A pass has the steps: the draft proposes; each judged proposal, one at a time; the target's
    own token.

    Args:
        runs: what `speculative_generate` returned, by a name such as "4 proposals"; at most 6
            texts of at most 60 passes with at most 12 proposals.
        decode: the text of a list of token ids.
        prompt: the beginning that was continued.
        step: the one that is shown first, from 1.

    Raises:
        ValueError: If there is no run, one is too long, or the first has no such step.

    >>> import torch
    >>> ids, half = torch.tensor([3, 4]), torch.tensor([0.5, 0.5])
    >>> one = Round(ids, half, torch.tensor([0.5, 0.1]), torch.tensor([0.9, 0.9]), 1, ids[:1])
    >>> view = SpeculativeSteps({"k = 2": Speculation(ids[None], (one,))}, lambda i: "abcdef"[i[0]])
    >>> view.steps("k = 2"), view.rounds("k = 2")[0]["own"]
    (4, 'd')

    Book: chapter "Generating text".
    """

    _esm = bundle("speculative.js")
    run = traitlets.Unicode().tag(sync=True)
    step = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        runs: Mapping[str, Speculation],
        decode: Callable[[list[int]], str],
        *,
        prompt: str = "",
        step: int = 1,
    ) -> None:
        within("the number of runs", len(runs), 1, MAX_RUNS)
        self._runs = {name: _told(name, run, decode) for name, run in runs.items()}
        told = [{"name": name, "rounds": rounds} for name, rounds in self._runs.items()]
        first = next(iter(runs))
        super().__init__(
            {"prompt": prompt, "runs": told},
            run=first,
            step=int(within("step", step, 1, self.steps(first))),
        )

    def rounds(self, run: str) -> list[dict[str, Any]]:
        """The passes of a run: proposals with q, p and the drawn number, how many stayed, `own`."""
        return list(self._runs[member("run", run, list(self._runs))])

    def steps(self, run: str) -> int:
        """How many steps the passes of a run have together."""
        return sum(2 + _judged(one) for one in self.rounds(run))

    def fallback(self) -> Fallback:
        """The first pass in words, and for each run its passes and what they brought."""
        name, rounds = next(iter(self._runs.items()))
        one = rounds[0]
        proposed = "".join(item["token"] for item in one["proposed"])
        after = f" after “{self.data['prompt']}”" if self.data["prompt"] else ""
        sentence = (
            f"Speculative decoding step by step{after}. In the first pass with {name} the draft "
            f"proposes “{proposed.strip()}”; {one['kept']} of {len(one['proposed'])} tokens stay, "
            f"and the target adds “{one['own'].strip()}”."
        )
        header = ("run", "passes of the target", "tokens", "judged", "stayed")
        return Fallback(sentence, header, [_totals(n, rows) for n, rows in self._runs.items()])


def _judged(one: Mapping[str, Any]) -> int:
    """Proposals up to the first refused one."""
    return min(one["kept"] + 1, len(one["proposed"]))


def _totals(name: str, rounds: list[dict[str, Any]]) -> tuple[str, ...]:
    kept = sum(one["kept"] for one in rounds)
    judged = sum(_judged(one) for one in rounds)
    return name, str(len(rounds)), str(kept + len(rounds)), str(judged), str(kept)


def _told(name: str, run: Speculation, decode: Callable[[list[int]], str]) -> list[dict[str, Any]]:
    within(f"the number of passes of {name!r}", run.calls, 1, MAX_ROUNDS)
    return [_round(name, one, decode) for one in run.rounds]


def _round(name: str, one: Round, decode: Callable[[list[int]], str]) -> dict[str, Any]:
    ids = one.proposed.tolist()
    within(f"the number of proposals of {name!r}", len(ids), 0, MAX_PROPOSALS)
    rows = zip(ids, one.q.tolist(), one.p.tolist(), one.chances.tolist(), strict=True)
    return {
        "proposed": [
            {"token": decode([i]), "q": round(q, 4), "p": round(p, 4), "drawn": round(u, 4)}
            for i, q, p, u in rows
        ],
        "kept": one.kept,
        "own": decode(one.own.tolist()),
    }

"""Beam search as a tree: what was kept and dropped at each step, and where the greedy text went.

The steps are those of a real search, told by `beam_steps`; the page only draws them. What a reader
can find out: the greedy text may fall behind and drop out of the beams, and a text that wins in
the end may have begun behind others. Book: chapter "Generating text".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from minillm.inference.beam import BeamStep
from minillm.widgets.base import Explorable, Fallback, bundle, within

MAX_STEPS, MAX_WIDTH = 8, 12
Text = tuple[int, ...]


class BeamTree(Explorable):
    """The steps of a beam search, one after the other.

    Args:
        steps: what `beam_steps` told of the search, at most 8 steps of at most 11 candidates.
        greedy: what it told with one beam, as many steps.
        decode: the text of a list of token ids.
        prompt: the beginning that is continued.
        step: the one that is shown first, from 1.

    Raises:
        ValueError: If the searches are of different lengths, have too many steps or candidates,
            a candidate grows from no beam, or there is no such step.

    >>> one = [BeamStep([(3,), (4,)], [-0.5, -1.5], [-0.5, -1.5], kept=1)]
    >>> BeamTree(one, one, lambda ids: "abcdef"[ids[0]]).nodes(1)[0]["token"]
    'd'

    Book: chapter "Generating text".
    """

    _esm = bundle("beam_tree.js")
    step = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        steps: Sequence[BeamStep],
        greedy: Sequence[BeamStep],
        decode: Callable[[list[int]], str],
        *,
        prompt: str = "",
        step: int = 1,
    ) -> None:
        within("the number of steps", len(steps), 1, MAX_STEPS)
        if len(greedy) != len(steps):
            raise ValueError(f"got {len(steps)} steps of the search, but {len(greedy)} greedy ones")
        path = [one.texts[0] for one in greedy]
        told: list[list[dict[str, Any]]] = []
        before: dict[Text, int] = {(): -1}
        for one, alone in zip(steps, greedy, strict=True):
            nodes, before = _nodes(one, alone, path, before, decode)
            within("the number of candidates", len(nodes), 1, MAX_WIDTH)
            told.append(nodes)
        super().__init__(
            {"prompt": prompt, "steps": told, "beams": max(one.kept for one in steps)},
            step=int(within("step", step, 1, len(steps))),
        )

    def nodes(self, step: int) -> list[dict[str, Any]]:
        """The candidates of a step, the best first.

        Each has its token, its text since the prompt, the place of its parent among the candidates
        of the step before (-1 for the prompt), the log-probabilities of token and text, and
        whether it was kept and belongs to the greedy text.
        """
        within("step", step, 1, len(self.data["steps"]))
        return list(self.data["steps"][step - 1])

    def fallback(self) -> Fallback:
        """What was kept after each step, and the greedy text."""
        rows, last = [], self.nodes(len(self.data["steps"]))
        for i, nodes in enumerate(self.data["steps"], start=1):
            best = " | ".join(node["text"].strip() for node in nodes if node["kept"])
            sums = " | ".join(f"{node['total']:.2f}" for node in nodes if node["kept"])
            greedy = next(node for node in nodes if node["greedy"])
            fate = "kept" if greedy["kept"] else "dropped"
            rows.append((str(i), best, sums, f"{greedy['total']:.2f}, {fate}"))
        path = next(node for node in last if node["greedy"])
        after = f" after “{self.data['prompt']}”" if self.data["prompt"] else ""
        sentence = (
            f"Beam search as a tree, with {self.data['beams']} beams and {len(rows)} steps{after}. "
            f"The best text found is “{last[0]['text'].strip()}” with log p = "
            f"{last[0]['total']:.2f}; greedy choice writes “{path['text'].strip()}” with "
            f"{path['total']:.2f}."
        )
        return Fallback(sentence, ("step", "kept texts", "their log p", "greedy log p"), rows)


def _nodes(
    step: BeamStep,
    alone: BeamStep,
    path: Sequence[Text],
    parents: dict[Text, int],
    decode: Callable[[list[int]], str],
) -> tuple[list[dict[str, Any]], dict[Text, int]]:
    """The candidates of one step with the greedy one among them, and the place of each text."""
    found = [
        (text, last, total, i < step.kept)
        for i, (text, last, total) in enumerate(
            zip(step.texts, step.log_probs, step.totals, strict=True)
        )
    ]
    greedy = alone.texts[0]
    if greedy not in step.texts:  # too far behind, or its beginning was dropped before
        found.append((greedy, alone.log_probs[0], alone.totals[0], False))
    found.sort(key=lambda one: (not one[3], -one[2]))
    nodes = []
    for text, last, total, kept in found:
        if text[:-1] not in parents:
            raise ValueError(f"the candidate {list(text)} does not grow from a beam before it")
        nodes.append(
            {
                "token": decode([text[-1]]),
                "text": decode(list(text)),
                "parent": parents[text[:-1]],
                "log_prob": round(last, 4),
                "total": round(total, 4),
                "kept": kept,
                "greedy": text in path,
            }
        )
    return nodes, {text: i for i, (text, *_) in enumerate(found)}

"""Change the positions that SmolLM2 is told, or stop some of its clocks, on three kinds of text.

The loss of every passage is stored, so that differences can be judged pair by pair. Used by the
chapter "Order".
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import minillm
from minillm import results
from minillm.corpora import bible, python_docs, reviews

LENGTH = 128  # tokens of a passage
Change = Callable[[Tensor], Tensor]
CHANGES: dict[str, Change] = {
    "unchanged": lambda p: p,
    "all + 1000": lambda p: p + 1000,
    "times 0.9": lambda p: 0.9 * p,
    "times 2": lambda p: 2 * p,
    "times 0.5": lambda p: 0.5 * p,
    "times 4": lambda p: 4 * p,
    "reversed": lambda p: p.flip(-1),
    "all 0": lambda p: 0 * p,
}
STOPPED = ((0, 4), (4, 8), (8, 12), (12, 16), (16, 32), (12, 32))


@contextmanager
def told(rope: Any, change: Change) -> Iterator[None]:
    """While this lasts, RoPE is told changed positions."""
    handle = rope.register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def standing_still(rope: Any, clocks: slice) -> Iterator[None]:
    """While this lasts, the frequencies of some clocks are 0."""
    slowed = rope.frequencies()
    slowed[clocks] = 0
    rope.frequencies = lambda *_: slowed  # covers the method of this object
    try:
        yield
    finally:
        del rope.frequencies


def texts() -> dict[str, str]:
    """Three kinds of text that no choice of the chapter was made on."""
    return {
        "Python docs": python_docs().validation,
        "film reviews": "\n".join(review.text for review in reviews("movies").validation),
        "Bible (Basic English)": " ".join(verse.text for verse in bible("bbe").validation),
    }


def passages(text: str, tokenizer: Any, number: int) -> list[Tensor]:
    """Pieces of the same number of tokens from different places of a text, each (1, LENGTH)."""
    gap = len(text) // number
    cuts = [text[gap * i : gap * i + 8 * LENGTH] for i in range(number)]
    return [torch.tensor([tokenizer.encode(cut)[:LENGTH]]) for cut in cuts]


@torch.no_grad()
def loss(model: minillm.CausalLM, x: Tensor) -> float:
    """Mean loss of one passage."""
    return round(F.cross_entropy(model(x[:, :-1]).mT, x[:, 1:]).item(), 4)


def main() -> None:
    """Read every passage under every change; write the JSON."""
    parser = argparse.ArgumentParser(description="Turn the knobs of a real model's positions.")
    parser.add_argument("--passages", type=int, default=7, help="of each kind of text")
    args, started, sources = parser.parse_args(), time.process_time(), texts()
    smollm = minillm.load("smollm2-135m-instruct")
    model, rope = smollm.model, smollm.model.transformer.rope
    rows: list[dict[str, Any]] = []
    for kind, text in sources.items():
        for i, x in enumerate(passages(text, smollm.tokenizer, args.passages)):
            row: dict[str, Any] = {"kind": kind, "passage": i, "changes": {}, "stopped": {}}
            order = torch.randperm(LENGTH - 1, generator=torch.Generator().manual_seed(i))
            for name, change in {**CHANGES, "shuffled": lambda p, o=order: p[o]}.items():
                with told(rope, change):
                    row["changes"][name] = loss(model, x)
            for start, end in STOPPED:
                with standing_still(rope, slice(start, end)):
                    row["stopped"][f"{start}-{end - 1}"] = loss(model, x)
            rows.append(row)
            print(kind, i, row["changes"], f"{time.process_time() - started:.0f} s", flush=True)
    results.store(
        "position_knobs", {"length": LENGTH, "passages": rows}, data=sources,
        command=f"python experiments/position_knobs.py --passages {args.passages}",
        seeds=range(args.passages), seconds=time.process_time() - started,
    )  # fmt: skip


if __name__ == "__main__":
    main()

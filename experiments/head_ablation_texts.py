"""Take each attention head of SmolLM2 out of the model, and store what that does, text by text.

The texts are stretches of 128 tokens of film reviews, editorials and Python's manual. A head is
replaced by its mean over other stretches, the same 64 numbers at every position. For every text
and head three numbers are kept: the mean change of the loss, the variance of that change over the
predictions, and the mean Kullback-Leibler divergence of the predictions with the head from those
without it. So standard errors and halves can be computed from the file.
Used by the chapter "Many heads, masks and maps".
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch
from torch import Tensor

import minillm
from minillm import results
from minillm.corpora import python_docs, reviews

NAME, LENGTH, FOR_MEANS = "head_ablation_texts", 128, 8
KINDS = ("movies", "editorials", "manual")
COLUMNS = ["change of the loss", "variance over the predictions", "divergence"]


def texts() -> dict[str, str]:
    """The training parts of the three corpora as one long text each."""
    items = {name: " ".join(i.text for i in reviews(name).train[:2000]) for name in KINDS[:2]}
    return items | {"manual": python_docs().train}


def stretch(tokenizer: Any, text: str, number: int) -> list[int]:
    """128 tokens from the beginning of the line or sentence after the `number`-th 64th part."""
    at = number * len(text) // 64
    at = 0 if number == 0 else text.index("\n" if "\n\n" in text else ". ", at) + 1
    ids: list[int] = tokenizer.encode(text[at : at + 4000].lstrip())[:LENGTH]
    return ids


@torch.no_grad()
def removed(model: Any, layer: int, *, hidden: Tensor, outputs: Tensor, values: Tensor) -> Tensor:
    """The last vectors with each head of a layer replaced in turn: (H, T - 1, D).

    Args:
        model: the language model.
        layer: whose heads are taken out.
        hidden: the stream before the layer's block, (T, D).
        outputs: what the layer's heads hand to W_o, (H, T, E).
        values: what each head says instead, (H, E).
    """
    net = model.transformer
    block, heads = net.blocks[layer], len(outputs)
    rows = block.attention.o_proj.weight.unflatten(1, (heads, -1))  # (D, H, E)
    whole = torch.einsum("hte,dhe->td", outputs, rows)
    change = torch.einsum("hte,dhe->htd", values[:, None] - outputs, rows)
    x = hidden + whole + change  # (H, T, D)
    x = x + block.ffn(block.ffn_norm(x))
    rope = net.rope(torch.arange(x.shape[1]))
    for later in net.blocks[layer + 1 :]:
        x = later(x, rope=rope)
    found: Tensor = net.norm(x)[:, :-1]
    return found


class Scorer:
    """Loss and divergence of changed predictions from those of the whole model, for one text."""

    @torch.no_grad()
    def __init__(self, model: Any, last: Tensor, targets: Tensor) -> None:
        self.table = model.lm_head.weight  # (V, D)
        logits = last @ self.table.T
        self.size = logits.logsumexp(-1)  # (N,)
        self.right = self.table[targets]  # (N, D)
        self.loss = self.size - (last * self.right).sum(-1)
        p = (logits - self.size[:, None]).exp()
        self.mean = p @ self.table  # (N, D), the mean row of the table under p
        self.negative_entropy = (last * self.mean).sum(-1) - self.size

    @torch.no_grad()
    def __call__(self, changed: Tensor) -> Tensor:
        """(H, N, D) → change, its variance, divergence: (H, 3)."""
        sizes = []
        for one in changed:  # all logits of one head: (N, V)
            above = (one @ self.table.T).sub_(self.size[:, None]).exp_().sum(-1)
            sizes.append(self.size + above.log())
        size = torch.stack(sizes)
        change = size - (changed * self.right).sum(-1) - self.loss
        divergence = self.negative_entropy - (changed * self.mean).sum(-1) + size
        return torch.stack([change.mean(-1), change.var(-1), divergence.mean(-1)], -1)


def measure(model: Any, tokens: list[int], means: Tensor) -> dict[str, Any]:
    """One text: the loss, the number of predictions, and a table of (L, H, 3)."""
    ids = torch.tensor([tokens])
    with minillm.capture(model, attention=False) as trace, torch.no_grad():
        model(ids)
    hidden, outputs = trace.hidden_stack()[:, 0], minillm.head_outputs(model, ids)[:, 0]
    with torch.no_grad():
        last = model.transformer(ids)[0, :-1]
    scorer = Scorer(model, last, ids[0, 1:])
    tables = []
    for layer in range(len(means)):
        here = {"hidden": hidden[layer], "outputs": outputs[layer], "values": means[layer]}
        tables.append(scorer(removed(model, layer, **here)))
    rounded = [[[float(f"{n:.4g}") for n in head] for head in table.tolist()] for table in tables]
    return {"loss": scorer.loss.mean().item(), "n": len(scorer.loss), "heads": rounded}


def means_of(model: Any, tokenizer: Any, corpus: dict[str, str]) -> Tensor:
    """The mean output of every head over 8 other stretches of each corpus: (L, H, E)."""
    total: Tensor = torch.zeros(())
    for number in range(FOR_MEANS):
        ids = [stretch(tokenizer, corpus[kind], 8 * number + 2) for kind in KINDS]
        total = total + minillm.head_outputs(model, torch.tensor(ids)).mean((1, 3)) / FOR_MEANS
    return total


def load_means(real: Any, corpus: dict[str, str], folder: Path) -> list[Any]:
    """The means in thousandths, computed once for each folder of partial results."""
    path = folder / "means.json"
    if not path.exists():
        means = means_of(real.model, real.tokenizer, corpus).mul(1000).round().int()
        path.write_text(json.dumps(means.tolist()), encoding="utf-8")
    found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def store(folder: Path, corpus: dict[str, str], command: str) -> None:
    """Put all partial results into one file of stored results."""
    paths = sorted(folder.glob("piece-*.json"))
    pieces = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.stat().st_size]
    for piece in pieces:
        piece.pop("way", None)
    means = json.loads((folder / "means.json").read_text(encoding="utf-8"))
    seconds = sum(piece.pop("seconds") for piece in pieces)
    result = {"columns": COLUMNS, "thousandths of the means": means, "texts": pieces}
    results.store(NAME, result, command=command, seeds=[0], seconds=seconds, data=corpus)


def main() -> None:
    """Measure what is not yet in the folder of partial results, and store all that is there."""
    parser = argparse.ArgumentParser(description="Remove each head of SmolLM2 in turn.")
    parser.add_argument("--stretches", type=int, default=2, help="of each of the three corpora")
    parser.add_argument("--partial", type=Path, default=Path(gettempdir()) / NAME)
    parser.add_argument("--pieces", type=int, default=99, help="stop after so many")
    args = parser.parse_args()
    args.partial.mkdir(parents=True, exist_ok=True)
    real, corpus, done = minillm.load("smollm2-135m-instruct"), texts(), 0
    means = torch.tensor(load_means(real, corpus, args.partial)) / 1000
    for n, (number, kind) in enumerate(product(range(args.stretches), KINDS)):
        path = args.partial / f"piece-{n:02}.json"
        if path.exists() or done == args.pieces:  # also while another process is at it
            continue
        path.touch()
        started, done = time.process_time(), done + 1
        tokens = stretch(real.tokenizer, corpus[kind], 4 * number)
        found = {"kind": kind, "number": number, **measure(real.model, tokens, means)}
        found["seconds"] = time.process_time() - started
        path.write_text(json.dumps(found), encoding="utf-8")
        print(f"{path.name}: {kind}, {found['seconds']:.0f} CPU seconds", flush=True)
    store(
        args.partial,
        corpus,
        f"python experiments/head_ablation_texts.py --stretches {args.stretches}",
    )


if __name__ == "__main__":
    main()

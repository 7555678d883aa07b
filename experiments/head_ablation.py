"""Take each attention head of SmolLM2 out of the model, and store what that does to the loss.

Two kinds of text: prose, and random tokens that are repeated once. Two kinds of removal: the head
says nothing, or always its mean. Used by the chapter "Many heads, masks and maps".
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import minillm
from minillm.corpora import python_docs, reviews

OUT = Path(minillm.__file__).parent / "results" / "head_ablation.json"
LENGTH, RANDOM = 128, 64
COLUMNS = ["layer", "head", "prose_zero", "prose_mean", "repeat_zero", "repeat_mean"]


def prose(tokenizer: Any) -> Tensor:
    """The first tokens of three texts from the training parts of the corpora: (3, 128)."""
    lists = [reviews(name).train[:100] for name in ("movies", "editorials")]
    texts = [python_docs().train, *(" ".join(item.text for item in items) for items in lists)]
    return torch.tensor([tokenizer.encode(text[:4000])[:LENGTH] for text in texts])


def repeated(tokenizer: Any, seed: int) -> Tensor:
    """The start token, 64 random tokens, and the first 63 of them again: (1, 128)."""
    generator = torch.Generator().manual_seed(seed)
    some = torch.randint(100, tokenizer.vocab_size, (1, RANDOM), generator=generator)
    start = torch.tensor([[tokenizer.special["<|im_start|>"]]])
    return torch.cat([start, some, some[:, :-1]], 1)


@torch.no_grad()
def losses(model: Any, x: Tensor, first: int, tokens: Tensor) -> tuple[float, float]:
    """Mean losses of prose and of the second copy, from the stream before a block."""
    rope = model.transformer.rope(torch.arange(tokens.shape[1]))
    for block in model.transformer.blocks[first:]:
        x = block(x, rope=rope)
    x, targets = model.transformer.norm(x)[:, :-1], tokens[:, 1:]
    parts = (slice(0, 3), slice(None)), (slice(3, None), slice(RANDOM + 1, None))
    logits = [model.lm_head(x[part]).mT for part in parts]  # (B, V, T)
    prose, repeat = (
        cross_entropy(a, targets[p]).item() for a, p in zip(logits, parts, strict=True)
    )
    return prose, repeat


def measure(model: Any, tokens: Tensor, layers: range) -> dict[str, Any]:
    """Loss without removal, and its change for each head and kind of removal."""
    with minillm.capture(model, attention=False) as trace, torch.no_grad():
        model(tokens)
    hidden = trace.hidden_stack()
    means = minillm.head_outputs(model, tokens[:3]).mean((1, 3))  # (L, H, E)
    base, rows = losses(model, hidden[0], 0, tokens), []
    for layer in layers:
        for head in range(means.shape[1]):
            changes = []
            for value in (0.0, means[layer, head]):
                with minillm.ablate_heads(model, {(layer, head): value}):
                    now = losses(model, hidden[layer], layer, tokens)
                changes.append([a - b for a, b in zip(now, base, strict=True)])
            (a, c), (b, d) = changes
            rows.append([layer, head, *(round(x, 4) for x in (a, b, c, d))])
        print(f"layer {layer} done", flush=True)
    return {
        "base": {"prose": round(base[0], 4), "repeat": round(base[1], 4)},
        "columns": COLUMNS, "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Measure all heads, or some layers of an interrupted run, and write the JSON."""
    parser = argparse.ArgumentParser(description="Remove each head of SmolLM2 in turn.")
    parser.add_argument("--layers", type=int, nargs=2, default=(0, 30), metavar=("FROM", "TO"))
    parser.add_argument("--out", type=Path, default=OUT)
    args, started = parser.parse_args(), time.process_time()
    real = minillm.load("smollm2-135m-instruct")
    tokens = torch.cat([prose(real.tokenizer), repeated(real.tokenizer, seed=0)])
    found = measure(real.model, tokens, range(*args.layers))
    result: dict[str, Any] = {"made_by": "python experiments/head_ablation.py"}
    result |= {"minillm": minillm.__version__, "torch": torch.__version__, "seconds": 0, **found}
    if args.layers[0]:  # go on where an earlier run of this script has stopped
        earlier = json.loads(args.out.read_text(encoding="utf-8"))
        result["seconds"] = earlier["seconds"]
        result["rows"] = earlier["rows"] + result["rows"]
    result["seconds"] += round(time.process_time() - started)
    args.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

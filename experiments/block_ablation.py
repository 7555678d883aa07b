"""Train a small model with parts of its blocks taken away, and store the curves.

Beside the losses stand n-grams and measurements before training. Used by the chapter "The block".
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm.corpora import python_docs

OUT = Path(minillm.__file__).parent / "results" / "block_ablation.json"
WIDTH, LENGTH, BATCH, EVAL_BATCHES = 64, 64, 16, 20
Run = dict[str, Any]
KEYS = ("depth", "residual", "norm", "attention", "FFN")
RATES = {"4": (3e-3, 0), "8": (2e-3, 40)}  # rate and warm-up by depth: more blocks, gentler start


class Missing(nn.Module):
    """Stands for a sublayer: adds nothing to a stream, or hands on what it reads without one."""

    factor = 0.0

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Return zeros, or with factor 1 the input."""
        return self.factor * x


def combinations() -> list[dict[str, str]]:
    """Every choice of parts at depth 4; those with both sublayers at depth 8."""
    choices = ("48", ("yes", "no"), ("pre", "post", "none"), ("yes", "no"), ("yes", "no"))
    runs = [dict(zip(KEYS, values, strict=True)) for values in product(*choices)]
    parts = [(r["attention"] == "yes") + (r["FFN"] == "yes") for r in runs]
    return [r for r, n in zip(runs, parts, strict=True) if n >= {"4": 1, "8": 2}[r["depth"]]]


def build(settings: dict[str, str], vocab_size: int) -> minillm.CausalLM:
    """A model without the parts that the settings deny it."""
    post, residual = settings["norm"] == "post", settings["residual"] == "yes"
    config = minillm.ModelConfig(
        vocab_size=vocab_size, context_length=LENGTH, d_model=WIDTH, n_heads=4,
        n_layers=int(settings["depth"]), norm="rmsnorm", position="rope",
        norm_placement="post" if post else "pre",
    )  # fmt: skip
    torch.manual_seed(0)
    model, missing = minillm.CausalLM(config), Missing()
    missing.factor = 0.0 if residual else 1.0
    for block in (m for m in model.modules() if isinstance(m, minillm.Block)):
        if not residual:
            block.residual = (lambda x, n, f: n(f(x))) if post else (lambda x, n, f: f(n(x)))
        if settings["norm"] == "none":
            block.attention_norm = block.ffn_norm = model.transformer.norm = nn.Identity()
        for part, name in (("attention", "attention"), ("FFN", "ffn")):
            if settings[part] == "no":
                setattr(block, name, missing)
    return model


def at_the_start(model: minillm.CausalLM, batch: minillm.Batch) -> dict[str, float]:
    """Gradient norms of the first and last block, and how alike the positions are at the top."""
    with minillm.capture(model, attention=False) as trace:
        loss, count = minillm.lm_loss(model, batch)
    torch.autograd.backward(loss / count)
    grads = [[p.grad for p in b.parameters()] for b in model.transformer.blocks]
    norms = [torch.cat([g.flatten() for g in b if g is not None]).norm().item() for b in grads]
    model.zero_grad()
    unit = nn.functional.normalize(trace.hidden_stack()[-1].double(), dim=-1, eps=1e-300)
    cosine = ((unit @ unit.mT).sum((-1, -2)) / LENGTH - 1) / (LENGTH - 1)  # without itself: 1
    values = (norms[0], norms[-1], cosine.mean().item())
    return dict(zip(("first", "last", "cosine"), (float(f"{v:.4g}") for v in values), strict=True))


def train(settings: dict[str, str], steps: int, ids: Tensor, held: Tensor) -> Run:
    """One run: settings, measurements at the start, validation losses."""
    data, val = minillm.TokenWindows(ids, LENGTH), minillm.TokenWindows(held, LENGTH).sequential()
    model = build(settings, int(max(ids.max(), held.max())) + 1)
    start, (rate, warmup) = at_the_start(model, data.batch(0, BATCH)), RATES[settings["depth"]]
    config = minillm.TrainConfig(
        steps=steps, batch_size=BATCH, lr=rate, warmup_steps=min(warmup, steps),
        eval_every=max(1, steps // 10), eval_batches=EVAL_BATCHES,
    )  # fmt: skip
    trainer = minillm.Trainer(model, config, data, val_data=val)
    losses, history = [trainer.evaluate()], trainer.fit()
    losses = [round(loss, 4) for loss in losses + history.column("val_loss")]
    print(settings, losses[-1], start, flush=True)
    return {
        "name": ", ".join(map(" ".join, settings.items())), "settings": settings,
        "steps": [0, *history.steps("val_loss")], "val_loss": losses, "start": start,
    }  # fmt: skip


def main() -> None:
    """Fit the n-grams, train all combinations, write the JSON."""
    parser = argparse.ArgumentParser(description="Take parts away from a Transformer's blocks.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=OUT)
    args, started, docs = parser.parse_args(), time.process_time(), python_docs()
    tok = minillm.CharTokenizer(docs.text)
    ids, held = (torch.tensor(tok.encode(text)) for text in (docs.train, docs.validation))
    seen, ruler = held[: EVAL_BATCHES * BATCH * LENGTH], {}
    for name, order in (("unigram", 1), ("bigram", 2), ("trigram", 3), ("5-gram", 5)):
        counts = minillm.NGramLM(tok.vocab_size, order, smoothing="witten_bell").fit(ids)
        ruler[name] = round(-counts.log_probs(seen).mean().item(), 4)
    made_by = f"python experiments/block_ablation.py --steps {args.steps}"
    result: Run = {"made_by": made_by, "minillm": minillm.__version__, "torch": torch.__version__}
    runs = [train(settings, args.steps, ids, held) for settings in combinations()]
    result |= {"seconds": round(time.process_time() - started), "baselines": ruler, "runs": runs}
    args.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

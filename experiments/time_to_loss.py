"""How long until a small model is as good as a common recipe makes it?

The reference is trained in full: GPT-2 blocks, AdamW, 2,000 small batches. Ours has no more
parameters and is trained until the end of its own schedule. Then every choice is taken back, one at
a time, with all others kept. Same text, same split, same validation windows. Time is that of the
training steps without evaluation, in CPU seconds of one thread. Other programs count less there
than in wall time, yet they count: compare what was run side by side.
"""

import argparse
import json
import platform
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import minillm
from minillm import CausalLM, ModelConfig, TokenWindows, TrainConfig
from minillm.corpora import bible

OUT = Path(minillm.__file__).parent / "results" / "time_to_loss.json"
LENGTH = 64
PLAIN = ModelConfig(vocab_size=1, context_length=LENGTH, d_model=128, n_layers=4, n_heads=4)


@dataclass(frozen=True)
class Recipe:
    """A model, a way to train it, and the spread of its projections into the stream."""

    train: TrainConfig
    model: ModelConfig = field(default=PLAIN)
    into_stream: float | None = None


REFERENCE = Recipe(
    TrainConfig(steps=2000, batch_size=12, lr=1e-3, betas=(0.9, 0.99), warmup_steps=100)
)
OURS = Recipe(
    TrainConfig(
        steps=264, batch_size=16, lr=2e-2, optimizer="muon", muon_lr=0.03, betas=(0.9, 0.99),
        warmup_steps=10, schedule="linear", min_lr_ratio=0.0,
    ),
    replace(PLAIN, n_heads=2, norm="rmsnorm", position="rope", ffn="relu", bias=False),
    into_stream=0.0,
)  # fmt: skip


def recipes() -> dict[str, Recipe]:
    """The reference, ours, and ours with one choice taken back at a time."""
    t, m = OURS.train, OURS.model
    ten = replace(t, schedule="cosine", min_lr_ratio=0.1)
    adamw = replace(t, optimizer="adamw", lr=3e-3)
    return {
        "reference": REFERENCE,
        "ours": OURS,
        "AdamW 3e-3, no Muon": replace(OURS, train=adamw),
        "projections not zero": replace(OURS, into_stream=None),
        "GELU, not ReLU": replace(OURS, model=replace(m, ffn="gelu_tanh")),
        "learned positions, not rotary": replace(OURS, model=replace(m, position="learned")),
        "LayerNorm and biases": replace(OURS, model=replace(m, norm="layernorm", bias=True)),
        "4 heads, not 2": replace(OURS, model=replace(m, n_heads=4)),
        "rate of AdamW 1e-3, not 2e-2": replace(OURS, train=replace(t, lr=1e-3)),
        "cosine to a tenth, not linear to 0": replace(OURS, train=ten),
        "batch of 32, half the steps": replace(
            OURS, train=replace(t, batch_size=32, steps=t.steps // 2)
        ),
    }


def train(name: str, recipe: Recipe, text: tuple[str, str], seed: int) -> dict[str, Any]:
    """One run: what it cost and what it reached."""
    tok = minillm.CharTokenizer("".join(text))
    ids, held = (torch.tensor(tok.encode(part)) for part in text)
    torch.manual_seed(seed)
    model = CausalLM(replace(recipe.model, vocab_size=tok.vocab_size))
    minillm.init_weights(model, into_stream=recipe.into_stream)
    config = replace(recipe.train, seed=seed)
    trainer = minillm.Trainer(model, config, TokenWindows(ids, LENGTH, seed=seed))
    started = time.process_time()
    history = trainer.fit()
    seconds = time.process_time() - started
    measure = replace(config, batch_size=128, eval_batches=8)
    windows = TokenWindows(held, LENGTH).sequential()
    loss = minillm.Trainer(model, measure, windows, val_data=windows).evaluate()
    run = {
        "name": name, "seed": seed, "parameters": minillm.count_parameters(model),
        "steps": config.steps, "characters": history[-1].tokens, "val_loss": round(loss, 4),
        "cpu_seconds": round(seconds, 2), "wall_seconds": round(history[-1].seconds, 2),
    }  # fmt: skip
    print(run, flush=True)
    return run


def table(runs: list[dict[str, Any]]) -> str:
    """Every recipe: steps, seconds, part of the reference's time, loss; means over seeds."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_name.setdefault(run["name"], []).append(run)
    lines = [f"{'recipe':36} seeds  steps  seconds  ratio   loss"]
    for name, found in by_name.items():
        twins = [r for r in by_name["reference"] if r["seed"] in [f["seed"] for f in found]]
        twins = twins or by_name["reference"]
        seconds, base = (sum(r["cpu_seconds"] for r in rs) / len(rs) for rs in (found, twins))
        loss = sum(r["val_loss"] for r in found) / len(found)
        ratio = f"{seconds:8.1f}  {seconds / base:5.3f}"
        lines.append(f"{name:36} {len(found):5}  {found[0]['steps']:5} {ratio}  {loss:.4f}")
    return "\n".join(lines)


def main() -> None:
    """Make the named runs, keep the others, write them all and print the table."""
    parser = argparse.ArgumentParser(description="Time to the loss of a common recipe.")
    parser.add_argument("--only", nargs="*", help="names of recipes; default: all")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus, plans = bible("bbe"), recipes()
    train_text, held_text = (
        "\n".join(verse.text for verse in part) for part in (corpus.train, corpus.validation)
    )
    for seed in args.seeds:
        for name in args.only or plans:
            run = train(name, plans[name], (train_text, held_text), seed)
            stored = json.loads(OUT.read_text("utf-8"))["runs"] if OUT.exists() else []
            runs = [r for r in stored if (r["name"], r["seed"]) != (name, seed)] + [run]
            runs.sort(key=lambda r: ([*plans].index(r["name"]), r["seed"]))
            result = {
                "made_by": "python experiments/time_to_loss.py", "torch": torch.__version__,
                "hardware": f"1 CPU thread, {platform.machine()}",
                "reference": asdict(REFERENCE), "ours": asdict(OURS), "runs": runs,
            }  # fmt: skip
            OUT.parent.mkdir(exist_ok=True)
            OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if any(run["name"] == "reference" for run in runs):
        print(table(runs))


if __name__ == "__main__":
    main()

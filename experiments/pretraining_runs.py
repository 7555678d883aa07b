"""Train one small model in many ways, right and wrong, and a larger one for longer.

The small runs read equally many characters and differ from a common recipe in one or two things.
A run with a fault is measured as its author would measure it, fault included, and once more without
("honest"). Beside them stand n-gram models of the same text. For the chapter "Pretraining".
"""

import argparse
import json
import math
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm import Batch, NGramLM, TokenWindows
from minillm.corpora import python_docs
from minillm.training.trainer import Loss

OUT = Path(minillm.__file__).parent / "results" / "pretraining_runs.json"
HELD = 20_480  # predicted characters of the validation text
WINDOWS_PER_RUN = 16 * 200  # of 64 characters, in every small run
LONG_STEPS = 2400
RATES = ("1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2")
CHANGES = ("no weight decay", "dropout 0.1", "no warm-up, no clipping", "targets not shifted",
           "mask forgotten", "rate × 100", "embedding N(0, 1)", "softmax twice",
           "one batch only")  # fmt: skip
Settings = dict[str, str]
RECIPE = {"parts": "modern", "optimiser": "AdamW", "rate": "3e-3", "batch": "16", "change": "none"}
LOSSES: dict[str, Loss] = {
    "targets not shifted": lambda model, b: minillm.lm_loss(model, Batch(b.inputs, b.inputs)),
    "softmax twice": lambda model, b: minillm.lm_loss(lambda x: model(x).softmax(-1), b),
}


def recipes() -> dict[str, Settings]:
    """The settings of every run, by name."""
    runs = {f"AdamW {rate}": {"rate": rate} for rate in RATES}
    runs |= {
        "GPT-2 parts, AdamW 1e-3": {"parts": "GPT-2", "rate": "1e-3"},
        "GPT-2 parts, AdamW 3e-3": {"parts": "GPT-2"},
        "GPT-2 parts, Muon": {"parts": "GPT-2", "optimiser": "Muon"},
        "Muon": {"optimiser": "Muon"}, "batch of 4": {"batch": "4"}, "batch of 64": {"batch": "64"},
    }  # fmt: skip
    runs |= {name: {"change": name} for name in CHANGES}
    runs["long"] = {"optimiser": "Muon", "batch": "8"}
    return {name: {**RECIPE, **settings} for name, settings in runs.items()}


def set_causal(model: nn.Module, causal: bool) -> None:
    """Whether a position may only look back."""
    for block in (m for m in model.modules() if isinstance(m, minillm.Block)):
        block.attention.causal = causal


def build(settings: Settings, vocab_size: int, long: bool) -> minillm.CausalLM:
    """The model of a run, untrained."""
    torch.manual_seed(0)
    config = minillm.ModelConfig(
        vocab_size=vocab_size, context_length=128 if long else 64, d_model=96 if long else 64,
        n_layers=4 if long else 2, n_heads=4,
        dropout=0.1 if long or settings["change"] == "dropout 0.1" else 0.0,
    )  # fmt: skip
    if settings["parts"] == "modern":
        config = replace(config, norm="rmsnorm", position="rope", bias=False)
    model = minillm.CausalLM(config)
    set_causal(model, settings["change"] != "mask forgotten")
    if settings["change"] == "embedding N(0, 1)":
        nn.init.normal_(model.transformer.embedding.token.weight)
    return model


def train_config(settings: Settings, long: int) -> minillm.TrainConfig:
    """Steps, batch and rates of a run; `long` is the steps of the long run, or 0."""
    change, size = settings["change"], int(settings["batch"])
    steps, free = long or WINDOWS_PER_RUN // size, change == "no warm-up, no clipping"
    return minillm.TrainConfig(
        steps=steps, batch_size=size, lr=float(settings["rate"]) * (100 if "×" in change else 1),
        muon_lr=0.01 if long else 0.02, min_lr_ratio=0.0, schedule="linear", eval_every=steps // 10,
        warmup_steps=0 if free else steps // 20, clip_norm=None if free else 1.0,
        optimizer="muon" if settings["optimiser"] == "Muon" else "adamw",
        weight_decay=0.0 if change == "no weight decay" else 0.1,
        eval_batches=HELD // (size * (128 if long else 64)),
    )  # fmt: skip


def train(name: str, settings: Settings, parts: list[Tensor], long: int) -> dict[str, Any]:
    """One run: what it was, what it saw, what it reached."""
    started, fault, length = time.process_time(), settings["change"], 128 if long else 64
    windows, held = TokenWindows(parts[0], length), TokenWindows(parts[1], length).sequential()
    one_batch = TokenWindows(parts[0][: 16 * length + 1], length).sequential()  # it wraps
    model = build(settings, int(torch.cat(parts).max()) + 1, bool(long))
    trainer = minillm.Trainer(
        model, train_config(settings, long), one_batch if "one batch" in fault else windows,
        val_data=held, loss=LOSSES.get(fault, minillm.lm_loss),
    )  # fmt: skip
    before, history = trainer.evaluate(), trainer.fit()
    set_causal(model, True)
    trainer.loss = minillm.lm_loss
    ends = {"train_loss": sum(history.column("loss")[-20:]) / 20, "honest": trainer.evaluate()}
    for key, ids in (("slid", parts[1][: HELD + 1]), ("test", parts[2])) if long else ():
        ends[key] = math.log(minillm.perplexity(model, ids, length=length, stride=length // 4))
    losses, seconds = [before, *history.column("val_loss")], time.process_time() - started
    print(f"{name:26} {losses[-1]:.3f} {ends} {seconds:.0f} s", flush=True)
    return {
        "name": name, "settings": settings, "parameters": minillm.count_parameters(model),
        "seconds": round(seconds, 1), **{key: round(value, 4) for key, value in ends.items()},
        "steps": [0, *history.steps("val_loss")], "val_loss": [round(x, 4) for x in losses],
    }  # fmt: skip


def baselines(parts: list[Tensor], vocab_size: int) -> dict[str, dict[str, float]]:
    """Nats per character of n-gram models on validation and test text."""
    table: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
    models = {f"{n}-gram": NGramLM(vocab_size, n, smoothing="witten_bell") for n in range(1, 7)}
    for name, model in {**models, "Kneser–Ney 7-gram": NGramLM(vocab_size, 7)}.items():
        model.fit(parts[0])
        for key, ids in (("validation", parts[1][: HELD + 1]), ("test", parts[2])):
            table[key][name] = round(-model.log_probs(ids).mean().item(), 4)
    return table


def main() -> None:
    """Make all runs, or those that are named, and write the stored results."""
    parser = argparse.ArgumentParser(description="Train one small model in many ways.")
    parser.add_argument("--only", nargs="*", help="names of runs to do again; the others stay")
    only, docs = parser.parse_args().only, python_docs()
    tok = minillm.CharTokenizer(docs.text)
    parts = [torch.tensor(tok.encode(t)) for t in (docs.train, docs.validation, docs.test)]
    stored = json.loads(OUT.read_text("utf-8"))["runs"] if only else []
    plans, runs = recipes(), {run["name"]: run for run in stored}
    for name in only or plans:
        runs[name] = train(name, plans[name], parts, LONG_STEPS * (name == "long"))
    result = {
        "made_by": "python experiments/pretraining_runs.py",
        "minillm": minillm.__version__, "torch": torch.__version__,
        "hardware": f"{torch.get_num_threads()} CPU thread(s), {platform.machine()}",
        "seconds": round(sum(run["seconds"] for run in runs.values())),
        "baselines": baselines(parts, tok.vocab_size), "runs": list(runs.values()),
    }  # fmt: skip
    OUT.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

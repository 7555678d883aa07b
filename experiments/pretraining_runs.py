"""Train one small model in many ways, right and wrong, and a larger one for longer.

The small runs read equally many characters and differ from a common recipe in one or two things.
A run with a fault is measured as its author would measure it, fault included, and once more without
("honest"). Beside them stand n-gram models of the same text, whose order and discount are chosen on
the validation text like the choices of the networks. For the chapter "Pretraining".
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm import Batch, NGramLM, TokenWindows, results
from minillm.corpora import python_docs
from minillm.training.trainer import Loss

NAME = "pretraining_runs"
NOTE = ("Runs without 'first_losses' were kept from before these were stored, the run 'long' with "
        "Muon's rounds in bfloat16; tables of the text counted then and now agree.")  # fmt: skip
BLOCKS = 40
HELD = 20_480  # predicted characters of the validation text
WINDOWS_PER_RUN = 16 * 200  # of 64 characters, in every small run
RATES = ("1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2")
CHANGES = ("no weight decay", "dropout 0.1", "no warm-up, no clipping", "targets not shifted",
           "mask forgotten", "rate × 100", "embedding N(0, 1)", "softmax twice",
           "one batch only")  # fmt: skip
ORDERS = range(5, 15)  # of the Kneser–Ney tables
DISCOUNTS = (0.5, 0.65, 0.75, 0.85, 0.9, 0.92, 0.94, 0.96)
Settings = dict[str, str]
RECIPE = {"parts": "modern", "optimiser": "AdamW", "rate": "3e-3", "batch": "16", "change": "none"}
MUON = {**RECIPE, "optimiser": "Muon", "batch": "8"}
LOSSES: dict[str, Loss] = {
    "targets not shifted": lambda model, b: minillm.lm_loss(model, Batch(b.inputs, b.inputs)),
    "softmax twice": lambda model, b: minillm.lm_loss(lambda x: model(x).softmax(-1), b),
}
LARGE = {  # name: width, layers, dropout, updates, rate of Muon, warm-up, part of the text
    "long": (96, 4, 0.1, 2400, 0.01, 120, 1.0),
    "a quarter of the text": (64, 3, 0.0, 800, 0.02, 10, 0.25),
    "half of the text": (64, 3, 0.0, 800, 0.02, 10, 0.5),
    "all of the text": (64, 3, 0.0, 800, 0.02, 10, 1.0),
}


def recipes() -> dict[str, Settings]:
    """The settings of every run, by name."""
    runs = {f"AdamW {rate}": {"rate": rate} for rate in RATES}
    runs |= {
        "GPT-2 parts, AdamW 1e-3": {"parts": "GPT-2", "rate": "1e-3"},
        "GPT-2 parts, AdamW 3e-3": {"parts": "GPT-2"},
        "GPT-2 parts, Muon": {"parts": "GPT-2", "optimiser": "Muon"},
        "Muon": {"optimiser": "Muon"}, "batch of 4": {"batch": "4"}, "batch of 64": {"batch": "64"},
        "batch of 4, rate 1e-3": {"batch": "4", "rate": "1e-3"},
        "batch of 4, rate 1e-2": {"batch": "4", "rate": "1e-2"},
        "batch of 64, rate 1e-3": {"batch": "64", "rate": "1e-3"},
        "batch of 64, rate 1e-2": {"batch": "64", "rate": "1e-2"},
    }  # fmt: skip
    runs |= {name: {"change": name} for name in CHANGES}
    return {name: {**RECIPE, **settings} for name, settings in runs.items()} | dict.fromkeys(
        LARGE, MUON
    )


def set_causal(model: nn.Module, causal: bool) -> None:
    """Whether a position may only look back."""
    for block in (m for m in model.modules() if isinstance(m, minillm.Block)):
        block.attention.causal = causal


def build(name: str, settings: Settings, vocab_size: int, seed: int) -> minillm.CausalLM:
    """The model of a run, untrained."""
    torch.manual_seed(seed)
    width, layers, dropout = LARGE[name][:3] if name in LARGE else (64, 2, 0.0)
    config = minillm.ModelConfig(
        vocab_size=vocab_size, context_length=128 if name in LARGE else 64, d_model=width,
        n_layers=layers, n_heads=4, dropout=0.1 if settings["change"] == "dropout 0.1" else dropout,
    )  # fmt: skip
    if settings["parts"] == "modern":
        config = replace(config, norm="rmsnorm", position="rope", bias=False)
    model = minillm.CausalLM(config)
    set_causal(model, settings["change"] != "mask forgotten")
    if settings["change"] == "embedding N(0, 1)":
        nn.init.normal_(model.transformer.embedding.token.weight)
    return model


def train_config(name: str, settings: Settings, seed: int) -> minillm.TrainConfig:
    """Steps, batch and rates of a run."""
    change, size = settings["change"], int(settings["batch"])
    steps, free = WINDOWS_PER_RUN // size, change == "no warm-up, no clipping"
    warm_up, muon = steps // 20, 0.02
    if name in LARGE:
        steps, muon, warm_up = LARGE[name][3:6]
    return minillm.TrainConfig(
        steps=steps, batch_size=size, lr=float(settings["rate"]) * (100 if "×" in change else 1),
        muon_lr=muon, min_lr_ratio=0.0, schedule="linear", eval_every=steps // 10,
        warmup_steps=0 if free else warm_up, clip_norm=None if free else 1.0,
        optimizer="muon" if settings["optimiser"] == "Muon" else "adamw",
        weight_decay=0.0 if change == "no weight decay" else 0.1, seed=seed,
        eval_batches=HELD // (size * (128 if name in LARGE else 64)),
    )  # fmt: skip


def make_trainer(name: str, parts: list[Tensor], seed: int) -> minillm.Trainer:
    """A run before its first update; the chapter repeats the beginning of some."""
    settings, length = recipes()[name], 128 if name in LARGE else 64
    text = parts[0][: int(len(parts[0]) * LARGE[name][6])] if name in LARGE else parts[0]
    data, held = TokenWindows(text, length, seed=seed), TokenWindows(parts[1], length)
    if settings["change"] == "one batch only":
        data = TokenWindows(parts[0][: 16 * length + 1], length).sequential()  # it wraps
    model = build(name, settings, int(torch.cat(parts).max()) + 1, seed)
    loss = LOSSES.get(settings["change"], minillm.lm_loss)
    config = train_config(name, settings, seed)
    return minillm.Trainer(model, config, data, val_data=held.sequential(), loss=loss)


def train(name: str, parts: list[Tensor], seed: int) -> dict[str, Any]:
    """One run: what it was, what it saw, what it reached."""
    started = time.process_time()
    trainer = make_trainer(name, parts, seed)
    before, history = trainer.evaluate(), trainer.fit()
    set_causal(trainer.model, True)
    trainer.loss = minillm.lm_loss
    ends = {"train_loss": sum(history.column("loss")[-20:]) / 20, "honest": trainer.evaluate()}
    blocks = {}
    for key, ids in (("slid", parts[1][: HELD + 1]), ("test", parts[2])) if name == "long" else ():
        each = token_losses(trainer.model, ids)
        ends[key], blocks[f"{key}_blocks"] = each.mean().item(), block_means(each)
    losses, seconds = [before, *history.column("val_loss")], time.process_time() - started
    print(f"{name:26} {seed} {losses[-1]:.3f} {ends} {seconds:.0f} s", flush=True)
    return {
        "name": name, "seed": seed, "settings": recipes()[name],
        "parameters": minillm.count_parameters(trainer.model), "seconds": round(seconds, 1),
        **{key: round(value, 4) for key, value in ends.items()},
        **blocks, "first_losses": [round(x, 4) for x in history.column("loss")[:10]],
        "steps": [0, *history.steps("val_loss")], "val_loss": [round(x, 4) for x in losses],
    }  # fmt: skip


@torch.no_grad()
def token_losses(model: nn.Module, ids: Tensor, length: int = 128, stride: int = 32) -> Tensor:
    """What `minillm.perplexity` takes the mean of: -log p of each token but the first."""
    losses, scored = [], 0
    with minillm.eval_mode(model):
        while scored < len(ids) - 1:
            end = min(max(length, scored + stride), len(ids) - 1)
            start = max(0, end - length)
            logits = model(ids[None, start:end])[0, scored - start :]  # (new, V)
            targets = ids[scored + 1 : end + 1]
            losses.append(nn.functional.cross_entropy(logits, targets, reduction="none"))
            scored = end
    return torch.cat(losses)


def block_means(losses: Tensor) -> list[float]:
    """Means over pieces of the text, to see how far a difference hangs on the choice of text."""
    return [round(piece.mean().item(), 4) for piece in losses.tensor_split(BLOCKS)]


def count(parts: list[Tensor], vocab_size: int) -> list[dict[str, Any]]:
    """Nats per character of every n-gram model on validation and test text."""
    started, tables = time.process_time(), []
    models = [NGramLM(vocab_size, n, smoothing="witten_bell") for n in range(1, 10)]
    for model in models + [NGramLM(vocab_size, n) for n in ORDERS]:
        model.fit(parts[0])
        for discount in DISCOUNTS if model.smoothing == "kneser_ney" else (None,):
            if discount is not None:
                model.settings = replace(model.settings, discount=discount)
            row = {"smoothing": model.smoothing, "order": model.order, "discount": discount}
            for key, ids in (("validation", parts[1][: HELD + 1]), ("test", parts[2])):
                losses = -model.log_probs(ids)[1:]
                row |= {key: round(losses.mean().item(), 4), f"{key}_blocks": block_means(losses)}
            tables.append(row)
    best = min(tables, key=lambda row: row["validation"])
    for row in tables:
        if row is not best:
            del row["validation_blocks"], row["test_blocks"]
    print(f"tables: {time.process_time() - started:.0f} s", flush=True)
    return tables


def main() -> None:
    """Make all runs, or those that are named, and keep the stored ones."""
    parser = argparse.ArgumentParser(description="Train one small model in many ways.")
    parser.add_argument("--only", nargs="*", help="names of runs; none after it: the tables")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    args, docs = parser.parse_args(), python_docs()
    torch.set_num_threads(1)
    tok = minillm.CharTokenizer(docs.text)
    parts = [torch.tensor(tok.encode(t)) for t in (docs.train, docs.validation, docs.test)]

    def save(**new: Any) -> None:
        old = results.load(NAME)
        runs = new.get("runs", []) + old["runs"]
        kept = {(run["name"], run.get("seed")): run for run in reversed(runs)}
        order = {name: number for number, name in enumerate(recipes())}
        runs = sorted(kept.values(), key=lambda run: (order[run["name"]], run["seed"]))
        results.store(
            NAME, {"note": NOTE, "tables": new.get("tables") or old["tables"], "runs": runs},
            command="python experiments/pretraining_runs.py",
            seeds=sorted({run["seed"] for run in runs}),
            seconds=sum(run["seconds"] for run in runs), data={"python_docs": docs.text},
        )  # fmt: skip

    if not args.only:
        save(tables=count(parts, tok.vocab_size))
    for seed in args.seeds:
        for name in recipes() if args.only is None else args.only:
            save(runs=[train(name, parts, seed)])


if __name__ == "__main__":
    main()

"""Next word, masked word, next sentence: one corpus, one body, one budget, several objectives.

    python experiments/objectives.py run masked 0 --lr 8e-3   # one run: 15 s on a free core
    python experiments/objectives.py all                      # what is missing, then the judging
    python experiments/objectives.py store                    # when all runs are judged

Every run reads 200 batches of 32 rows of 64 places. Kinds: "causal" (next word), "masked" (BERT's
recipe: 15 % of the words, of which 80 % hidden, 10 % random, 10 % left), "pairs" (that, on pairs of
passages, and next sentence), and "always", a change of "masked": all chosen words become [MASK].
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import objectives_judged as judged
import torch
from objectives_data import LENGTH, MASK, SEP, SPECIAL, TEXTS, V, pairs_of, rows_of
from torch import Tensor, nn

import minillm
from minillm import (
    IGNORE,
    Batch,
    CausalLM,
    MaskedLM,
    MaskedRows,
    ModelConfig,
    TrainConfig,
    mask_tokens,
    segments_of,
)
from minillm.results import store

STEPS, ROWS = 200, 32
RATES = (8e-3 / 3, 8e-3, 24e-3)
TUNED = ("masked", "causal")
KINDS = (*TUNED, "pairs", "always")
RECIPES = {"always": {"masked": 1.0, "random": 0.0}}
SEEDS = (0, 1, 2)
PER_RATE = 20e-3 / 3e-3  # Muon's rate for one of AdamW's


def hide(rows: Tensor, generator: torch.Generator, **recipe: float) -> Batch:
    """BERT's recipe on rows of words."""
    return mask_tokens(
        rows, mask_id=MASK, vocab_size=V, special=SPECIAL, generator=generator, **recipe
    )


def shifted(rows: Tensor, _: torch.Generator) -> Batch:
    """Every word but the first is the target of the place before it."""
    return Batch(rows[:, :-1], rows[:, 1:])


class HiddenPairs:
    """Pairs of passages with hidden words; the pair's class stands at [CLS]."""

    def __init__(self, part: str, seed: int) -> None:
        self.pairs, self.seed = pairs_of(part, seed), seed

    def batch(self, step: int, size: int) -> Batch:
        """The pairs of one step."""
        pairs = self.pairs.batch(step, size)
        source = torch.Generator().manual_seed(1_000_003 * (self.seed + 1) + step)
        hidden = hide(pairs.inputs, source)
        targets = hidden.targets.clone()
        targets[:, 0] = pairs.targets
        return Batch(hidden.inputs, targets, pairs.mask)


class PairModel(nn.Module):
    """A `MaskedLM` with a second head, on the vector of [CLS]: does B follow A?"""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.body = MaskedLM(config)
        self.pair_head = nn.Linear(config.d_model, 2)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden vectors (B, T, D) and the pair's logits (B, 2)."""
        segments = segments_of(tokens, SEP)
        hidden = self.body.transformer(tokens, mask=mask, segments=segments)
        return hidden, self.pair_head(hidden[:, 0])


def pair_loss(model: PairModel, batch: Batch) -> tuple[Tensor, int]:
    """Mean loss of the hidden words plus mean loss of the pairs, times the number of targets."""
    hidden, pair = model(batch.inputs, batch.mask)
    where = batch.targets != IGNORE
    where[:, 0] = False
    logits = model.body.head(hidden[where])
    words = nn.functional.cross_entropy(logits, batch.targets[where])
    both = words + nn.functional.cross_entropy(pair, batch.targets[:, 0])
    count = minillm.count_targets(batch)
    return both * count, count


def make_model(kind: str, seed: int) -> nn.Module:
    """An untrained model: the same body, with the mask and the head that its kind needs."""
    torch.manual_seed(seed)
    config = ModelConfig(
        vocab_size=V,
        context_length=LENGTH,
        d_model=64,
        n_layers=2,
        n_heads=4,
        position="rope",
        causal=kind == "causal",
        n_segments=2 if kind == "pairs" else 0,
    )
    if kind == "pairs":
        return PairModel(config)
    return CausalLM(config) if kind == "causal" else MaskedLM(config)


def data_of(kind: str, part: str, seed: int) -> Any:
    """Batches of a kind; for validation the same hidden words every time."""
    if kind == "pairs":
        return HiddenPairs(part, seed)
    change = shifted if kind == "causal" else partial(hide, **RECIPES.get(kind, {}))
    patterns = None if part == "train" else 1
    return MaskedRows(rows_of(part), change, patterns=patterns, seed=seed)


def loss_of(kind: str) -> Any:
    """What a kind is trained on."""
    losses = {"causal": minillm.lm_loss, "pairs": pair_loss}
    return losses.get(kind, minillm.mlm_loss)


def trainer_of(kind: str, seed: int, lr: float) -> minillm.Trainer:
    """A run that has not begun."""
    config = TrainConfig(
        steps=STEPS,
        batch_size=ROWS,
        optimizer="muon",
        lr=lr,
        muon_lr=PER_RATE * lr,
        warmup_steps=20,
        schedule="stable",
        min_lr_ratio=0.0,
        eval_every=100,
        eval_batches=8,
        seed=seed,
    )
    model, held = make_model(kind, seed), data_of(kind, "validation", 0)
    data = data_of(kind, "train", seed)
    return minillm.Trainer(model, config, data, loss=loss_of(kind), val_data=held)


def name_of(kind: str, seed: int, lr: float) -> str:
    """The name of a run's files."""
    return f"{kind}-{seed}-{lr:.2g}"


def run(kind: str, seed: int, lr: float, folder: Path) -> dict[str, Any]:
    """Train a model and keep it, or read what was kept."""
    path = folder / f"{name_of(kind, seed, lr)}.json"
    if not path.exists():
        started, trainer = time.process_time(), trainer_of(kind, seed, lr)
        trainer.fit()
        torch.save(trainer.model.state_dict(), path.with_suffix(".pt"))
        history = trainer.history
        record = {
            "kind": kind,
            "seed": seed,
            "lr": lr,
            "parameters": minillm.count_parameters(trainer.model),
            "targets": history[-1].tokens,
            "losses": [round(r.loss, 4) for r in history],
            "validation": [[r.step, r.val_loss] for r in history if r.val_loss is not None],
            "seconds": time.process_time() - started,
        }
        path.write_text(json.dumps(record))
        print(path.stem, record["validation"][-1], round(record["seconds"]), flush=True)
    return json.loads(path.read_text())


def best_rate(kind: str, folder: Path) -> float:
    """The rate with the lowest validation loss, of seed 0; the others take that of "masked"."""
    of = kind if kind in TUNED else "masked"
    return min(RATES, key=lambda lr: run(of, 0, lr, folder)["validation"][-1][1])


def judge(kind: str, seed: int, folder: Path) -> dict[str, Any]:
    """What a trained model can do, on the test part; kept beside the run."""
    lr = best_rate(kind, folder)
    record = run(kind, seed, lr, folder)
    path = folder / f"{name_of(kind, seed, lr)}.judged"
    if not path.exists():
        started = time.process_time()
        model = make_model(kind, seed)
        model.load_state_dict(torch.load(folder / f"{name_of(kind, seed, lr)}.pt"))
        other = make_model("causal", 0)
        reader = ("causal", (seed + 1) % 3, best_rate("causal", folder))
        run(*reader, folder)
        other.load_state_dict(torch.load(folder / f"{name_of(*reader)}.pt"))
        found = judged.everything(kind, model.eval(), other.eval())
        found["seconds"] = time.process_time() - started
        path.write_text(json.dumps(found))
        print("judged", path.stem, round(found["seconds"]), flush=True)
    return record | {"judged": json.loads(path.read_text())}


def main() -> None:
    """One run, all of them, or the file of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "all", "store"))
    parser.add_argument("kind", nargs="?", choices=KINDS, default="masked")
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--lr", type=float, default=8e-3)
    parser.add_argument("--runs", type=Path, default=Path("_build/runs/objectives"))
    options = parser.parse_args()
    folder = options.runs
    folder.mkdir(parents=True, exist_ok=True)
    if options.what == "run":
        run(options.kind, options.seed, options.lr, folder)
        return
    sweep = [run(kind, 0, lr, folder) for kind in TUNED for lr in RATES]
    runs = [judge(kind, seed, folder) for kind in KINDS for seed in SEEDS]
    if options.what == "store":
        untrained = {
            kind: [judged.probes(make_model(kind, seed).eval()) for seed in SEEDS]
            for kind in ("causal", "masked")
        }
        keys = ("kind", "lr", "validation")
        result = {
            "budget": {"steps": STEPS, "rows": ROWS, "length": LENGTH, "words": V},
            "runs": runs,
            "rates": [{key: r[key] for key in keys} for r in sweep],
            "untrained": untrained,
            "baselines": judged.baselines(),
        }
        seconds = sum(r["seconds"] + r["judged"]["seconds"] for r in runs)
        seconds += sum(r["seconds"] for r in sweep)
        command, text = (
            "python experiments/objectives.py all, then store",
            "\n".join(TEXTS["train"]),
        )
        store(
            "objectives",
            result,
            command=command,
            seeds=SEEDS,
            seconds=seconds,
            data={"stories": text},
        )


if __name__ == "__main__":
    main()

"""Gradients by kind of parameter in a model of 24 blocks, before and after some training.

The matrices are drawn so that they roughly keep the size of what passes through them. The variant
with a bonus on each position's own score is the intervention: it keeps positions apart without a
residual connection. Used by the chapter "The block".
"""

import argparse
import time
from typing import Any

from block_ablation import SEEDS, Bench, build, measure

import minillm
from minillm import results

DEPTH, HALF_BATCH = 24, 8
BONUSES = (0.0, 2.0, 4.0, 6.0, 8.0)
UNTRAINED: dict[str, dict[str, Any]] = {
    "complete": {},
    "no norm": {"norm": "none"},
    "no residual": {"residual": False},
    "neither": {"residual": False, "norm": "none"},
    "post-norm": {"norm": "post"},
    "FFN only": {"attention": False},
    "FFN only, no residual": {"attention": False, "residual": False},
}
TRAINED: dict[str, dict[str, Any]] = {
    "complete": {},
    "no residual": {"residual": False},
    "no residual, own position +6": {"residual": False, "bonus": 6.0},
}


def main() -> None:
    """Measure all untrained variants, then train three of them; store after each."""
    parser = argparse.ArgumentParser(description="Gradients by kind of parameter.")
    parser.add_argument("--steps", type=int, default=60, help="updates; 0: only measure")
    args, bench, started = parser.parse_args(), Bench(), time.process_time()
    result: dict[str, Any] = {"untrained": [], "bonus": [], "search": {}, "trained": []}
    vocab_size = bench.characters.vocab_size

    def keep() -> None:
        results.store(
            "block_gradients", result, seeds=SEEDS, seconds=time.process_time() - started,
            command=f"python experiments/block_gradients.py --steps {args.steps}",
            data={"python docs": bench.docs.text},
        )  # fmt: skip

    for seed in SEEDS:
        batch = minillm.TokenWindows(bench.ids, 64, seed=seed).batch(0, HALF_BATCH)
        for name, parts in UNTRAINED.items():
            model = build(seed, vocab_size, depth=DEPTH, gain=1.0, **parts)
            result["untrained"].append({"variant": name, "seed": seed, **measure(model, batch)})
        for bonus in BONUSES:
            model = build(seed, vocab_size, depth=DEPTH, gain=1.0, residual=False, bonus=bonus)
            result["bonus"].append({"bonus": bonus, "seed": seed, **measure(model, batch)})
    keep()
    for name, parts in TRAINED.items() if args.steps else ():
        settings = {"batch": HALF_BATCH, "depth": DEPTH, "gain": 1.0, **parts}
        scale, result["search"][name] = bench.choose(args.steps // 3, **settings)
        for seed in SEEDS:
            run = bench.train(seed, args.steps, scale, **settings)
            result["trained"].append({"variant": name, **run})
            print(name, scale, run["val_loss"], run["end"]["gradients"]["q and k"][::6], flush=True)
        keep()


if __name__ == "__main__":
    main()

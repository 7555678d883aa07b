"""Name the first of T random symbols after the last: who learns it, and how far gradients reach.

Each network is trained with three seeds, until its loss is below 0.02 or the updates are used up.
For recurrent ones the gradient at the first symbol is measured before and after. Used by the
chapter "Neural language models".
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm import CausalLM, ModelConfig, RecurrentConfig, RecurrentLM, TrainConfig
from minillm.data.windows import generator

OUT = Path(minillm.__file__).parent / "results" / "copy_at_distance.json"
KINDS, STEPS, WIDTH, SEEDS, DISTANCES = 8, 600, 64, (0, 1, 2), (10, 20, 40)
NAMES = ("RNN", "GRU", "LSTM", "LSTM + 3", "Transformer")
Result = dict[str, Any]


class FirstSymbol:
    """Random symbols; after the last of them the first must be named."""

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed = length, seed

    def batch(self, step: int, size: int) -> minillm.Batch:
        """`size` sequences, the same for the same step."""
        draw = generator(self.seed, step)
        tokens = torch.randint(KINDS, (size, self.length), generator=draw)
        targets = torch.full_like(tokens, minillm.IGNORE)
        targets[:, -1] = tokens[:, 0]
        return minillm.Batch(tokens, targets)


def build(name: str, length: int, seed: int) -> nn.Module:
    """A cell of 64 numbers, "LSTM + b" with b as bias of its forget gate; or one block of 32."""
    torch.manual_seed(seed)
    if name == "Transformer":
        config = ModelConfig(
            vocab_size=KINDS, context_length=length, d_model=32, n_layers=1, n_heads=4
        )
        return CausalLM(config)
    cell, _, forget = name.partition(" + ")
    shape = RecurrentConfig(vocab_size=KINDS, d_model=WIDTH, cell=cell.lower())  # type: ignore[arg-type]
    model = RecurrentLM(shape)
    if forget:
        with torch.no_grad():
            model.cells[0].input.bias[WIDTH : 2 * WIDTH] = float(forget)
            model.cells[0].hidden.bias[WIDTH : 2 * WIDTH] = 0
    return model


def reach(model: nn.Module, tokens: Tensor) -> float | None:
    """The last state's gradient at the first input, relative to that at the last input."""
    if not isinstance(model, RecurrentLM):
        return None
    x = model.embedding(tokens).detach().requires_grad_()
    carry = tuple(part[: len(x)] for part in model.new_state(len(x), 0).carries[0])
    for step in x.unbind(1):
        carry = model.cells[0](step, carry)
    direction = torch.randn(carry[0].shape, generator=generator(0, 0))
    (size,) = torch.autograd.grad((carry[0] * direction).sum(), x)
    norms = size.norm(dim=-1).mean(0)
    return float(f"{norms[0] / norms[-1]:.3g}")


def copy_run(name: str, length: int, seed: int) -> Result:
    """Train one network, measure it on new sequences."""
    model, data = build(name, length, seed), FirstSymbol(length, seed)
    config = TrainConfig(
        steps=STEPS, batch_size=64, lr=3e-3, schedule="stable", weight_decay=0.0
    )  # fmt: skip
    trainer, test = minillm.Trainer(model, config, data), data.batch(10**6, 1000)
    before = reach(model, test.inputs[:64])
    while trainer.step < STEPS and trainer.fit(25)[-1].loss > 0.02:
        pass
    with torch.no_grad():
        right = model(test.inputs)[:, -1].argmax(-1) == test.targets[:, -1]
    run = {
        "name": name, "T": length, "seed": seed, "steps": trainer.step,
        "accuracy": round(right.float().mean().item(), 3),
        "reach": [before, reach(model, test.inputs[:64])],
    }  # fmt: skip
    print(run, flush=True)
    return run


def main() -> None:
    """Run everything and write the JSON."""
    parser = argparse.ArgumentParser(description="Name the first of T symbols.")
    parser.add_argument("--out", type=Path, default=OUT)
    args, started = parser.parse_args(), time.process_time()
    cases = [(name, length) for length in DISTANCES for name in NAMES]
    cases += [(f"LSTM + {bias}", 40) for bias in (1, 2, 4)]
    runs = [copy_run(name, length, seed) for name, length in cases for seed in SEEDS]
    result = {
        "made_by": "python experiments/copy_at_distance.py", "minillm": minillm.__version__,
        "torch": torch.__version__, "seconds": round(time.process_time() - started), "runs": runs,
    }  # fmt: skip
    args.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Name the first of T random symbols after the last: who learns it, at which rate, from what U.

Seven networks at T = 20 and three of them at T = 40, each at four learning rates, three seeds; a
run ends when its loss is below 0.02 or after 600 updates. The rate with the highest mean accuracy
(the lowest of equals) is then run again with three new seeds, and these are the numbers that are
reported. Three more networks are run at T = 40 at one rate. The recurrent matrix U (of the RNN) is
measured before and after, and so is the share of the gradient that reaches the first symbol. Used
by the chapter "Neural language models".
"""

import argparse
import time
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm import CausalLM, ModelConfig, RecurrentConfig, RecurrentLM, TrainConfig, results
from minillm.data import generator

KINDS, STEPS, WIDTH, STOP = 8, 600, 64, 0.02
RATES, SEEDS, FRESH = (1e-3, 3e-3, 1e-2, 3e-2), (0, 1, 2), (3, 4, 5)
NAMES = ("RNN", "RNN, orthogonal", "GRU", "GRU + 3", "LSTM", "LSTM + 3", "Transformer")
DISTANCES = (20, 40)
SWEPT = {20: NAMES, 40: ("RNN", "RNN, orthogonal", "GRU")}
AT_ONE = {"GRU + 3": 1e-2, "LSTM + 3": 1e-2, "Transformer": 3e-3}
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


class FastLM(nn.Module):
    """A `RecurrentLM` of one layer, computed by PyTorch's layer: the same numbers, sooner."""

    def __init__(self, model: RecurrentLM) -> None:
        super().__init__()
        kind, width = model.config.cell, model.config.d_model
        self.embedding = model.embedding
        self.layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind](
            width, width, batch_first=True
        )
        cell: Any = model.cells[0]
        with torch.no_grad():
            self.layer.weight_ih_l0.copy_(cell.input.weight)
            self.layer.bias_ih_l0.copy_(cell.input.bias)
            self.layer.weight_hh_l0.copy_(cell.hidden.weight)
            self.layer.bias_hh_l0.copy_(cell.hidden.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V); the output matrix is the embedding."""
        states: Tensor = self.layer(self.embedding(tokens))[0]
        return states @ self.embedding.weight.T


def open_gate(model: FastLM, bias: float) -> None:
    """Set the bias of the gate that keeps: forget in an LSTM, update in a GRU."""
    gates = 4 if isinstance(model.layer, nn.LSTM) else 3
    with torch.no_grad():
        model.layer.bias_ih_l0.chunk(gates)[1].fill_(bias)
        model.layer.bias_hh_l0.chunk(gates)[1].zero_()


def build(name: str, length: int, seed: int) -> nn.Module:
    """A cell of 64 numbers ("+ b": its keeping gate starts with bias b), or one block of 32."""
    torch.manual_seed(seed)
    if name == "Transformer":
        config = ModelConfig(
            vocab_size=KINDS, context_length=length, d_model=32, n_layers=1, n_heads=4
        )
        return CausalLM(config)
    kind, _, bias = name.partition(" + ")
    cell: Any = kind.split(",")[0].lower()
    model = FastLM(RecurrentLM(RecurrentConfig(vocab_size=KINDS, d_model=WIDTH, cell=cell)))
    if "orthogonal" in kind:
        nn.init.orthogonal_(model.layer.weight_hh_l0)
    if bias:
        open_gate(model, float(bias))
    return model


def reach(model: nn.Module, tokens: Tensor) -> float | None:
    """The last state's gradient at the first input, relative to that at the last input."""
    if not isinstance(model, FastLM):
        return None
    x = model.embedding(tokens).detach().requires_grad_()
    last = model.layer(x)[0][:, -1]
    direction = torch.randn(last.shape, generator=generator(0, 0))
    (size,) = torch.autograd.grad((last * direction).sum(), x)
    norms = size.norm(dim=-1).mean(0)
    return float(f"{norms[0] / norms[-1]:.3g}")


def matrix(model: nn.Module) -> list[float] | None:
    """Largest singular value, largest eigenvalue and root mean square singular value of U."""
    if not isinstance(model, FastLM) or not isinstance(model.layer, nn.RNN):
        return None
    U = model.layer.weight_hh_l0.detach()
    norm, radius = torch.linalg.matrix_norm(U, ord=2), torch.linalg.eigvals(U).abs().max()
    return [round(float(x), 3) for x in (norm, radius, U.norm() / len(U) ** 0.5)]


def copy_run(name: str, length: int, rate: float, seed: int) -> Result:
    """Train one network, measure it on new sequences."""
    model, data = build(name, length, seed), FirstSymbol(length, seed)
    config = TrainConfig(steps=STEPS, batch_size=64, lr=rate, schedule="stable", weight_decay=0.0)
    trainer, test = minillm.Trainer(model, config, data), data.batch(10**6, 1000)
    before = reach(model, test.inputs[:64]), matrix(model)
    while trainer.step < STEPS:
        loss = trainer.fit(25)[-1].loss
        if not loss > STOP:
            break
    with torch.no_grad():
        right = model(test.inputs)[:, -1].argmax(-1) == test.targets[:, -1]
    run = {"name": name, "T": length, "rate": rate, "seed": seed, "steps": trainer.step}
    run |= {"accuracy": round(right.float().mean().item(), 3)}
    run |= {"reach": [before[0], reach(model, test.inputs[:64])]}
    run |= {"U": [before[1], matrix(model)]}
    print(run, flush=True)
    return run


def best_rate(runs: list[Result]) -> float:
    """The highest mean accuracy; the lowest rate among equals."""
    rates = sorted({run["rate"] for run in runs})
    return max(rates, key=lambda rate: sum(x["accuracy"] for x in runs if x["rate"] == rate))


def main() -> None:
    """Run everything; the JSON is written again after each network."""
    parser = argparse.ArgumentParser(description="Name the first of T symbols.")
    parser.parse_args()
    started = time.process_time()
    sweep: list[Result] = []
    fresh: list[Result] = []
    chosen: list[Result] = []

    def save() -> None:
        results.store(
            "copy_at_distance",
            {"rates": RATES, "sweep": sweep, "fresh": fresh, "chosen": chosen},
            command="python experiments/copy_at_distance.py",
            seeds=(*SEEDS, *FRESH),
            seconds=time.process_time() - started,
            data={},
        )

    cases = [(name, distance) for distance in DISTANCES for name in SWEPT[distance]]
    for name, length in cases:
        runs = [copy_run(name, length, rate, seed) for rate in RATES for seed in SEEDS]
        best = best_rate(runs)
        sweep += runs
        chosen.append({"name": name, "T": length, "rate": best})
        fresh += [copy_run(name, length, best, seed) for seed in FRESH]
        save()
    for name, rate in AT_ONE.items():
        sweep += [copy_run(name, 40, rate, seed) for seed in SEEDS]
        save()


if __name__ == "__main__":
    main()

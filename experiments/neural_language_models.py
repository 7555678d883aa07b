"""Train five small language models for equal tokens, each at its own best rate; store the curves.

All have about 105,000 parameters and see the same windows. First a sweep: 400 updates at three
learning rates (more if the best one is at the edge), judged on validation text; then, at the best
rate, two more seeds. Two of the networks are also trained for 1,600 updates, at that rate and at a
third of it. Beside them stand character n-grams whose discount was chosen on the same validation
text, counted on the whole training text and on as many characters as the networks drew. Used by the
chapter "Neural language models".
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from copy_at_distance import FastLM, open_gate
from torch import Tensor, nn

import minillm
from minillm import (
    CausalLM,
    ModelConfig,
    RecurrentConfig,
    RecurrentLM,
    TokenWindows,
    TrainConfig,
    results,
)
from minillm.corpora import bible

LENGTH, BATCH, EVAL_BATCHES, TEST = 64, 16, 20, 50_000
RATES, SEEDS, SHORT, LONG = (3e-3, 1e-2, 3e-2), (0, 1, 2), 400, 1600
ORDERS, DISCOUNTS = range(1, 8), (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NAMES, LONGER = ("MLP", "RNN", "GRU", "LSTM", "Transformer"), ("MLP", "RNN")
Result = dict[str, Any]


class WindowLM(nn.Module):
    """The network of the chapter: embeddings of the last few tokens, one hidden layer, logits."""

    def __init__(self, vocab_size: int, window: int, d_model: int, d_hidden: int) -> None:
        super().__init__()
        self.window, self.vocab_size = window, vocab_size
        self.embedding = nn.Embedding(vocab_size + 1, d_model)  # the last row: before the text
        self.hidden = nn.Linear(window * d_model, d_hidden)
        self.lm_head = nn.Linear(d_hidden, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of the next tokens."""
        before = tokens.new_full((len(tokens), self.window - 1), self.vocab_size)
        windows = torch.cat([before, tokens], dim=1).unfold(1, self.window, 1)  # (B, T, window)
        logits: Tensor = self.lm_head(self.hidden(self.embedding(windows).flatten(2)).tanh())
        return logits


def text_model(name: str, vocab_size: int, seed: int) -> nn.Module:
    """About 105,000 parameters of one kind; the LSTM's forget gate starts with a bias of 2."""
    torch.manual_seed(seed)
    if name == "MLP":
        return WindowLM(vocab_size, 8, 24, 384)
    if name == "Transformer":
        shape = ModelConfig(
            vocab_size=vocab_size, context_length=LENGTH, d_model=64, n_layers=2, n_heads=4
        )
        return CausalLM(shape)
    width = {"RNN": 212, "GRU": 126, "LSTM": 109}[name]
    cell: Any = name.lower()
    model = FastLM(RecurrentLM(RecurrentConfig(vocab_size=vocab_size, d_model=width, cell=cell)))
    if name == "LSTM":
        open_gate(model, 2.0)
    return model


@torch.no_grad()
def by_position(model: nn.Module, held: Tensor) -> list[float]:
    """Bits per character at each of the 64 positions of windows side by side."""
    losses = []
    for batch in TokenWindows(held, LENGTH).sequential():
        loss = nn.functional.cross_entropy(model(batch.inputs).mT, batch.targets, reduction="none")
        losses.append(loss)
    return [round(x / math.log(2), 4) for x in torch.cat(losses).mean(0).tolist()]


def bits(nats: float) -> float:
    """Bits of nats, rounded; a run that left the numbers counts as 99."""
    return round(nats / math.log(2), 4) if math.isfinite(nats) else 99.0


@dataclass(frozen=True)
class Run:
    """What distinguishes one run from another."""

    name: str
    updates: int
    rate: float
    seed: int


def train(job: Run, parts: dict[str, Tensor], vocab_size: int) -> Result:
    """One run on text: validation losses, and at the end the test text and the positions."""
    model, steps = text_model(job.name, vocab_size, job.seed), job.updates
    config = TrainConfig(
        steps=steps, batch_size=BATCH, lr=job.rate, warmup_steps=50, weight_decay=0.01,
        eval_every=steps // 16, eval_batches=EVAL_BATCHES,
    )  # fmt: skip
    val = TokenWindows(parts["validation"], LENGTH).sequential()
    data = TokenWindows(parts["train"], LENGTH, seed=job.seed)
    trainer = minillm.Trainer(model, config, data, val_data=val)
    first, started = trainer.evaluate(), time.process_time()
    history = trainer.fit()
    run: Result = {
        **asdict(job),
        "parameters": minillm.count_parameters(model),
        "seconds": round(time.process_time() - started, 1),
        "steps": [0, *history.steps("val_loss")],
        "val_bits": [bits(x) for x in (first, *history.column("val_loss"))],
    }  # fmt: skip
    test = minillm.perplexity(model, parts["test"][:TEST], length=LENGTH, stride=LENGTH // 2)
    run["test_bits"] = bits(math.log(test))
    run["by_position"] = by_position(model, parts["validation"][:50_000])
    print({k: run[k] for k in ("name", "rate", "seed", "updates", "seconds", "test_bits")},
          run["val_bits"][-1], flush=True)  # fmt: skip
    return run


def counts(parts: dict[str, Tensor], vocab_size: int, read: int) -> list[Result]:
    """Character n-grams on the first `read` characters, each at its best discount."""
    rows = []
    seen = parts["validation"][: EVAL_BATCHES * BATCH * LENGTH + 1]
    for order in ORDERS:
        model = minillm.NGramLM(vocab_size, order).fit(parts["train"][:read])
        tried = {}
        for discount in DISCOUNTS:
            model.settings = replace(model.settings, discount=discount)
            tried[discount] = math.log2(model.perplexity(seen))
        best = min(tried, key=lambda d: tried[d])
        model.settings = replace(model.settings, discount=best)
        test = math.log2(model.perplexity(parts["test"][:TEST]))
        row = {"order": order, "read": min(read, len(parts["train"])), "discount": best}
        row |= {"entries": sum(model.entries), "test_bits": round(test, 4)}
        rows.append(row | {"val_bits": round(tried[best], 4)})
    print(rows, flush=True)
    return rows


def final(run: Result) -> float:
    """The validation loss at the end of a run."""
    return float(run["val_bits"][-1])


def nearby(rate: float, factor: float) -> float:
    """A multiple of a learning rate, with one digit."""
    return float(f"{rate * factor:.0e}")


def sweep(run: Callable[[float], Result]) -> list[Result]:
    """Runs at all rates, and at further ones until the best is not at the edge."""
    runs = [run(rate) for rate in RATES]
    while True:
        best, rates = min(runs, key=final)["rate"], [x["rate"] for x in runs]
        if min(rates) < best < max(rates):
            return runs
        runs.append(run(nearby(best, 3.162 if best == max(rates) else 1 / 3.162)))


def main() -> None:
    """Run everything; the JSON is written again after each stage."""
    argparse.ArgumentParser(description="Five small language models for equal tokens.").parse_args()
    started, corpus = time.process_time(), bible("bbe")
    texts = {
        part: "\n".join(verse.text for verse in getattr(corpus, part))
        for part in ("train", "validation", "test")
    }
    tok = minillm.CharTokenizer(texts["train"])
    parts = {part: torch.tensor(tok.encode(text)) for part, text in texts.items()}
    result: Result = {"tokens_per_step": LENGTH * BATCH, "counts": []}
    result |= {"sweep": [], "rates": {}, "runs": [], "longer": []}

    def save() -> None:
        results.store(
            "neural_language_models",
            result,
            command="python experiments/neural_language_models.py",
            seeds=SEEDS,
            seconds=time.process_time() - started,
            data={f"bbe {part}": text for part, text in texts.items()},
        )

    for read in (SHORT * LENGTH * BATCH, LONG * LENGTH * BATCH, len(parts["train"])):
        result["counts"] += counts(parts, tok.vocab_size, read)

    def run(name: str, updates: int, rate: float, seed: int = 0) -> Result:
        return train(Run(name, updates, rate, seed), parts, tok.vocab_size)

    for name in NAMES:
        runs = sweep(lambda rate, name=name: run(name, SHORT, rate))
        result["rates"][name] = min(runs, key=final)["rate"]
        result["sweep"] += runs
        save()
    for seed in SEEDS[1:]:
        for name, rate in result["rates"].items():
            result["runs"].append(run(name, SHORT, rate, seed))
            save()
    for name in LONGER:
        best = result["rates"][name]
        result["longer"] += [run(name, LONG, rate) for rate in (best, nearby(best, 1 / 3.162))]
        save()


if __name__ == "__main__":
    main()

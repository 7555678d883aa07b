"""Train five small language models for equal tokens and store their curves.

All have about 105,000 parameters and see the same windows. Beside them stand character n-grams,
fitted to the whole training text. Used by the chapter "Neural language models".
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import minillm
from minillm import CausalLM, ModelConfig, RecurrentConfig, RecurrentLM, TokenWindows, TrainConfig
from minillm.corpora import bible

OUT = Path(minillm.__file__).parent / "results" / "neural_language_models.json"
LENGTH, BATCH, EVAL_BATCHES, TEST, ORDERS = 64, 16, 20, 20_000, range(1, 8)
RATES = {"MLP": 4e-3, "RNN": 2e-3, "GRU": 4e-3, "LSTM": 4e-3, "Transformer": 4e-3}
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


def recurrent(cell: Any, vocab_size: int, d_model: int, forget: float | None = None) -> RecurrentLM:
    """One cell; `forget` sets the bias of an LSTM's forget gate."""
    model = RecurrentLM(RecurrentConfig(vocab_size=vocab_size, d_model=d_model, cell=cell))
    if forget is not None:
        for name, bias in model.cells.named_parameters():
            if name.endswith("input.bias"):
                bias.data[d_model : 2 * d_model] = forget
    return model


def transformer(vocab_size: int, length: int, d_model: int, n_layers: int) -> CausalLM:
    """Causal blocks with four heads and learned positions."""
    return CausalLM(
        ModelConfig(
            vocab_size=vocab_size,
            context_length=length,
            d_model=d_model,
            n_layers=n_layers,
            n_heads=4,
        )
    )


def text_model(name: str, vocab_size: int) -> nn.Module:
    """About 105,000 parameters of one kind."""
    torch.manual_seed(0)
    if name == "MLP":
        return WindowLM(vocab_size, 8, 24, 384)
    if name == "Transformer":
        return transformer(vocab_size, LENGTH, 64, 2)
    width, forget = {"RNN": (212, None), "GRU": (126, None), "LSTM": (109, 2.0)}[name]
    return recurrent(name.lower(), vocab_size, width, forget)


@torch.no_grad()
def by_position(model: nn.Module, held: Tensor) -> list[float]:
    """Bits per character at each of the 64 positions of windows side by side."""
    losses = []
    for batch in TokenWindows(held, LENGTH).sequential():
        loss = nn.functional.cross_entropy(model(batch.inputs).mT, batch.targets, reduction="none")
        losses.append(loss)
    return [round(x / math.log(2), 4) for x in torch.cat(losses).mean(0).tolist()]


def train(name: str, steps: int, parts: dict[str, Tensor], vocab_size: int) -> Result:
    """One run on text: validation losses, and the test text at the end."""
    model = text_model(name, vocab_size)
    config = TrainConfig(
        steps=steps, batch_size=BATCH, lr=RATES[name], warmup_steps=min(50, steps),
        weight_decay=0.01, eval_every=max(1, steps // 16), eval_batches=EVAL_BATCHES,
    )  # fmt: skip
    val = TokenWindows(parts["validation"], LENGTH).sequential()
    trainer = minillm.Trainer(model, config, TokenWindows(parts["train"], LENGTH), val_data=val)
    first, started = trainer.evaluate(), time.process_time()
    history = trainer.fit()
    seconds = time.process_time() - started
    test = minillm.perplexity(model, parts["test"][:TEST], length=LENGTH, stride=LENGTH // 2)
    run = {
        "name": name, "parameters": minillm.count_parameters(model), "seconds": round(seconds, 1),
        "steps": [0, *history.steps("val_loss")], "test_bits": round(math.log2(test), 4),
        "val_bits": [round(x / math.log(2), 4) for x in (first, *history.column("val_loss"))],
        "by_position": by_position(model, parts["validation"][:100_000]),
    }  # fmt: skip
    print(name, run["val_bits"][-1], run["test_bits"], run["seconds"], flush=True)
    return run


def counts(parts: dict[str, Tensor], vocab_size: int) -> list[Result]:
    """Character n-grams on the same texts."""
    rows = []
    seen = parts["validation"][: EVAL_BATCHES * BATCH * LENGTH + 1]
    for order in ORDERS:
        model = minillm.NGramLM(vocab_size, order).fit(parts["train"])
        val, test = (math.log2(model.perplexity(x)) for x in (seen, parts["test"][:TEST]))
        rows.append({"order": order, "entries": sum(model.entries)})
        rows[-1] |= {"val_bits": round(val, 4), "test_bits": round(test, 4)}
    return rows


def main() -> None:
    """Run everything and write the JSON."""
    parser = argparse.ArgumentParser(description="Five small language models for equal tokens.")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=OUT)
    args, corpus = parser.parse_args(), bible("bbe")
    tok = minillm.CharTokenizer("\n".join(verse.text for verse in corpus.train))
    parts = {
        part: torch.tensor(tok.encode("\n".join(verse.text for verse in getattr(corpus, part))))
        for part in ("train", "validation", "test")
    }
    made_by = f"python experiments/neural_language_models.py --steps {args.steps}"
    result: Result = {"made_by": made_by, "minillm": minillm.__version__}
    result |= {"torch": torch.__version__, "tokens_per_step": LENGTH * BATCH}
    result["counts"] = counts(parts, tok.vocab_size)
    result["runs"] = [train(name, args.steps, parts, tok.vocab_size) for name in RATES]
    args.out.write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How much sooner can a small model be as good as a common recipe makes it?

The common recipe is nanoGPT's command for a computer without a graphics card: GPT-2 blocks, AdamW
with the rate 1e-3, 2,000 batches of 12 windows. What it reaches on the Bible in Basic English, 1.36
nats per character (three seeds: 1.355, 1.357, 1.364), was fixed as the goal before all else. The
*reference* is that recipe with its rate tuned and then as few updates as reach the goal. Ours has
no more parameters. Of ours, every choice is also taken back, one at a time, with all others kept,
and things that were tried and did not stay are put in.

Same text, same split, same validation windows. Time is that of the updates alone, in CPU seconds of
one thread. For the chapter "Pretraining".
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from minillm.attention import fused_attention
from torch import Tensor, nn

import minillm
from minillm import CausalLM, ModelConfig, TokenWindows, TrainConfig, results
from minillm.corpora import bible

NAME = "time_to_loss"
GOAL = 1.36
UNTUNED = (1.355, 1.3569, 1.3644)  # the recipe as published, three seeds
LENGTH = 64
# The search for ours, one seed each, 30 November 2026 (pairs numbered in another way): layers,
# rows of tables of pairs (and triples), rounds of Newton-Schulz, batch, updates, what else; CPU ms
# an update, loss.
TRIED = (
    (4, "0", 5, 16, 264, "the beginning", 170.4, 1.3408),
    (4, "0", 5, 16, 264, "rounds on the smaller product", 165.5, 1.3416),
    (3, "1024", 3, 16, 264, "", 111.8, 1.3259),
    (4, "0", 3, 16, 264, "attention reads one back", 137.8, 1.3684),
    (2, "2048", 3, 16, 264, "", 72.7, 1.3370),
    (2, "1024 + 1024", 3, 16, 264, "attention reads one back", 76.5, 1.2987),
    (3, "1024", 3, 8, 400, "", 70.5, 1.3792),
    (2, "2048", 5, 16, 240, "", 88.0, 1.3237),
    (2, "2048", 3, 16, 240, "", 76.8, 1.3539),
)
PLAIN = ModelConfig(vocab_size=1, context_length=LENGTH, d_model=128, n_layers=4, n_heads=4)


class PairEmbedding(nn.Module):
    """The row of a token, plus a row for the pair of it and the token before.

    There are fewer rows than pairs, so some pairs share one (the remainder of their number).

    Args:
        token: the embedding of single tokens, which stays tied to the output.
        rows: of the table of pairs.

    Shape:
        tokens: (B, T) → (B, T, D)
    """

    def __init__(self, token: nn.Embedding, rows: int) -> None:
        super().__init__()
        self.token = token
        self.pair = nn.Embedding(rows, token.embedding_dim)
        nn.init.normal_(self.pair.weight, std=0.02)

    def forward(self, tokens: Tensor, *_: Any) -> Tensor:
        """Look both rows up; the first token of a window is paired with id 0."""
        before = F.pad(tokens[:, :-1], (1, 0))
        number = self.token.num_embeddings * before + tokens
        return self.token(tokens) + self.pair(number % self.pair.num_embeddings)


class LookBack(nn.Module):
    """Add to each position a learned part of the one before, coordinate by coordinate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, T, D) → (B, T, D)."""
        return x + self.weight * F.pad(x[:, :-1], (0, 0, 1, 0))


def look_back(model: CausalLM) -> None:
    """Let every attention read a mixture of each position and the one before."""
    for block in model.transformer.blocks:
        width = model.config.d_model
        block.attention_norm = nn.Sequential(block.attention_norm, LookBack(width))


def normed_queries(model: CausalLM) -> None:
    """Give queries and keys a fixed length before they are compared."""

    def kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, **rest: Any) -> Tensor:
        q, k = (F.rms_norm(x, x.shape[-1:]) for x in (q, k))
        return fused_attention(q, k, v, mask, **rest)

    for block in model.transformer.blocks:
        block.attention.kernel = kernel


def squared_relu(model: CausalLM) -> None:
    """Use relu(x)² in the feed-forward networks."""
    for block in model.transformer.blocks:
        block.ffn.activation = lambda x: F.relu(x).square()


@dataclass(frozen=True)
class Recipe:
    """A model, a way to train it, and what else is done to the model before it is trained."""

    train: TrainConfig
    model: ModelConfig = field(default=PLAIN)
    into_stream: float | None = None
    pairs: int = 0
    change: Callable[[CausalLM], None] | None = None


REFERENCE = Recipe(
    TrainConfig(steps=1280, batch_size=12, lr=3e-3, betas=(0.9, 0.99), warmup_steps=100)
)
OURS = Recipe(
    TrainConfig(
        steps=208, batch_size=16, lr=2e-2, optimizer="muon", muon_lr=0.03, betas=(0.9, 0.99),
        warmup_steps=10, schedule="linear", min_lr_ratio=0.0,
    ),
    replace(PLAIN, n_layers=2, n_heads=2, norm="rmsnorm", position="rope", ffn="relu", bias=False),
    into_stream=0.0,
    pairs=2048,
)  # fmt: skip


def recipes() -> dict[str, Recipe]:
    """The reference, ours, ours with one choice taken back, and ours with one thing more."""
    ref, t, m = REFERENCE.train, OURS.train, OURS.model
    adamw = replace(t, optimizer="adamw", lr=3e-3)
    four = replace(m, n_layers=4)
    return {
        "reference": REFERENCE,
        "reference, rate 1e-2": replace(REFERENCE, train=replace(ref, lr=1e-2)),
        "ours": OURS,
        "AdamW 3e-3, no Muon": replace(OURS, train=adamw),
        "AdamW 1e-2, no Muon": replace(OURS, train=replace(adamw, lr=1e-2)),
        "no table of pairs": replace(OURS, pairs=0),
        "no table of pairs, 4 layers": replace(OURS, pairs=0, model=four),
        "learned positions, not rotary": replace(OURS, model=replace(m, position="learned")),
        "batch of 32, half the updates": replace(
            OURS, train=replace(t, batch_size=32, steps=t.steps // 2)
        ),
        "rate of AdamW 3e-3, not 2e-2": replace(OURS, train=replace(t, lr=3e-3)),
        "projections not zero": replace(OURS, into_stream=None),
        "GELU, not ReLU": replace(OURS, model=replace(m, ffn="gelu_tanh")),
        "LayerNorm and biases": replace(OURS, model=replace(m, norm="layernorm", bias=True)),
        "4 heads, not 2": replace(OURS, model=replace(m, n_heads=4)),
        "cosine to a tenth, not linear to 0": replace(
            OURS, train=replace(t, schedule="cosine", min_lr_ratio=0.1)
        ),
        "+ Muon's rate 0.05, not 0.03": replace(OURS, train=replace(t, muon_lr=0.05)),
        "+ batch of 8, twice the updates": replace(
            OURS, train=replace(t, batch_size=8, steps=2 * t.steps)
        ),
        "+ queries and keys normed": replace(OURS, change=normed_queries),
        "+ ReLU squared": replace(OURS, change=squared_relu),
        "+ attention reads one back": replace(OURS, change=look_back),
    }


def text() -> tuple[str, str]:
    """Training and validation part."""
    corpus = bible("bbe")
    train, held = (
        "\n".join(verse.text for verse in part) for part in (corpus.train, corpus.validation)
    )
    return train, held


def make_trainer(recipe: Recipe, parts: tuple[str, str], seed: int) -> minillm.Trainer:
    """A run before its first update."""
    tok = minillm.CharTokenizer("".join(parts))
    ids = torch.tensor(tok.encode(parts[0]))
    torch.manual_seed(seed)
    model = CausalLM(replace(recipe.model, vocab_size=tok.vocab_size))
    minillm.init_weights(model, into_stream=recipe.into_stream)
    if recipe.pairs:
        token = model.transformer.embedding.token
        model.transformer.embedding = PairEmbedding(token, recipe.pairs)
    if recipe.change is not None:
        recipe.change(model)
    config = replace(recipe.train, seed=seed)
    return minillm.Trainer(model, config, TokenWindows(ids, LENGTH, seed=seed))


def measure(model: CausalLM, parts: tuple[str, str]) -> float:
    """Loss on the first 1,024 validation windows."""
    held = torch.tensor(minillm.CharTokenizer("".join(parts)).encode(parts[1]))
    windows = TokenWindows(held, LENGTH).sequential()
    config = TrainConfig(steps=1, batch_size=128, eval_batches=8)
    return minillm.Trainer(model, config, windows, val_data=windows).evaluate()


def train(name: str, recipe: Recipe, parts: tuple[str, str], seed: int) -> dict[str, Any]:
    """One run: what it cost and what it reached."""
    trainer = make_trainer(recipe, parts, seed)
    started = time.process_time()
    history = trainer.fit()
    seconds = time.process_time() - started
    run = {
        "name": name, "seed": seed, "parameters": minillm.count_parameters(trainer.model),
        "steps": recipe.train.steps, "characters": history[-1].tokens,
        "val_loss": round(measure(trainer.model, parts), 4), "cpu_seconds": round(seconds, 2),
        "first_losses": [round(x, 4) for x in history.column("loss")[:10]],
    }  # fmt: skip
    print(run, flush=True)
    return run


def main() -> None:
    """Make the named runs, keep the others, and write them all."""
    parser = argparse.ArgumentParser(description="Time to the loss of a common recipe.")
    parser.add_argument("--only", nargs="*", help="names of recipes; default: all")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    args, parts, plans = parser.parse_args(), text(), recipes()
    torch.set_num_threads(1)

    def save(run: dict[str, Any]) -> None:
        runs = [*results.load(NAME)["runs"], run]
        kept = {(r["name"], r["seed"]): r for r in runs if r["name"] in plans}
        runs = sorted(kept.values(), key=lambda r: ([*plans].index(r["name"]), r["seed"]))
        settings = {
            key: {"train": asdict(recipe.train), "model": asdict(recipe.model)}
            for key, recipe in (("reference", REFERENCE), ("ours", OURS))
        }
        found = {"goal": GOAL, "untuned": UNTUNED, "tried": TRIED, "settings": settings}
        results.store(
            NAME, {**found, "runs": runs}, command="python experiments/time_to_loss.py",
            seeds=sorted({r["seed"] for r in runs}), seconds=sum(r["cpu_seconds"] for r in runs),
            data={"bible-bbe": "".join(parts)},
        )  # fmt: skip

    for seed in args.seeds:
        for name in plans if args.only is None else args.only:
            save(train(name, plans[name], parts, seed))


if __name__ == "__main__":
    main()

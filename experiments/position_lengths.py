"""Train one small model with each way to tell it positions, and read it at eight times the length.

All runs see windows of 64 characters. Afterwards the loss of every position of windows of 512
characters is measured, as it is and with each query limited to the last 64 characters. Each method
gets the best of three learning rates, chosen in short runs with a seed of their own. Used by the
chapter "Order".
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import minillm
from minillm import results
from minillm.corpora import python_docs

LENGTH, LONG, BIN, STRIDE, WIDTH, HEADS = 64, 512, 16, 128, 64, 4
Kernel = Callable[..., Tensor]
Run = dict[str, Any]
RUNS = {
    "none": "none", "learned": "learned", "sinusoids": "sinusoidal", "RoPE": "rope",
    "ALiBi": "none", "sinusoids, unscaled tokens": "sinusoidal", "RoPE, random stretch": "rope",
    "RoPE, θ = 10": "rope", "RoPE, θ = 100": "rope", "RoPE, θ = 1000000": "rope",
}  # fmt: skip
REPEATED = ("none", "learned", "sinusoids", "RoPE", "ALiBi", "RoPE, random stretch")
SEEDS, SEARCH_SEED, SCALES = (0, 1, 2), 9, (1 / 3, 1.0, 3.0)
ENDS = ((0, LENGTH), (LENGTH, 2 * LENGTH), (3 * LENGTH, 4 * LENGTH), (7 * LENGTH, 8 * LENGTH))


def distances(q: Tensor, k: Tensor) -> Tensor:
    """How far each key lies behind each query (T, S); negative for later keys."""
    return torch.arange(q.shape[-2])[:, None] - torch.arange(k.shape[-2])


def penalised(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    """Attention where allowed, with slope × distance taken off each score."""
    slopes = 2.0 ** (-8 * torch.arange(1, q.shape[-3] + 1) / q.shape[-3])
    bias = (-slopes[:, None, None] * distances(q, k)).masked_fill(~allowed, -torch.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def alibi(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Tensor:
    """Causal attention with ALiBi's penalties."""
    return penalised(q, k, v, distances(q, k) >= 0)


def windowed(kernel: Kernel) -> Kernel:
    """The same kernel with every query limited to the last 64 positions."""

    def limited(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Tensor:
        back = distances(q, k)
        near = (back >= 0) & (back < LENGTH)
        return (penalised if kernel is alibi else minillm.fused_attention)(q, k, v, near)

    return limited


def attentions(model: minillm.CausalLM) -> Iterator[minillm.Attention]:
    """The attention layers of a model."""
    return (m for m in model.modules() if isinstance(m, minillm.Attention))


@contextmanager
def kernels(model: minillm.CausalLM, change: Callable[[Kernel], Kernel]) -> Iterator[None]:
    """For a while, attend with a changed kernel."""
    kept = [(layer, layer.kernel) for layer in attentions(model)]
    for layer, kernel in kept:
        layer.kernel = change(kernel)
    try:
        yield
    finally:
        for layer, kernel in kept:
            layer.kernel = kernel


def build(name: str, seed: int, vocab_size: int) -> minillm.CausalLM:
    """The untrained model of a run."""
    theta = float(name.rsplit(" ", 1)[1]) if "θ" in name else 10_000.0
    config = minillm.ModelConfig(
        vocab_size=vocab_size, context_length=LONG, d_model=WIDTH, n_layers=2, n_heads=HEADS,
        norm="rmsnorm", bias=False, position=RUNS[name], rope_theta=theta,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = minillm.CausalLM(config)
    if name == "ALiBi":
        for layer in attentions(model):
            layer.kernel = alibi
    if "unscaled" in name:
        model.transformer.embedding.scale = 1.0
    return model


@contextmanager
def stretched_at_random(model: minillm.CausalLM, seed: int) -> Iterator[None]:
    """For a while, multiply the positions of each forward pass by a random factor from 1 to 8."""
    generator = torch.Generator().manual_seed(seed)

    def stretch(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        factor = torch.randint(1, LONG // LENGTH + 1, (), generator=generator)
        return (args[0] * factor, *args[1:])

    handle = model.transformer.rope.register_forward_pre_hook(stretch)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def told(model: minillm.CausalLM, theta: float, divisor: float) -> Iterator[None]:
    """For a while, another base θ and positions divided by a number."""
    rope = model.transformer.rope
    kept, rope.theta = rope.theta, theta
    handle = rope.register_forward_pre_hook(lambda _, args: (args[0] / divisor, *args[1:]))
    try:
        yield
    finally:
        handle.remove()
        rope.theta = kept


@torch.no_grad()
def by_position(model: minillm.CausalLM, windows: Tensor) -> Tensor:
    """Mean loss at each position of the windows (N, T + 1) → (T,)."""
    losses = [
        F.cross_entropy(model(part[:, :-1]).mT, part[:, 1:], reduction="none")
        for part in windows.split(16)
    ]
    return torch.cat(losses).mean(0)


def fit(
    name: str, seed: int, ids: Tensor, *, vocab_size: int, steps: int, scale: float
) -> minillm.CausalLM:
    """Train the model of a run, with all rates multiplied by `scale`."""
    model = build(name, seed, vocab_size)
    config = minillm.TrainConfig(
        steps=steps, batch_size=16, lr=5e-3 * scale, muon_lr=0.02 * scale, optimizer="muon",
        schedule="linear", min_lr_ratio=0.0, warmup_steps=steps // 20,
    )  # fmt: skip
    trainer = minillm.Trainer(model, config, minillm.TokenWindows(ids, LENGTH, seed=seed))
    if "random" in name:
        with stretched_at_random(model, seed):
            trainer.fit()
    else:
        trainer.fit()
    return model.eval()


def choose(
    name: str, ids: Tensor, held: Tensor, *, vocab_size: int, steps: int
) -> dict[float, float]:
    """Losses at the trained length after short runs, by the factor on the rates."""
    windows, losses = held.unfold(0, LENGTH + 1, LENGTH)[:320], {}
    for scale in SCALES:
        model = fit(name, SEARCH_SEED, ids, vocab_size=vocab_size, steps=steps, scale=scale)
        losses[scale] = round(by_position(model, windows).mean().item(), 4)
    return losses


def run(name: str, seed: int, ids: Tensor, held: Tensor, *, steps: int, scale: float) -> Run:
    """One run: its losses by position in bins, free and windowed."""
    started = time.process_time()
    vocab_size = int(max(ids.max(), held.max())) + 1
    model = fit(name, seed, ids, vocab_size=vocab_size, steps=steps, scale=scale)
    windows = held.unfold(0, LONG + 1, STRIDE)
    losses = {"free": by_position(model, windows)}
    with kernels(model, windowed):
        losses["window"] = by_position(model, windows)
    if name == "RoPE":  # what can be tried without training
        exponent = model.config.head_dim / (model.config.head_dim - 2)
        for key, factor, divisor in (("positions / 8", 1, 8), ("slower clocks, 4", 4, 1),
                                     ("slower clocks, 8", 8, 1)):  # fmt: skip
            with told(model, 10_000.0 * factor**exponent, divisor):
                losses[key] = by_position(model, windows)
    seconds = time.process_time() - started
    for key, loss in losses.items():
        print(f"{name:27} {seed} {key:7}", *(f"{loss[a:b].mean():.3f}" for a, b in ENDS),
              f"{seconds:.0f} s", flush=True)  # fmt: skip
    bins = {key: loss.unflatten(0, (-1, BIN)).mean(-1).tolist() for key, loss in losses.items()}
    rounded = {key: [round(x, 4) for x in values] for key, values in bins.items()}
    return {"name": name, "seed": seed, "scale": scale, "seconds": round(seconds, 1), **rounded}


def main() -> None:
    """Fit the n-grams, choose the rates, make all runs; store after each seed."""
    parser = argparse.ArgumentParser(description="Read small models beyond their length.")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--search-steps", type=int, default=200, help="0: rates as they are")
    args, docs, started = parser.parse_args(), python_docs(), time.process_time()
    sizes = f"--steps {args.steps} --search-steps {args.search_steps}"
    command = f"python experiments/position_lengths.py {sizes}"
    tok = minillm.CharTokenizer(docs.text)
    ids, held = (torch.tensor(tok.encode(text)) for text in (docs.train, docs.validation))
    ruler = {}
    for name, order in (("unigram", 1), ("bigram", 2), ("trigram", 3), ("5-gram", 5)):
        counts = minillm.NGramLM(tok.vocab_size, order, smoothing="witten_bell").fit(ids)
        ruler[name] = round(-counts.log_probs(held).mean().item(), 4)
    searched = REPEATED if args.search_steps else ()
    search = {
        n: choose(n, ids, held, vocab_size=tok.vocab_size, steps=args.search_steps)
        for n in searched
    }
    print(search, flush=True)
    best = {name: min(losses, key=lambda s: losses[s]) for name, losses in search.items()}
    runs: list[Run] = []
    for seed in SEEDS:
        for name in RUNS if seed == 0 else REPEATED:
            scale = best.get(name, best.get("RoPE" if "θ" in name else "sinusoids", 1.0))
            runs.append(run(name, seed, ids, held, steps=args.steps, scale=scale))
        tried = {n: {f"{s:.3g}": x for s, x in losses.items()} for n, losses in search.items()}
        results.store(
            "position_lengths", {"length": LENGTH, "bin": BIN, "baselines": ruler,
                                 "search": tried, "runs": runs},
            command=command, seeds=SEEDS,
            seconds=time.process_time() - started, data={"python docs": docs.text},
        )  # fmt: skip


if __name__ == "__main__":
    main()

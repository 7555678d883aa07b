"""Train a small model with one part of its blocks taken away, until little more is learned.

Every variant gets its own learning rate: three rates are tried in short runs, and as long as the
best of them is the smallest or the largest, one more beyond it. Then come three seeds that had no
part in the choice. Before and after training stand the gradients of each kind of parameter and the
cosine between positions. Used by the chapter "The block".
"""

import argparse
import math
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import minillm
from minillm import results
from minillm.corpora import python_docs

DEPTH, WIDTH, LENGTH, BATCH, EVAL_BATCHES, BONUS = 4, 64, 64, 16, 20, 6.0
SEEDS, SEARCH_SEED = (0, 1, 2), 9
VARIANTS: dict[str, dict[str, Any]] = {
    "complete": {},
    "no attention": {"attention": False},
    "no residual": {"residual": False},
    "no residual, own position +6": {"residual": False, "bonus": BONUS},
    "no norm": {"norm": "none"},
    "no FFN": {"ffn": False},
    "no residual, no attention": {"residual": False, "attention": False},
    "post-norm": {"norm": "post"},
}
KINDS = {"q and k": ("q_proj", "k_proj"), "v": ("v_proj",), "o": ("o_proj",),
         "FFN": ("ffn.",), "norm": ("_norm",)}  # fmt: skip
Run = dict[str, Any]


class Missing(nn.Module):
    """Stands for a sublayer: adds nothing to a stream, or hands on what it reads without one."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Return zeros, or with factor 1 the input."""
        return self.factor * x


def bare(x: Tensor, norm: nn.Module, sublayer: Any) -> Tensor:
    """No residual connection: what the sublayer returns is all that goes on."""
    out: Tensor = sublayer(norm(x))
    return out


class OwnPosition:
    """Causal attention that adds a bonus to the score of each position with itself."""

    def __init__(self, bonus: float) -> None:
        self.bonus = bonus

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Tensor:
        """Attend as the fused kernel does, with the bonus on the diagonal."""
        length = q.shape[-2]
        bias = torch.full((length, length), -math.inf).triu(1) + self.bonus * torch.eye(length)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def build(
    seed: int, vocab_size: int, *, depth: int = DEPTH, attention: bool = True, ffn: bool = True,
    residual: bool = True, norm: str = "pre", bonus: float = 0.0, gain: float | None = None,
) -> minillm.CausalLM:  # fmt: skip
    """An untrained model; with `gain`, matrices that keep the size of what passes through."""
    config = minillm.ModelConfig(
        vocab_size=vocab_size, context_length=LENGTH, d_model=WIDTH, n_heads=4, n_layers=depth,
        norm="rmsnorm", position="rope", norm_placement="post" if norm == "post" else "pre",
    )  # fmt: skip
    torch.manual_seed(seed)
    model = minillm.CausalLM(config)
    for block in model.transformer.blocks:
        for module in block.modules():
            if gain is not None and isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=gain * module.in_features**-0.5)
        if bonus:
            block.attention.kernel = OwnPosition(bonus)
        if not residual:
            block.residual = bare
        if norm == "none":
            block.attention_norm = block.ffn_norm = model.transformer.norm = nn.Identity()
        if not attention:
            block.attention = Missing(float(not residual))
        if not ffn:
            block.ffn = Missing(float(not residual))
    return model


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def measure(model: minillm.CausalLM, batch: minillm.Batch) -> Run:
    """Loss, cosine between positions after each block, gradient norms by kind and block."""
    model.zero_grad()
    with minillm.capture(model, attention=False) as trace:
        loss, count = minillm.lm_loss(model, batch)
    torch.autograd.backward(loss / count)
    gradients: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "bias")}
    for block in model.transformer.blocks:
        found: dict[str, list[Tensor]] = {kind: [torch.zeros(1)] for kind in gradients}
        for name, parameter in block.named_parameters():
            if parameter.grad is not None:
                kinds = [k for k, parts in KINDS.items() if any(part in name for part in parts)]
                kind = "bias" if name.endswith("bias") else kinds[0]
                found[kind].append(parameter.grad.flatten())
        for kind, grads in found.items():
            gradients[kind].append(rounded(torch.cat(grads).double().norm().item()))
    embedding = model.transformer.embedding.token.weight.grad
    unit = F.normalize(trace.hidden_stack().double(), dim=-1, eps=1e-300)  # (L + 1, B, T, D)
    cosine = ((unit @ unit.mT).sum((-1, -2)) / LENGTH - 1) / (LENGTH - 1)  # without itself: 1
    model.zero_grad()
    return {
        "loss": rounded(float(loss.detach() / count)),
        "cosine": [round(c, 4) for c in cosine.mean(1).tolist()],
        "apart": [rounded(1 - c) for c in cosine.mean(1).tolist()],
        "gradients": gradients,
        "embedding": rounded(float(embedding.norm())) if embedding is not None else 0.0,
    }


class Bench:
    """The texts of all runs, and one run on them."""

    def __init__(self) -> None:
        self.docs = python_docs()
        self.characters = minillm.CharTokenizer(self.docs.text)
        parts = (self.docs.train, self.docs.validation)
        self.ids, self.held = (torch.tensor(self.characters.encode(text)) for text in parts)

    def ruler(self) -> dict[str, float]:
        """Losses of n-gram models on the characters that validate the runs."""
        seen, losses = self.held[: EVAL_BATCHES * BATCH * LENGTH], {}
        for name, order in (("unigram", 1), ("bigram", 2), ("trigram", 3), ("5-gram", 5)):
            counts = minillm.NGramLM(self.characters.vocab_size, order, smoothing="witten_bell")
            losses[name] = round(-counts.fit(self.ids).log_probs(seen).mean().item(), 4)
        return losses

    def train(
        self, seed: int, steps: int, scale: float, *, batch: int = BATCH, curve: int = 8,
        **parts: Any,
    ) -> Run:  # fmt: skip
        """One run with all rates multiplied by `scale`: curve, and measurements around it."""
        data = minillm.TokenWindows(self.ids, LENGTH, seed=seed)
        val = minillm.TokenWindows(self.held, LENGTH).sequential()
        model = build(seed, self.characters.vocab_size, **parts)
        probe = data.batch(10**6, BATCH)
        config = minillm.TrainConfig(
            steps=steps, batch_size=batch, lr=5e-3 * scale, muon_lr=0.02 * scale,
            optimizer="muon", schedule="linear", min_lr_ratio=0.0, warmup_steps=5,
            eval_every=max(1, steps // curve), eval_batches=EVAL_BATCHES * BATCH // batch,
        )  # fmt: skip
        trainer, start = minillm.Trainer(model, config, data, val_data=val), measure(model, probe)
        losses, history = [trainer.evaluate()], trainer.fit()
        losses = [round(x, 4) for x in losses + history.column("val_loss")]
        steps_seen = [0, *history.steps("val_loss")]
        return {"seed": seed, "scale": scale, "steps": steps_seen, "val_loss": losses,
                "start": start, "end": measure(model, probe)}  # fmt: skip

    def choose(self, steps: int, **parts: Any) -> tuple[float, dict[str, float]]:
        """The factor on the rates with the lowest loss, and the losses of all that were tried."""
        tried: dict[float, float] = {}
        for scale in (1 / 3, 1.0, 3.0, 1 / 9, 9.0):
            best = min(tried, key=lambda s: tried[s], default=1.0)
            beyond = {1 / 9: 1 / 3, 9.0: 3.0}
            if scale in beyond and best != beyond[scale]:
                continue
            loss = self.train(SEARCH_SEED, steps, scale, curve=1, **parts)["val_loss"][-1]
            tried[scale] = loss if math.isfinite(loss) else 99.0
        best = min(tried, key=lambda s: tried[s])
        return best, {f"{scale:.3g}": loss for scale, loss in sorted(tried.items())}


def store(result: Run, bench: Bench, command: str, seconds: float) -> None:
    """Write what there is, runs in the order of the variants."""
    result["runs"].sort(key=lambda run: list(VARIANTS).index(run["variant"]))
    results.store("block_ablation", result, command=command, seeds=SEEDS, seconds=seconds,
                  data={"python docs": bench.docs.text})  # fmt: skip


def resumed(command: str) -> tuple[Run, float]:
    """The stored result of the same command, to go on from, and the seconds it has cost."""
    try:
        result = results.load("block_ablation")
    except ValueError:
        return {"runs": []}, 0.0
    record = result.pop("provenance", {})
    return (result, record["seconds"]) if record.get("command") == command else ({"runs": []}, 0.0)


def main() -> None:
    """Make the runs of all or some variants; store after each what there is."""
    parser = argparse.ArgumentParser(description="Take parts away from a Transformer's blocks.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--search-steps", type=int, default=64)
    parser.add_argument("--only", nargs="*", choices=[*VARIANTS, "longer"], help="go on with these")
    args, bench, started = parser.parse_args(), Bench(), time.process_time()
    sizes = f"--steps {args.steps} --search-steps {args.search_steps}"
    command = f"python experiments/block_ablation.py {sizes}"
    result, before = resumed(command) if args.only else ({"runs": []}, 0.0)
    result |= {"baselines": bench.ruler(), "search": result.get("search", {})}
    for name, parts in VARIANTS.items():
        if args.only and name not in args.only:
            continue
        scale, result["search"][name] = bench.choose(args.search_steps, **parts)
        result["runs"] = [run for run in result["runs"] if run["variant"] != name]
        for seed in SEEDS:
            run = bench.train(seed, args.steps, scale, **parts)
            result["runs"].append({"variant": name, **run})
            seconds = time.process_time() - started
            print(f"{name:30} x{scale:.3g} {run['val_loss'][-1]} {seconds:.0f} s", flush=True)
        store(result, bench, command, before + time.process_time() - started)
    if not args.only or "longer" in args.only:
        result["longer"] = []
        for name in ("complete", "no attention", "no residual"):  # is there more to gain?
            scale = next(run["scale"] for run in result["runs"] if run["variant"] == name)
            run = bench.train(0, 2 * args.steps, scale, **VARIANTS[name])
            result["longer"].append({"variant": name, **run})
            print(f"{name:30} twice as long {run['val_loss'][-1]}", flush=True)
        store(result, bench, command, before + time.process_time() - started)


if __name__ == "__main__":
    main()

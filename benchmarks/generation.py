"""Tokens per second of SmolLM2-135M, `minillm` beside `transformers`, in one run.

    python benchmarks/generation.py

Both run the same weights, the same prompt and greedy decoding, in turns, so that whatever else the
machine does meets both. A row is the median over the rounds; a ratio is the median of the rounds'
own ratios. The row "small pages" has the same bytes in ordinary memory. The second table is the
time per token when so much context has been read.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from machine import machine
from torch import Tensor

import minillm
from minillm import CausalLM, Sampling, generate, int4_weights, int8_weights
from minillm.corpora import bible
from minillm.weights.families import llama_table

OUT = Path(__file__).parent / "results" / "generation.json"
PROMPT = "The history of science is the study of the development of science, including both"
GREEDY = Sampling(temperature=0.0)
CONTEXTS = (64, 256, 1024, 2048)


def reference(model: CausalLM) -> transformers.LlamaForCausalLM:
    """The same network in `transformers`, sharing our weights."""
    c = model.config
    config = transformers.LlamaConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.d_model,
        intermediate_size=c.ffn_dim,
        num_hidden_layers=c.n_layers,
        num_attention_heads=c.n_heads,
        num_key_value_heads=c.kv_heads,
        max_position_embeddings=c.context_length,
        rms_norm_eps=c.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        theirs = transformers.LlamaForCausalLM(config)
    ours = dict(model.named_parameters())
    rules = llama_table(c).expand(c.n_layers)
    weights = {f"model.{rule.theirs}": ours[rule.ours[0]] for rule in rules}
    theirs.load_state_dict(weights, assign=True, strict=False)
    theirs.tie_weights()
    theirs.model.rotary_emb = type(theirs.model.rotary_emb)(config)
    return theirs.eval()


def our_run(model: CausalLM, prompt: Tensor, n: int) -> Tensor:
    """Greedy continuation by `minillm.generate`."""
    return generate(model, prompt, max_new_tokens=n, sampling=GREEDY)


@torch.no_grad()
def their_run(model: transformers.LlamaForCausalLM, prompt: Tensor, n: int) -> Tensor:
    """Greedy continuation by `transformers`."""
    return model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=n,
        min_new_tokens=n,
        do_sample=False,
        pad_token_id=2,
    )


def continuation(model: Any, prompt: Tensor, n: int) -> Tensor:
    """Greedy continuation by whichever library the model is of."""
    return (our_run if isinstance(model, CausalLM) else their_run)(model, prompt, n)


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def in_turns(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run in every round, the runs taking turns; one warm-up each."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return times


def speed(models: dict[str, Any], prompt: Tensor, n: int, rounds: int) -> list[dict[str, Any]]:
    """Tokens per second of every model, and its ratio to `transformers` in the same type."""
    runs = {name: partial(continuation, model, prompt, n) for name, model in models.items()}
    times = in_turns(runs, rounds)
    rows = []
    for name, own in times.items():
        against = "transformers float32" if "float32" in name else "transformers bfloat16"
        ratios = [b / a for a, b in zip(own, times[against], strict=True)]
        rate = n / statistics.median(own)
        rows.append({"run": name, "tokens_per_second": round(rate, 1), "against": against})
        rows[-1]["ratio"] = round(statistics.median(ratios), 2)
    return rows


@torch.no_grad()
def per_token(model: CausalLM, contexts: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds for one more token after so many, the contexts taking turns."""
    states = {}
    for length in contexts:
        state = model.new_state(1, length + 1)
        model(torch.randint(2, 40_000, (1, length)), state=state)
        states[length] = state
    token, times = torch.tensor([[11]]), {length: [] for length in contexts}
    for _ in range(rounds):
        for length, state in states.items():
            times[length].append(seconds(lambda s=state: model(token, state=s)))
            state.truncate(length)
    first = statistics.median(times[contexts[0]])
    rows = []
    for length, own in times.items():
        middle = statistics.median(own)
        rows.append({"context": length, "ms": round(1e3 * middle, 2), "growth": middle / first})
    return rows


@torch.no_grad()
def loss(model: CausalLM, tokens: Tensor) -> float:
    """Mean −log p of a text's tokens, in nats."""
    scores = model(tokens).float()[0, :-1]
    return torch.nn.functional.cross_entropy(scores, tokens[0, 1:]).item()


def main() -> None:
    """Time everything, print two tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    loaded = {
        t: minillm.load("smollm2-135m-instruct", dtype=t) for t in (torch.float32, torch.bfloat16)
    }
    single, half = (item.model for item in loaded.values())
    fewer = {
        f"minillm int{bits} weights": store(
            minillm.load("smollm2-135m-instruct", dtype=torch.bfloat16).model
        )
        for bits, store in ((8, int8_weights), (4, int4_weights))
    }
    in_bytes = fewer["minillm int8 weights"]
    fewer["minillm int8, small pages"] = copy.deepcopy(in_bytes)  # copies lie in ordinary memory
    encode = loaded[torch.float32].tokenizer.encode
    prompt = torch.tensor([encode(PROMPT)])
    models = {
        "transformers float32": reference(single),
        "minillm float32": single,
        "transformers bfloat16": reference(half),
        "minillm bfloat16": half,
        **fewer,
    }
    rows = speed(models, prompt, options.tokens, options.rounds)
    for row in rows:
        print("{run:<24} {tokens_per_second:>7} tokens/s {ratio:>6} x {against}".format(**row))
    held_out = " ".join(verse.text for verse in bible("kjv").test[:40])
    text = torch.tensor([encode(held_out)[:512]])
    losses = {
        name: round(loss(m, text), 4) for name, m in models.items() if isinstance(m, CausalLM)
    }
    print(losses)
    growth = {
        name: per_token(m, CONTEXTS, 15) for name, m in models.items() if isinstance(m, CausalLM)
    }
    for name, grown in growth.items():
        print(name, ", ".join("{context}: {ms} ms ({growth:.2f})".format(**row) for row in grown))
    result = {
        "made_by": "python benchmarks/generation.py",
        "machine": machine(),
        "torch": torch.__version__, "transformers": transformers.__version__,
        "speed": rows, "loss": losses, "per_token": growth,
    }  # fmt: skip
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Dates from English to Chinese by three families of model.

    python experiments/date_families.py run both 0      # one run: a minute or less on a free core
    python experiments/date_families.py store           # when all runs are there

Kinds: an encoder–decoder ("both"), a decoder alone that reads the source as the beginning of its
text ("decoder"), and an encoder alone that fills fifteen blanks at once ("encoder"). All have about
as many parameters, the same batches and the same updates. Exact match is the share of dates that
are right in every character.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import minillm
from minillm import IGNORE, Batch, CausalLM, MaskedLM, ModelConfig, Seq2Seq, TokenPairs, TrainConfig
from minillm.corpora import Pair, dates, known_alignment
from minillm.results import store

START, END = "^", "$"
ROOM = 15  # characters of the longest target, with the end
STEPS = 500
LR, MUON_LR = 4e-3, 0.03
SIZE = {"context_length": 48, "d_model": 64, "n_heads": 4, "d_ff": 128}
CORPUS = dates("zh")
TOKENIZER = minillm.CharTokenizer("".join(p.source + p.target for p in CORPUS.train) + START + END)
START_ID, END_ID = TOKENIZER.encode(START + END)
Split = tuple[Pair, ...]


def as_pairs(pairs: Split, seed: int = 0) -> TokenPairs:
    """Characters of both sides; the targets end with a token that says so."""
    sources = [TOKENIZER.encode(pair.source) for pair in pairs]
    return TokenPairs(sources, [TOKENIZER.encode(p.target + END) for p in pairs], seed=seed)


class Rewritten:
    """Batches of pairs in the form that another family reads."""

    def __init__(self, pairs: TokenPairs, kind: str) -> None:
        self.pairs, self.kind = pairs, kind

    def batch(self, step: int, size: int) -> Batch:
        """The same pairs as in every other family at this step."""
        return rewritten(self.pairs.batch(step, size), self.kind)


def rewritten(batch: Batch, kind: str) -> Batch:
    """For "decoder": source, start, target. For "encoder": blanks, then the source."""
    if kind not in ("decoder", "encoder"):
        return batch
    rows = []
    for source, target, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
        x, y = source[mask], target[target != IGNORE]
        quiet = torch.full_like(x, IGNORE)
        if kind == "decoder":
            start = torch.tensor([START_ID])
            rows.append((torch.cat((x, start, y[:-1])), torch.cat((quiet, y))))
        else:
            blanks = torch.full((ROOM,), START_ID)
            gap = torch.full((ROOM - len(y),), IGNORE)
            rows.append((torch.cat((blanks, x)), torch.cat((y, gap, quiet))))
    inputs, targets = zip(*rows, strict=True)
    lengths = torch.tensor([len(x) for x in inputs])
    pad = partial(nn.utils.rnn.pad_sequence, batch_first=True)
    whole = pad(inputs)
    mask = torch.arange(whole.shape[1]) < lengths[:, None]
    return Batch(whole, pad(targets, padding_value=IGNORE), mask)


def make_model(kind: str, seed: int) -> nn.Module:
    """An untrained model of a kind."""
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=TOKENIZER.vocab_size, n_layers=2, **SIZE)
    alone = ModelConfig(
        vocab_size=TOKENIZER.vocab_size, n_layers=5, causal=kind == "decoder", **SIZE
    )
    if kind == "decoder":
        return CausalLM(alone)
    if kind == "encoder":
        return MaskedLM(alone)
    return Seq2Seq(config)


def loss_of(kind: str) -> Any:
    """What a kind is trained on."""
    alone = kind in ("decoder", "encoder")
    return minillm.lm_loss if alone else partial(minillm.seq2seq_loss, start=START_ID)


@torch.no_grad()
def write(model: Any, batch: Batch, kind: str) -> list[str]:
    """Greedy translations of a batch of pairs."""
    stop = {END_ID}
    if kind == "encoder":
        blanks = rewritten(batch, kind)
        with minillm.eval_mode(model):
            ids = model(blanks.inputs, mask=blanks.mask)[:, :ROOM].argmax(-1)
    elif kind == "decoder":
        rows = zip(batch.inputs, batch.mask, strict=True)
        prompts = [[*source[mask].tolist(), START_ID] for source, mask in rows]
        tokens, mask = minillm.left_pad(prompts)
        out = minillm.generate(model, tokens, max_new_tokens=ROOM, stop=stop, mask=mask)
        ids = out[:, tokens.shape[1] :]
    else:
        writer = minillm.Conditioned(model, batch.inputs, batch.mask)
        start = torch.full((len(batch), 1), START_ID)
        ids = minillm.generate(writer, start, max_new_tokens=ROOM, stop=stop)[:, 1:]
    return [TOKENIZER.decode(row).split(END)[0] for row in ids.tolist()]


def exact_match(model: Any, pairs: Split, kind: str) -> float:
    """The share of pairs whose translation is right in every character."""
    texts = [
        t for batch in as_pairs(pairs).sequential().all(128) for t in write(model, batch, kind)
    ]
    return sum(t == pair.target for t, pair in zip(texts, pairs, strict=True)) / len(pairs)


def by_character(texts: list[str], pairs: Split) -> float:
    """The share of the right characters, counted place by place, that stand in the texts."""
    right = 0
    for text, pair in zip(texts, pairs, strict=True):
        right += sum(a == b for a, b in zip(text, pair.target, strict=False))
    return right / sum(len(pair.target) for pair in pairs)


@torch.no_grad()
def exposure(model: Any, pairs: Split) -> dict[str, float]:
    """Characters right with the right text so far, with its own, and with one planted mistake."""
    sums: Counter[str] = Counter()
    generator = torch.Generator().manual_seed(0)
    with minillm.eval_mode(model):
        for batch in as_pairs(pairs).sequential().all(128):
            written = minillm.shift_right(batch.targets, START_ID)
            real = (batch.targets != IGNORE) & (batch.targets != END_ID)
            taught = model(batch.inputs, written, source_mask=batch.mask).argmax(-1)
            sums["taught"] += int(((taught == batch.targets) & real).sum())
            sums["targets"] += int(real.sum())
            place = torch.randint(1, 5, (len(batch), 1), generator=generator)  # a digit of the year
            other = torch.tensor(TOKENIZER.encode("0123456789"))
            old = written.gather(1, place)
            new = other[torch.randint(10, old.shape, generator=generator)]
            changed = written.scatter(1, place, new)
            astray = model(batch.inputs, changed, source_mask=batch.mask).argmax(-1)
            later = real & (torch.arange(real.shape[1]) >= place) & (old != new)
            sums["later"] += int(later.sum())
            sums["later taught"] += int(((taught == batch.targets) & later).sum())
            sums["later astray"] += int(((astray == batch.targets) & later).sum())
    texts = [t for b in as_pairs(pairs).sequential().all(128) for t in write(model, b, "both")]
    return {
        "taught": sums["taught"] / sums["targets"],
        "alone": by_character(texts, pairs),
        "after a right text": sums["later taught"] / sums["later"],
        "after a mistake": sums["later astray"] / sums["later"],
    }


@torch.no_grad()
def alignments(model: Any, pairs: Split) -> dict[str, Any]:
    """How often each head's largest weight falls on a known source character."""
    found = {row: torch.zeros(2, 4) for row in ("writing", "having read")}
    count, chance = 0, 0.0
    for i, batch in enumerate(as_pairs(pairs).sequential().all(128)):
        with minillm.eval_mode(model), minillm.capture(model, hidden=False) as trace:
            written = minillm.shift_right(batch.targets, START_ID)
            model(batch.inputs, written, source_mask=batch.mask)
        maps = [w for name, w in trace.attention.items() if name.endswith("cross_attention")]
        best = torch.stack(maps).argmax(-1)  # (L, B, H, T)
        for row, pair in enumerate(pairs[i * 128 : i * 128 + len(batch)]):
            for place, places in known_alignment(pair).items():
                for name, at in (("writing", place), ("having read", place + 1)):
                    hit = best[:, row, :, at]
                    found[name] += (hit >= places.start) & (hit < places.stop)
                count, chance = count + 1, chance + len(places) / len(pair.source)
    heads = {name: (hits / count).tolist() for name, hits in found.items()}
    return {**heads, "chance": chance / count, "count": count}


def position_baselines(train: Split, test: Split) -> dict[str, float]:
    """Guesses from places alone: the diagonal, and the commonest place for both lengths."""
    seen: dict[tuple[int, int, int], Counter[int]] = defaultdict(Counter)
    for pair in train:
        for place, places in known_alignment(pair).items():
            seen[place, len(pair.target), len(pair.source)].update(places)
    hits: Counter[str] = Counter()
    for pair in test:
        for place, places in known_alignment(pair).items():
            hits["count"] += 1
            key = place, len(pair.target), len(pair.source)
            hits["lengths"] += bool(seen[key]) and seen[key].most_common(1)[0][0] in places
            line = round(place * (len(pair.source) - 1) / (len(pair.target) - 1))
            hits["diagonal"] += line in places
    return {name: hits[name] / hits["count"] for name in ("diagonal", "lengths")}


@torch.no_grad()
def hidden_places(model: Any, pairs: Split) -> dict[str, float]:
    """Characters right when the decoder may not look at their source character, or at another."""
    sums: Counter[str] = Counter()
    generator = torch.Generator().manual_seed(0)
    with minillm.eval_mode(model):
        for i, batch in enumerate(as_pairs(pairs).sequential().all(128)):
            memory = model.encode(batch.inputs, mask=batch.mask)
            written = minillm.shift_right(batch.targets, START_ID)
            asked = []
            masks = {name: batch.mask.clone() for name in ("nothing", "its own", "another")}
            for row, pair in enumerate(pairs[i * 128 : i * 128 + len(batch)]):
                known = list(known_alignment(pair).items())
                place, own = known[int(torch.randint(len(known), (), generator=generator))]
                asked.append(place)
                free = [s for s in range(len(pair.source)) if s not in own]
                order = torch.randperm(len(free), generator=generator)[: len(own)]
                masks["its own"][row, own.start : own.stop] = False
                masks["another"][row, [free[j] for j in order.tolist()]] = False
            at = torch.tensor(asked)[:, None]
            for name, mask in masks.items():
                logits = model.lm_head(model.decoder(written, memory, memory_mask=mask))
                said = logits.argmax(-1).gather(1, at)
                sums[name] += int((said == batch.targets.gather(1, at)).sum())
    return {name: hits / len(pairs) for name, hits in sums.items()}


def run(kind: str, seed: int, lr: float) -> dict[str, Any]:
    """Train a model and measure it."""
    started = time.process_time()
    model = make_model(kind, seed)
    data = as_pairs(CORPUS.train, seed)
    config = TrainConfig(
        steps=STEPS,
        batch_size=32,
        optimizer="muon",
        lr=lr,
        muon_lr=MUON_LR * lr / LR,
        warmup_steps=20,
        schedule="linear",
        min_lr_ratio=0.0,
        seed=seed,
    )
    trainer = minillm.Trainer(model, config, Rewritten(data, kind), loss=loss_of(kind))
    held, curve = CORPUS.validation[:250], []
    for step in range(100, STEPS + 1, 100):
        trainer.fit(100)
        curve.append([step, exact_match(model, held, kind)])
        if kind == "both":
            curve[-1] += [*exposure(model, held).values()]
    result: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "lr": lr,
        "parameters": minillm.count_parameters(model),
        "losses": [round(record.loss, 4) for record in trainer.history],
        "curve": curve,
        "test": exact_match(model, CORPUS.test, kind),
    }
    if kind == "both":
        result |= {
            "alignment": alignments(model, CORPUS.test),
            "exposure": exposure(model, CORPUS.test),
            "hidden": hidden_places(model, CORPUS.test),
        }
    return result | {"seconds": time.process_time() - started}


def main() -> None:
    """One run, or all of them put together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "store"))
    parser.add_argument("kind", nargs="?", choices=("both", "decoder", "encoder"), default="both")
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--runs", type=Path, default=Path("_build/runs/dates"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.what == "run":
        result = run(options.kind, options.seed, options.lr)
        name = f"{options.kind}-{options.seed}-{options.lr:g}.json"
        (options.runs / name).write_text(json.dumps(result))
        print(name, result["curve"][-1], result["test"], round(result["seconds"]))
        return
    runs = [json.loads(path.read_text()) for path in sorted(options.runs.glob("*.json"))]
    store(
        "date_families",
        {"runs": runs, "places": position_baselines(CORPUS.train, CORPUS.test)},
        command="python experiments/date_families.py run KIND SEED, then store",
        seeds=sorted({run["seed"] for run in runs}),
        seconds=sum(r["seconds"] for r in runs),
        data={"dates": "\n".join(pair.text for pair in CORPUS.train + CORPUS.test)},
    )


if __name__ == "__main__":
    main()

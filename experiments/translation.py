"""Train a translator of verses: old English to Basic English. The book keeps no run of it.

    python experiments/translation.py train --seed 1
    python experiments/translation.py translate --seed 1    # writes _build/runs/verses-1.json

A run can be stopped and started again: it goes on from its newest checkpoint under `--runs`. The
rate is constant after the warm-up; what translates is the mean of the weights of the last five
checkpoints (as in Vaswani et al. 2017, section 6.1), so a run may end at any checkpoint and be
prolonged later. An exercise of chapter "Encoder, decoder, both" judges the translations.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import cast

import torch

import minillm
from minillm import BPETokenizer, ModelConfig, Seq2Seq, TokenPairs, TrainConfig
from minillm.corpora import Pair, verse_pairs
from minillm.training.checkpoint.file import list_checkpoints

VOCABULARY = 2000
EVERY, AVERAGED = 25, 5
START, END = "<|start|>", "<|end|>"
NAME = "verse-translator"
LONGEST = 60


def make_tokenizer() -> BPETokenizer:
    """One byte-pair vocabulary for both Englishes, from the training pairs."""
    text = "\n".join(f"{pair.source}\n{pair.target}" for pair in verse_pairs().train)
    return BPETokenizer.train(text, VOCABULARY, special=[START, END])


def as_pairs(tokenizer: BPETokenizer, pairs: tuple[Pair, ...], *, seed: int = 0) -> TokenPairs:
    """Sources, and targets with the token that ends them."""
    end = tokenizer.special[END]
    sources = [tokenizer.encode(pair.source) for pair in pairs]
    targets = [[*tokenizer.encode(pair.target), end] for pair in pairs]
    return TokenPairs(sources, targets, seed=seed)


def make_model(seed: int) -> Seq2Seq:
    """The untrained network."""
    torch.manual_seed(seed)
    return Seq2Seq(
        ModelConfig(
            vocab_size=VOCABULARY,
            context_length=128,
            d_model=128,
            n_layers=2,
            n_heads=4,
            d_ff=256,
            norm="rmsnorm",
            ffn="swiglu",
            position="learned",
            bias=False,
            dropout=0.1,
        )
    )


def make_trainer(seed: int, steps: int, runs: Path) -> minillm.Trainer:
    """The run of a seed, taken up where it stopped."""
    tokenizer, corpus = make_tokenizer(), verse_pairs()
    folder = runs / f"{NAME}-{seed}"
    config = TrainConfig(
        steps=steps,
        batch_size=64,
        optimizer="muon",
        lr=3e-3,
        muon_lr=0.02,
        warmup_steps=20,
        schedule="stable",
        min_lr_ratio=0.0,
        eval_every=50,
        eval_batches=6,
        seed=seed,
    )
    trainer = minillm.Trainer(
        make_model(seed),
        config,
        as_pairs(tokenizer, corpus.train, seed=seed),
        loss=partial(minillm.seq2seq_loss, start=tokenizer.special[START]),
        val_data=as_pairs(tokenizer, corpus.validation).sequential(),
        callbacks=[
            minillm.Progress(every=10),
            minillm.Checkpoint(folder, every=EVERY, keep=AVERAGED),
        ],
    )
    if folder.is_dir() and any(folder.glob("step-*")):
        trainer.resume(folder)
    return trainer


def averaged(trainer: minillm.Trainer, folder: Path) -> Seq2Seq:
    """The trainer's model with the mean of the weights of its last checkpoints."""
    paths = list_checkpoints(folder)[-AVERAGED:]
    states = []
    for path in paths:
        trainer.resume(path)
        states.append({name: p.clone() for name, p in trainer.model.state_dict().items()})
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    trainer.model.load_state_dict(mean)
    return cast(Seq2Seq, trainer.model)


def translate(trainer: minillm.Trainer, folder: Path) -> list[str]:
    """Greedy translations of every fourth test pair: those that `phrase_table.py` translates."""
    tokenizer, texts = make_tokenizer(), []
    start, end = tokenizer.special[START], tokenizer.special[END]
    model, asked = averaged(trainer, folder), verse_pairs().test[::4]
    for batch in as_pairs(tokenizer, asked).sequential().all(32):
        writer = minillm.Conditioned(model, batch.inputs, batch.mask)
        first = torch.full((len(batch), 1), start)
        out = minillm.generate(writer, first, max_new_tokens=LONGEST, stop={end})
        texts += [tokenizer.decode(row[1:]).split(END)[0] for row in out.tolist()]
    return texts


def main() -> None:
    """Train a seed, or let what was trained translate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "translate"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--runs", type=Path, default=Path("_build/runs"))
    options = parser.parse_args()
    trainer = make_trainer(options.seed, options.steps, options.runs)
    if options.what == "train":
        trainer.fit()
        return
    texts = translate(trainer, options.runs / f"{NAME}-{options.seed}")
    path = options.runs / f"verses-{options.seed}.json"
    path.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    print(f"{len(texts)} translations in {path}")


if __name__ == "__main__":
    main()

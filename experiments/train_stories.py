"""Train the book's story models, and the recurrent network that they are compared with.

    python experiments/train_stories.py story-gpt         # about 70 minutes on one core
    python experiments/train_stories.py story-gpt-nano
    python experiments/train_stories.py story-lstm        # a baseline; its weights are not kept

A run can be stopped and started again: it goes on from its newest checkpoint under `--runs`. At its
end the two GPTs are written to `models/`, in float16, with card and history.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

import minillm
from minillm import BPETokenizer, ModelConfig, RecurrentConfig, TokenWindows, TrainConfig
from minillm.corpora.stories.corpus import stories
from minillm.corpora.stories.story import Story
from minillm.weights.model_folder import save_model

STORIES = 120_000
VOCABULARY = 2048
CONTEXT = 256
END = "<|endoftext|>"
STEPS = {"story-gpt": 3000, "story-gpt-nano": 1800, "story-lstm": 2000}
SIZES: dict[str, dict[str, Any]] = {
    "story-gpt": {"d_model": 192, "n_layers": 6, "n_heads": 6, "d_ff": 512},
    "story-gpt-nano": {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_ff": 256},
}
MODELS = Path(__file__).parents[1] / "models"


def make_tokenizer() -> BPETokenizer:
    """A byte-pair vocabulary of the stories, with a token that stands between two of them."""
    text = "\n".join(story.text for story in stories(STORIES).train[:4000])
    return BPETokenizer.train(text, VOCABULARY, special=[END])


def as_tokens(tokenizer: BPETokenizer, texts: Sequence[Story]) -> Tensor:
    """All stories in a row, an end token before, between and after them."""
    end = tokenizer.special[END]
    ids = [end]
    for story in texts:
        ids += [*tokenizer.encode(story.text), end]
    return torch.tensor(ids)


def make_model(name: str) -> nn.Module:
    """The untrained network: a small Llama, or an LSTM of about as many parameters."""
    torch.manual_seed(0)
    if name == "story-lstm":
        return minillm.RecurrentLM(
            RecurrentConfig(vocab_size=VOCABULARY, d_model=384, n_layers=2, cell="lstm")
        )
    return minillm.CausalLM(
        ModelConfig(
            vocab_size=VOCABULARY,
            context_length=CONTEXT,
            norm="rmsnorm",
            ffn="swiglu",
            position="rope",
            bias=False,
            **SIZES[name],
        )
    )


def settings(name: str) -> TrainConfig:
    """How each is trained; the LSTM by AdamW in float32, which suits it better."""
    recurrent = name == "story-lstm"
    return TrainConfig(
        steps=STEPS[name],
        batch_size=32,
        optimizer="adamw" if recurrent else "muon",
        lr=3e-3,
        muon_lr=0.02,
        warmup_steps=50,
        schedule="stable",
        min_lr_ratio=0.0,
        precision="float32" if recurrent else "bfloat16",
        eval_every=200,
        eval_batches=8,
    )


def train(name: str, runs: Path) -> minillm.Trainer:
    """Train, or go on training, and return the trainer at the end of its run."""
    corpus, tokenizer = stories(STORIES), make_tokenizer()
    held = TokenWindows(as_tokens(tokenizer, corpus.validation), CONTEXT)
    trainer = minillm.Trainer(
        make_model(name),
        settings(name),
        TokenWindows(as_tokens(tokenizer, corpus.train), CONTEXT),
        val_data=held.sequential(),
        callbacks=[minillm.Progress(every=10), minillm.Checkpoint(runs / name, every=100)],
    )
    if (runs / name).is_dir() and any((runs / name).glob("step-*")):
        trainer.resume(runs / name)
    trainer.fit()
    return trainer


def card(name: str, trainer: minillm.Trainer) -> str:
    """What somebody should know who has only the folder."""
    last = trainer.history[-1]
    return f"""# {name}

A causal language model of {minillm.count_parameters(trainer.model):,} parameters that tells stories
of the simulated world of `minillm.corpora.stories`: want, obstacle, action, consequence, in simple
English. It knows nothing else. Begin a text with `{END}` and it tells a story.

- **Data**: {STORIES:,} stories of seed 0, of which {last.tokens:,} tokens of the training part were
  read in windows of {CONTEXT} (CC0; the card of the corpus is `minillm data stories`).
- **Tokenizer**: byte-level BPE with {VOCABULARY:,} tokens, trained on 4,000 stories.
- **Result**: loss {last.loss:.3f} nats per token on the last batch, {last.val_loss:.3f} on the
  validation part, whose pairs of plot and main thing no training story has.
  `experiments/story_models.py` compares the model with an n-gram model, an LSTM and the bound of
  the world, and counts contradictions.
- **Made by**: `python experiments/train_stories.py {name}`: {last.step:,} updates in
  {last.seconds:,.0f} seconds on one busy CPU core, minillm {minillm.__version__},
  torch {torch.__version__}.
- **Limits**: names, places and things outside the world's tables are spelled, not understood.
- **Licence**: MIT, like the code.
"""


def main() -> None:
    """Train the model that is named, and keep it if it is one of the two GPTs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=STEPS)
    parser.add_argument("--runs", type=Path, default=MODELS.parent / "_build" / "runs")
    options = parser.parse_args()
    trainer = train(options.name, options.runs)
    if options.name in SIZES:
        folder, model = MODELS / options.name, cast(minillm.CausalLM, trainer.model)
        text = card(options.name, trainer)
        save_model(folder, model, make_tokenizer(), text, dtype=torch.float16)
        trainer.history.to_jsonl(folder / "history.jsonl")


if __name__ == "__main__":
    main()

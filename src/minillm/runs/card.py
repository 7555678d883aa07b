"""The card of a trained model: what a reader of its folder should know.

Book: chapter "Pretraining".
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from torch import nn

from minillm.nn.counting import count_parameters
from minillm.runs.config import RunConfig
from minillm.runs.toml import to_toml
from minillm.training.history import History


def run_card(config: RunConfig, model: nn.Module, history: History, origin: str) -> str:
    """Markdown about data, result and the command that made a model.

    Args:
        config: of the run.
        model: that came out of it.
        history: its records.
        origin: the data card, or the names of the files.

    Book: chapter "Pretraining".
    """
    last = history[-1]
    result = f"Training loss of the last batch: {last.loss:.4f} nats per token."
    if losses := history.column("val_loss"):
        result += f" Validation loss at the end: {losses[-1]:.4f}, at its best {min(losses):.4f}."
    return f"""# {config.run.folder.rstrip("/").rpartition("/")[2]}

A causal language model of {count_parameters(model):,} parameters, trained for {last.step:,} of
{config.train.steps:,} updates on {last.tokens:,} tokens in {last.seconds:,.0f} seconds,
with minillm {version("minillm")} and torch {torch.__version__}.

{result} It knows nothing but the text below and is not meant for any use but learning.

## Data

```text
{origin}
```

## Made by

`minillm train config.toml`, with

```toml
{to_toml(config.tables).rstrip()}
```
"""

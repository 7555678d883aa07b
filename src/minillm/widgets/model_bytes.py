"""A trained model and its tokenizer as one file that a page can read.

The form is safetensors, with the config and the tokenizer as JSON in its metadata. Weights that
float16 holds without loss are written in float16, all others in float32, so that the page
computes with the very numbers that PyTorch has. `js/engine/model_file.js` is the reader.
Left out on purpose: quantised weights, whose text would differ. Book: page "Playground".
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minillm.nn.models import CausalLM
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.tokenizer.split import GPT2_PATTERN, SMOLLM2_PATTERN
from minillm.weights.safetensors import safetensors_bytes

PATTERNS = (GPT2_PATTERN, SMOLLM2_PATTERN)


def model_bytes(
    model: CausalLM, tokenizer: BPETokenizer | CharTokenizer, *, name: str, start: int | None
) -> bytes:
    """The file of a model for the page.

    Args:
        model: any `CausalLM`, on any device.
        tokenizer: what made its ids.
        name: what the page calls it.
        start: the token that the page puts before each text, or None.

    Raises:
        ValueError: If the model or tokenizer is of a kind that the page's engine does not know, or
            the two do not fit.
    """
    _check(model, tokenizer)
    config = asdict(model.config) | {
        "n_kv_heads": model.config.kv_heads,
        "d_ff": model.config.ffn_dim,
    }
    metadata = {"config": json.dumps(config), "tokenizer": json.dumps(_saved(tokenizer))}
    metadata |= {"name": name, "start": json.dumps(start)}
    tensors = {key: _narrow(p.detach().cpu().float()) for key, p in model.named_parameters()}
    return safetensors_bytes(tensors, metadata)


def _check(model: CausalLM, tokenizer: BPETokenizer | CharTokenizer) -> None:
    if type(model) is not CausalLM:
        raise ValueError(f"the page runs a CausalLM, not a {type(model).__name__}")
    with torch.device("meta"):
        expected = {name for name, _ in CausalLM(model.config).named_parameters()}
    if strange := expected ^ {name for name, _ in model.named_parameters()}:
        raise ValueError(f"the model has other weights than its config names: {sorted(strange)[0]}")
    if type(tokenizer) not in (BPETokenizer, CharTokenizer):
        known = "BPETokenizer and CharTokenizer"
        raise ValueError(f"the page knows {known}, not {type(tokenizer).__name__}")
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids, the model {model.config.vocab_size}"
        )
    if isinstance(tokenizer, BPETokenizer) and tokenizer.split.pattern not in PATTERNS:
        raise ValueError(
            f"the page cuts text by the patterns of GPT-2 and SmolLM2, not by "
            f"{tokenizer.split.pattern!r}"
        )


def _narrow(weights: Tensor) -> Tensor:
    half = weights.half()
    return half if torch.equal(half.float(), weights) else weights


def _saved(tokenizer: BPETokenizer | CharTokenizer) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        return dict(json.loads(path.read_text(encoding="utf-8")))

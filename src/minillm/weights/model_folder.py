"""A trained model as a folder of plain files, written and read by this package.

| file              | what it holds                                                    |
|-------------------|------------------------------------------------------------------|
| config.json       | the class of the model, then every field of `ModelConfig`        |
| model.safetensors | the weights by our own names, in float16 or float32              |
| tokenizer.json    | what `CharTokenizer.save` or `BPETokenizer.save` wrote           |
| README.md         | the card: what it was trained on, how, and how good it is        |

The folders in `models/` are of this kind and part of the installed package, so `load` finds them
by name. `load` in `minillm.weights.load` reads any of them.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor

from minillm.checks import convert
from minillm.files import write_whole
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM, MaskedLM, Seq2Seq
from minillm.nn.transformer import Transformer
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.weights.assemble import assemble
from minillm.weights.safetensors import read_safetensors, write_safetensors

Model = CausalLM | MaskedLM | Seq2Seq | Transformer
CLASSES: dict[str, Callable[[ModelConfig], Model]] = {
    "minillm.CausalLM": CausalLM,
    "minillm.MaskedLM": MaskedLM,
    "minillm.Seq2Seq": Seq2Seq,
    "minillm.Transformer": Transformer,
}
TOKENIZERS: dict[str, type[BPETokenizer] | type[CharTokenizer]] = {
    "bpe": BPETokenizer,
    "characters": CharTokenizer,
}
PLACES = (Path(__file__).parents[1] / "pretrained", Path(__file__).parents[3] / "models")
"""Where the book's own models are: in an installed package, and in a copy of the repository."""


def save_model(
    folder: str | Path,
    model: Model,
    tokenizer: BPETokenizer | CharTokenizer | None,
    card: str,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; `minillm.load(folder)` gives the model back.

    Args:
        folder: made if it is not there.
        model: a `CausalLM`, `MaskedLM`, `Seq2Seq` or `Transformer`.
        tokenizer: what made its ids; None for a model without text.
        card: Markdown for a reader who has nothing but this folder.
        dtype: float32, or float16 for half the size and three decimal digits.

    Raises:
        ValueError: If `load` could not give the model back: it is of another class, some of its
            layers were replaced (by int8 or int4 weights, say), it has fewer ids than the
            tokenizer, a weight is not a finite number in `dtype`, or the tokenizer is of another
            class. Nothing is written then.
        OSError: If the folder cannot be written.

    Book: chapter "A GPT, and the real thing".
    """
    kind = f"minillm.{type(model).__name__}"
    if kind not in CLASSES:
        raise ValueError(f"{kind} has no place in a model folder, only {', '.join(CLASSES)}")
    _check_parts(CLASSES[kind], model)
    _check_tokenizer(tokenizer, model.config.vocab_size)
    tensors = {name: _narrow(name, p.detach(), dtype) for name, p in model.named_parameters()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = {"model_type": kind} | asdict(model.config)
    write_whole(folder / "config.json", lambda path: _write(path, json.dumps(values, indent=2)))
    if tokenizer is not None:
        write_whole(folder / "tokenizer.json", tokenizer.save)
    write_whole(folder / "README.md", lambda path: _write(path, card))
    write_whole(folder / "model.safetensors", lambda path: write_safetensors(path, tensors))


def read_model(
    folder: Path, values: dict[str, Any], dtype: torch.dtype, device: torch.device | str | None
) -> tuple[Model, BPETokenizer | CharTokenizer | None]:
    """The model and the tokenizer of a folder that `save_model` wrote.

    Args:
        folder: where the files are.
        values: what stands in its config.json.
        dtype: type of the weights.
        device: where to put them; None is the CPU.

    Raises:
        ValueError: If a key or tensor is missing, left over or of a wrong size, or a file is
            damaged.

    Book: chapter "A GPT, and the real thing".
    """
    make = CLASSES[values["model_type"]]
    fields = {key: value for key, value in values.items() if key != "model_type"}
    config = _config(fields)
    if not (folder / "model.safetensors").is_file():
        raise ValueError(f"{folder.name} holds no model.safetensors: its training is not finished")
    stored = read_safetensors(folder / "model.safetensors")
    if config.n_layers > len(stored):
        raise ValueError(f"n_layers={config.n_layers}, but the file has {len(stored)} tensors")
    tensors = {name: t.to(device=device, dtype=dtype) for name, t in stored.items()}
    return assemble(make, config, tensors), read_tokenizer(folder / "tokenizer.json")


def read_tokenizer(path: Path) -> BPETokenizer | CharTokenizer | None:
    """A tokenizer of either kind from its file; None if there is no such file.

    Raises:
        ValueError: If the file holds anything else.

    Book: chapter "From text to tokens".
    """
    if not path.is_file():
        return None
    try:
        kind = json.loads(path.read_text(encoding="utf-8-sig")).get("type")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} holds no tokenizer: {error}") from None
    if kind not in tuple(TOKENIZERS):  # it may be a list
        raise ValueError(
            f"{path} holds a tokenizer of type {kind!r}, not {' or '.join(TOKENIZERS)}"
        )
    return TOKENIZERS[kind].load(path)


def shipped() -> dict[str, Path]:
    """The folders of the models that come with the package, by name.

    Book: chapter "A GPT, and the real thing".
    """
    found = [path.parent for place in PLACES for path in sorted(place.glob("*/config.json"))]
    return {folder.name: folder for folder in reversed(found)}


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


def _config(values: dict[str, Any]) -> ModelConfig:
    """The config with these fields, each of the type that it must have."""
    hints = get_type_hints(ModelConfig)
    for key in values.keys() & hints.keys():
        try:
            convert(values[key], hints[key])
        except TypeError as error:
            raise ValueError(f"config.json: {key} is {values[key]!r}, not {error}") from None
    return ModelConfig.from_json(json.dumps(values))


def _check_parts(make: Callable[[ModelConfig], Model], model: Model) -> None:
    """Refuse a model with other parts than `load` would build from its config.

    Layers of int8 or int4 weights keep their numbers in buffers, adapters have further parameters,
    and parting tied weights makes two of one: a folder of such a model would be refused.
    """
    config = _config(asdict(model.config))
    with torch.device("meta"):
        wanted = {name: p.shape for name, p in make(config).named_parameters()}
    found = {name: p.shape for name, p in model.named_parameters()}
    buffers = [name for name, _ in model.named_buffers() if name in model.state_dict()]
    odd = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)] + buffers
    if odd:
        names = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        raise ValueError(f"{names}: not as in a {type(model).__name__} of this config")


def _check_tokenizer(tokenizer: object, vocab_size: int) -> None:
    if tokenizer is None:
        return
    if not isinstance(tokenizer, BPETokenizer | CharTokenizer):
        kind = type(tokenizer).__name__
        raise ValueError(f"{kind} has no place in a model folder, only {', '.join(TOKENIZERS)}")
    if tokenizer.vocab_size > vocab_size:
        sizes = f"{tokenizer.vocab_size} tokens, the model vocab_size={vocab_size}"
        raise ValueError(f"the tokenizer has {sizes}")


def _narrow(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in another type, if every number has a place there."""
    if dtype not in (torch.float16, torch.float32):
        raise ValueError(f"a model is stored in float16 or float32, not {dtype}")
    stored = tensor.to(dtype)
    if not torch.isfinite(stored).all():
        raise ValueError(f"{name} holds a number that {dtype} cannot")
    return stored

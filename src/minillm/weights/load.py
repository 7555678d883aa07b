"""Load a published model with its tokenizer: by name, from a local folder, or from a hub.

The sizes come from the checkpoint itself. The model is built without memory, each tensor is read
once, converted and put in its place. Pickled checkpoints (.bin, .pt) are refused, because opening
one runs whatever program it contains.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minillm.errors import did_you_mean
from minillm.files import read_json
from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.huggingface import from_hub
from minillm.hub.packages import fetch
from minillm.nn.config import ModelConfig
from minillm.nn.models import CausalLM, MaskedLM, Seq2Seq
from minillm.nn.transformer import Transformer
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.tokenizer.chat import ChatTemplate
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.weights.assemble import assemble
from minillm.weights.configs import bart_config, bert_config, gguf_config, gpt2_config, llama_config
from minillm.weights.convert import Table, convert
from minillm.weights.families import (
    bart_table,
    bert_table,
    gpt2_table,
    llama_gguf_table,
    llama_table,
)
from minillm.weights.gguf import GGUF
from minillm.weights.lookups import Settings
from minillm.weights.model_folder import CLASSES, read_model, shipped
from minillm.weights.safetensors import PICKLES, folder_tensors
from minillm.weights.tokenizers import tokenizer_from_folder, tokenizer_from_gguf

logger = logging.getLogger(__name__)
MODELS = ("smollm2-135m-instruct", "minilm-l6")
ENDS = ("eos", "eot", "eom")  # of the text, of a turn, of a message: all of them end an answer
HUB = "hf:"  # how names of models on the Hugging Face hub begin
Model = CausalLM | MaskedLM | Seq2Seq | Transformer


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model and what belongs to it.

    Attributes:
        model: in evaluation mode; `CausalLM` (GPT-2, Llama), `MaskedLM` (BERT with its head),
            `Seq2Seq` (BART) or `Transformer` (an encoder such as MiniLM: hidden vectors).
        config: read from the checkpoint.
        tokenizer: the checkpoint's own, or None if the folder holds none that we know.
        chat_template: how it wants conversations written, or None.
        stop: ids after which a text is finished.

    Book: chapter "A GPT, and the real thing".
    """

    model: Model
    config: ModelConfig
    tokenizer: BPETokenizer | CharTokenizer | WordPieceTokenizer | None
    chat_template: ChatTemplate | None = None
    stop: tuple[int, ...] = ()


def load(
    name_or_path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Loaded:
    """Load a model by name ("smollm2-135m-instruct", "minilm-l6") or from a local path.

    A path is a GGUF file of a Llama model, a folder in the Hugging Face layout (config.json and
    safetensors) of a GPT-2, Llama, BERT or BART model, or a folder that `minillm train` or
    `save_model` wrote. The book's own models are such folders and have names, too.
    "hf:owner/name" is a folder on the Hugging Face hub, "hf:owner/name@revision" at a commit, a tag
    or a branch (see `from_hub`).

    Args:
        name_or_path: what to load; a name is fetched once and then found in the cache.
        dtype: type of the weights.
        device: where to put them; None is the CPU.

    Raises:
        ValueError: If there is no such model, a file is truncated, corrupt or a pickle, tensors are
            missing or left over, or the vocabulary does not fit the model.
        HubError: If the model cannot be fetched.

    Example:
        >>> smollm = load("smollm2-135m-instruct")
        >>> smollm.tokenizer.encode("Hello world")
        [19556, 905]

    Book: chapter "A GPT, and the real thing".
    """
    path = locate(name_or_path)
    read = _read_folder if path.is_dir() else _read_gguf
    loaded = read(path, dtype, device)
    size = 0 if loaded.tokenizer is None else loaded.tokenizer.vocab_size
    if size > loaded.config.vocab_size:
        raise ValueError(f"{size} tokens, but the model has vocab_size={loaded.config.vocab_size}")
    return loaded


def locate(name_or_path: str | Path) -> Path:
    """The folder or GGUF file that is meant, fetched if it is a name and not in the cache yet.

    Raises:
        ValueError: If there is no such model, or it is a pickle.
        HubError: If the model cannot be fetched.

    Book: chapter "A GPT, and the real thing".
    """
    if str(name_or_path) in MODELS:
        return fetch(str(name_or_path))
    own = shipped()
    if str(name_or_path) in own:
        return own[str(name_or_path)]
    if str(name_or_path).startswith(HUB):
        repo, _, revision = str(name_or_path).removeprefix(HUB).partition("@")
        return from_hub(repo, revision=revision or "main")
    path = Path(name_or_path).expanduser()
    if path.suffix.lower() in PICKLES:
        raise ValueError(f"{path.name} is a pickle, which can run any program; use safetensors")
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".gguf"):
        return path
    if path.exists():
        raise ValueError(f"{path.name} is neither a folder nor a GGUF file")
    known = (*MODELS, *own)
    name = str(name_or_path)
    kind = "is a text, not a model" if name in ARTEFACTS else "is no model or path"
    raise ValueError(f"{name!r} {kind}; {did_you_mean(name, known)}")


def _read_gguf(path: Path, dtype: torch.dtype, device: torch.device | str | None) -> Loaded:
    source = GGUF(path)
    tokenizer = tokenizer_from_gguf(source.metadata)
    tied = "output.weight" not in source
    config = gguf_config(Settings(source.metadata, path.name), tied=tied)
    tensors = convert(
        source, llama_gguf_table(config), n_layers=config.n_layers, dtype=dtype, device=device
    )
    template = source.metadata.get("tokenizer.chat_template")
    return Loaded(
        model=assemble(CausalLM, config, tensors),
        config=config,
        tokenizer=tokenizer,
        chat_template=_template(template),
        stop=_ids(*(source.metadata.get(f"tokenizer.ggml.{end}_token_id") for end in ENDS)),
    )


@dataclass(frozen=True)
class Family:
    """How to read one model_type of config.json."""

    config: Callable[[Settings], ModelConfig]
    table: Callable[[ModelConfig], Table]
    model: Callable[[ModelConfig], Model]


def _family(model_type: Any, names: Mapping[str, Tensor]) -> Family:
    """The family of a checkpoint; BERT has two, with and without the head for masked words."""
    masked_lm = any(name.startswith("cls.predictions.") for name in names)
    families = {
        "gpt2": Family(gpt2_config, gpt2_table, CausalLM),
        "llama": Family(llama_config, llama_table, CausalLM),
        "bart": Family(bart_config, bart_table, Seq2Seq),
        "bert": Family(
            bert_config,
            lambda config: bert_table(config, masked_lm=masked_lm),
            MaskedLM if masked_lm else Transformer,
        ),
    }
    if not isinstance(model_type, str) or model_type not in families:
        raise ValueError(f"model_type {model_type!r} is not one of {', '.join(families)}")
    return families[model_type]


def _read_folder(folder: Path, dtype: torch.dtype, device: torch.device | str | None) -> Loaded:
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder.name} holds no config.json")
    values = read_json(folder / "config.json")
    if values.get("model_type") in tuple(CLASSES):  # what is asked may be a list
        return _read_own(folder, values, dtype, device)
    source = folder_tensors(folder)
    family = _family(values.get("model_type"), source)
    config = family.config(Settings(values, "config.json"))
    tensors = convert(
        source, family.table(config), n_layers=config.n_layers, dtype=dtype, device=device
    )
    if family.model is Transformer:
        tensors = {name.removeprefix("transformer."): t for name, t in tensors.items()}
    return Loaded(
        model=assemble(family.model, config, tensors),
        config=config,
        tokenizer=tokenizer_from_folder(folder),
        chat_template=_template(_template_of(folder)),
        stop=_ids(_generation(folder).get("eos_token_id"), values.get("eos_token_id")),
    )


def _read_own(
    folder: Path, values: dict[str, Any], dtype: torch.dtype, device: torch.device | str | None
) -> Loaded:
    model, tokenizer = read_model(folder, values, dtype, device)
    special = tokenizer.special if isinstance(tokenizer, BPETokenizer) else {}
    stop = _ids(special.get("<|endoftext|>"))
    return Loaded(model=model, config=model.config, tokenizer=tokenizer, stop=stop)


def _template_of(folder: Path) -> Any:
    """The chat template of a Hugging Face folder, which has one of two places for it."""
    alone, options = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if alone.is_file():
        return alone.read_text(encoding="utf-8")
    return read_json(options).get("chat_template") if options.is_file() else None


def _template(source: Any) -> ChatTemplate | None:
    """The template if we know its program; the model is usable without it."""
    try:
        return ChatTemplate.from_jinja(source) if isinstance(source, str) else None
    except ValueError as error:
        logger.warning("%s: the model is loaded without it", error)
        return None


def _generation(folder: Path) -> dict[str, Any]:
    """How the publishers of a folder want text to be generated; often nothing."""
    path = folder / "generation_config.json"
    return read_json(path) if path.is_file() else {}


def _ids(*places: Any) -> tuple[int, ...]:
    """Every id of some places, of which each holds one, a list or none; in order, each once."""
    values = [i for place in places for i in (place if isinstance(place, list) else [place])]
    return tuple(dict.fromkeys(i for i in values if type(i) is int))

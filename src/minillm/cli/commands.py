"""What each command does, apart from `chat`; every function writes to standard output."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from minillm.device import find_device
from minillm.hub.artefacts import ARTEFACTS
from minillm.hub.cache import cache_dir
from minillm.hub.packages import fetch as fetch_artefact
from minillm.hub.packages import in_cache
from minillm.inference.chat import text_pieces
from minillm.inference.generate import stream
from minillm.inference.perplexity import perplexity as text_perplexity
from minillm.inference.sampling import Sampling
from minillm.interpret.tracing import attention_maps
from minillm.nn.config import ModelConfig
from minillm.nn.counting import count_parameters, kv_bytes_per_token
from minillm.nn.models import CausalLM, Seq2Seq
from minillm.protocol import LanguageModel
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.weights.load import HUB, Loaded, load, locate
from minillm.weights.model_folder import shipped

Command = Callable[[argparse.Namespace], None]
TextTokenizer = BPETokenizer | CharTokenizer


def say(text: str) -> None:
    """Write text at once, so that it streams."""
    sys.stdout.write(text)
    sys.stdout.flush()


def models(_options: argparse.Namespace) -> None:
    """List the models that come with the package, and what `fetch` knows."""
    say(f"cache: {cache_dir()}\n")
    for name, folder in shipped().items():
        say(f"{name:22} {'here':>6}  {_title(folder)}\n{'':31}comes with the package\n")
    for artefact in ARTEFACTS.values():
        here = "here" if in_cache(artefact) else f"{artefact.archive_size / 1e6:.0f} MB"
        say(f"{artefact.name:22} {here:>6}  {artefact.what}\n{'':31}{artefact.licence}\n")


def _title(folder: Path) -> str:
    """What the card of a model folder says first."""
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line and not line.startswith("#")), "")


def fetch(options: argparse.Namespace) -> None:
    """Fetch one artefact, or all."""
    names = list(ARTEFACTS) if options.name == "all" else [options.name]
    for name in names:
        path = locate(name) if name.startswith(HUB) else fetch_artefact(name)
        say(f"{path}\n")


def causal(name: str, device: str) -> tuple[CausalLM, TextTokenizer, Loaded]:
    """Load a model that can write onto a device, with its tokenizer.

    Raises:
        ValueError: If the model is an encoder or has no tokenizer, or there is no such device.
    """
    loaded = load(name, device=find_device(device))
    if not isinstance(loaded.model, CausalLM):
        raise ValueError(f"{name} is a {type(loaded.model).__name__}, which cannot write text")
    if not isinstance(loaded.tokenizer, TextTokenizer):
        raise ValueError(f"{name} has no tokenizer beside its weights")
    return loaded.model, loaded.tokenizer, loaded


def choice(options: argparse.Namespace) -> Sampling:
    """How the options want a token to be chosen."""
    return Sampling(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)


def pieces(
    loaded: Loaded,
    model: LanguageModel,
    tokenizer: TextTokenizer,
    ids: list[int],
    o: argparse.Namespace,
) -> Iterator[str]:
    """A continuation in pieces that are whole characters."""
    device = next(loaded.model.parameters()).device
    steps = stream(
        model,
        torch.tensor([ids], device=device),
        max_new_tokens=o.max_new_tokens,
        sampling=choice(o),
        stop=loaded.stop,
        generator=torch.Generator(device).manual_seed(o.seed),
    )
    return text_pieces(steps, tokenizer, loaded.stop)


def generate(options: argparse.Namespace) -> None:
    """Continue a prompt."""
    model, tokenizer, loaded = causal(options.model, options.device)
    ids = tokenizer.encode(options.prompt)
    if not ids:
        raise ValueError("the prompt is empty; a model needs at least one token to go on from")
    parts = pieces(loaded, model, tokenizer, ids, options)
    say(options.prompt)
    for part in parts if options.stream else ["".join(parts)]:
        say(part)
    say("\n")


def perplexity(options: argparse.Namespace) -> None:
    """Score a text file."""
    model, tokenizer, _ = causal(options.model, options.device)
    data = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{options.file} is not UTF-8: byte {error.start} is invalid") from None
    device = next(model.parameters()).device
    tokens = torch.tensor(tokenizer.encode(text), device=device)
    length = min(options.length, model.config.context_length)
    value = text_perplexity(model, tokens, length=length, stride=max(1, length // 2))
    bits = torch.tensor(value).log2().item() * (len(tokens) - 1) / max(1, len(text))
    say(f"{value:.2f} perplexity of {len(tokens):,} tokens, {bits:.3f} bits per character\n")


def inspect(options: argparse.Namespace) -> None:
    """Describe layers, shapes, parameters and memory."""
    loaded = load(options.model)
    model, config = loaded.model, loaded.config
    total = count_parameters(model)
    say(f"{type(model).__name__}, {total:,} parameters, {config.context_length:,} positions\n")
    say(f"{config.n_layers} layers, {config.n_heads} heads of width {config.head_dim}, ")
    say(f"{config.kv_heads} key-value heads, vocabulary {config.vocab_size:,}\n")
    say(f"{config.norm} ({config.norm_placement}), {config.ffn}, positions: {config.position}\n\n")
    for name, count, shape in _groups(model):
        say(f"{name:44} {shape:>14} {count:>14,} {count / total:6.1%}\n")
    size = 4 * total / 1e6
    say(f"\nmemory: {size:.0f} MB in float32, {size / 2:.0f} MB in bfloat16")
    cache = f"; each token of context adds {kv_bytes_per_token(config):,} bytes in float32"
    say(f"{cache if config.causal else ''}\n")  # an encoder keeps nothing between calls


def _groups(model: torch.nn.Module) -> Iterator[tuple[str, int, str]]:
    """Parameters by name, equal ones of all layers together."""
    groups: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        parts = ["*" if part.isdigit() else part for part in name.split(".")]
        groups.setdefault(".".join(parts), []).append(parameter)
    for name, tensors in groups.items():
        shape = " x ".join(map(str, tensors[0].shape))
        times = f"{len(tensors)} x " if len(tensors) > 1 else ""
        yield times + name, sum(t.numel() for t in tensors), shape


def shown(tokenizer: TextTokenizer | WordPieceTokenizer, token: int) -> str:
    """A token as a reader should see it: a piece of WordPiece by its name, also [CLS]."""
    if isinstance(tokenizer, WordPieceTokenizer):
        return tokenizer.tokens[token]
    return tokenizer.decode([token])


def attention(options: argparse.Namespace) -> None:
    """Write a self-contained interactive page of all attention heads."""
    from minillm.widgets import AttentionExplorer, standalone_page  # noqa: PLC0415 - an extra
    from minillm.widgets.page import MAX_PAGE  # noqa: PLC0415

    device = find_device(options.device)
    loaded = load(options.model, device=device)
    if loaded.tokenizer is None:
        raise ValueError(f"{options.model} has no tokenizer beside its weights")
    if isinstance(loaded.model, Seq2Seq):
        raise ValueError(f"{options.model} reads two texts; the page shows one")
    ids = loaded.tokenizer.encode(options.text)
    _check_page(loaded.config, len(ids), MAX_PAGE)
    maps = attention_maps(loaded.model, torch.tensor([ids], device=device))[:, 0]  # (L, H, T, T)
    tokens = [shown(loaded.tokenizer, i) for i in ids]
    view = AttentionExplorer({options.text: (tokens, maps)}, limit=MAX_PAGE)
    page = standalone_page(view, title=f"Attention of {options.model}")
    target = Path(options.out)
    target.write_text(page, encoding="utf-8")
    say(f"{target}: {maps.shape[0]} x {maps.shape[1]} heads, {len(tokens)} tokens\n")


def _check_page(config: ModelConfig, count: int, limit: int) -> None:
    """Refuse a text whose maps would not fit into a page, before they are computed."""
    if count < 2:
        raise ValueError(f"{count} tokens have no attention to show; give a sentence")
    heads = config.n_layers * config.n_heads
    pairs = limit * 3 // 4 // heads - 100  # base64 takes four characters for three bytes
    most = math.isqrt(2 * pairs) if config.causal else math.isqrt(pairs)
    if count > most:
        raise ValueError(
            f"{count} tokens in {heads} heads make a page of more than {limit / 1e6:.0f} MB; "
            f"{most} tokens fit"
        )

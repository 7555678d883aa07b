"""The grammar of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from minillm.cli import commands
from minillm.cli import data as texts
from minillm.cli.chat import chat
from minillm.cli.train import train

EXAMPLE = """a small example:

  [model]                     # fields of ModelConfig, or preset = "gpt2-small"
  d_model = 128
  n_layers = 4
  n_heads = 4
  [train]                     # fields of TrainConfig
  steps = 1000
  eval_every = 100
  [data]
  corpus = "python-docs"      # one of `minillm data`, or files = ["a.txt"]
  tokenizer = "char"          # or "bytes", "bpe" with vocab_size = 1024, or a file
  context_length = 128
  [run]
  folder = "runs/first"
  prompt = "The "             # continued every sample_every updates

[data] also takes validation; [run] also takes device, checkpoint_every, keep,
patience, tensorboard, weights ("float16" or "float32") and parallel ("ddp" or
"fsdp"), for several devices: torchrun --nproc_per_node=2 -m minillm train FILE
"""


def parser() -> argparse.ArgumentParser:
    """Return the whole grammar of the command line."""
    top = argparse.ArgumentParser(
        prog="minillm",
        description="Run, inspect and train the models of Inside Large Language Models.",
    )
    sub = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: commands.Command, text: str) -> argparse.ArgumentParser:
        made = sub.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    command("models", commands.models, "list the models and texts that can be fetched")
    fetch = command("fetch", commands.fetch, "fetch one of them into the cache")
    fetch.add_argument("name", help="a name from `minillm models`, hf:owner/name, or 'all'")
    generate = command("generate", commands.generate, "continue a prompt")
    _model(generate)
    generate.add_argument("prompt", help="the beginning of the text")
    _sampling(generate, max_new_tokens=60)
    generate.add_argument("--stream", action="store_true", help="show each token as it comes")
    talk = command("chat", chat, "talk to a model; /reset forgets, /quit or Ctrl-D ends")
    _model(talk)
    _sampling(talk, max_new_tokens=256)
    _talk(talk)
    perplexity = command("perplexity", commands.perplexity, "score a text file")
    _model(perplexity)
    perplexity.add_argument("file", help="a UTF-8 text file, or - for standard input")
    perplexity.add_argument("--length", type=_whole(1), default=512, help="tokens read at once")
    _name(command("inspect", commands.inspect, "layers, shapes, parameters and memory"))
    attention = command("attention", commands.attention, "write an interactive page of all heads")
    _model(attention)
    attention.add_argument("text", help="one or two sentences")
    attention.add_argument("--out", default="attention.html", help="the page to write")
    _training(command("train", train, "train a language model as a TOML file says"))
    _data(command("data", texts.data, "show a corpus: its card and some of its text"))
    _tokenizer(command("tokenizer", texts.train_tokenizer, "make a tokenizer"))
    return top


def _talk(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--system", help="what the model is told before the conversation")
    text = "what happens to the oldest messages when the context is full"
    add("--budget", choices=("drop", "summarise"), default="drop", help=text)
    text = "let the model use a calculator, a calendar and a search in the book"
    add("--tools", action="store_true", help=text)
    text = "the largest number of calls for one message"
    add("--max-steps", type=_whole(1, 20), default=1, help=text)


def _training(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = EXAMPLE
    add = command.add_argument
    add("config", help="a TOML file with the tables [model], [train], [data] and [run]")
    add("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    add("--device", help="cpu, cuda, mps or auto; instead of the one in the file")
    change = "change one value, as in train.lr=1e-3; may be given again"
    add("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help=change)


def _data(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", nargs="?", help="a corpus; without it all are listed")
    command.add_argument(
        "--samples", type=_whole(0), default=3, help="how many pieces of text to show"
    )


def _tokenizer(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="ACTION")
    text = "learn the merges of byte-pair encoding from a text"
    learn = actions.add_parser("train", help=text, description=text)
    learn.add_argument("text", help="a name from `minillm data`, or a UTF-8 text file")
    learn.add_argument(
        "--vocab-size", type=_whole(1), required=True, help="tokens, 256 bytes included"
    )
    learn.add_argument("--out", required=True, help="the JSON file to write")
    special = "a special token, which gets one of the last ids; may be given again"
    learn.add_argument("--special", action="append", default=[], metavar="TOKEN", help=special)


def _model(command: argparse.ArgumentParser) -> None:
    _name(command)
    text = "cpu, cuda, mps, or auto for the fastest"
    command.add_argument("--device", default="auto", help=text)


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", help="a name from `minillm models`, hf:owner/name, a GGUF file or a folder"
    )


def _sampling(command: argparse.ArgumentParser, *, max_new_tokens: int) -> None:
    add = command.add_argument
    add("--temperature", type=float, default=0.0, help="0 takes the most probable token")
    add("--top-k", type=_whole(1), help="keep the k most probable tokens")
    add("--top-p", type=float, help="keep the fewest tokens that reach this probability")
    add("--max-new-tokens", type=_whole(0), default=max_new_tokens, help="the longest continuation")
    add("--seed", type=_whole(0, 2**63 - 1), default=0, help="seed of the random choices")


def _whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """A whole number within bounds; argparse puts the option's name before the message."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} must lie between {least} and {most}")
        return value

    return read

"""A conversation in the terminal: history is kept, answers stream, Ctrl-C stops an answer.

Each turn reads only what is new: the keys and values of the conversation so far are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from minillm.cli.commands import causal, choice, pieces, say
from minillm.inference.prefix_cache import PrefixCache
from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.chat import ChatTemplate

Turn = dict[str, str]


def chat(options: argparse.Namespace) -> None:
    """Talk to a model until /quit, Ctrl-D or Ctrl-C at the prompt.

    Raises:
        ValueError: If the model has no chat template, or answers may fill its whole context.
    """
    model, tokenizer, loaded = causal(options.model, options.device)
    if loaded.chat_template is None:
        raise ValueError(f"{options.model} has no chat template: use `minillm generate`")
    if not isinstance(tokenizer, BPETokenizer):
        raise ValueError(f"{options.model} has characters for tokens, and no marks for a chat")
    context, new = model.config.context_length, options.max_new_tokens
    if new >= context:
        raise ValueError(f"--max-new-tokens {new} leaves no room in a context of {context}")
    choice(options)  # before the first question, not after it
    say("/reset forgets the conversation, /quit ends it.\n")
    turns: list[Turn] = []
    reader = PrefixCache(model)
    while (line := _ask()) is not None:
        if line == "/reset":
            turns = []
            say("(forgotten)\n")
            continue
        asked: list[Turn] = [*turns, {"role": "user", "content": line}]
        try:
            kept, ids = fit(loaded.chat_template, tokenizer, asked, context - new)
        except ValueError as error:  # the conversation is as it was
            say(f"({error})\n")
            continue
        answer = _answer(pieces(loaded, reader, tokenizer, ids, options))
        turns = [*kept, {"role": "assistant", "content": answer}]


def _answer(parts: Iterator[str]) -> str:
    """Show an answer as it comes, up to Ctrl-C, and return what was shown."""
    answer = ""
    try:
        for part in parts:
            say(part)
            answer += part
    except KeyboardInterrupt:
        say(" (stopped)")
    say("\n")
    return answer


def _ask() -> str | None:
    """Return the next line that is not empty, or None when the user is done."""
    while True:
        try:
            line = input("> ").strip()
        except UnicodeDecodeError as error:
            say(f"(not UTF-8: byte {error.start} is invalid)\n")
            continue
        except (EOFError, KeyboardInterrupt):
            say("\n")
            return None
        if line:
            return None if line == "/quit" else line


def fit(
    template: ChatTemplate, tokenizer: BPETokenizer, turns: list[Turn], room: int
) -> tuple[list[Turn], list[int]]:
    """Drop the oldest exchanges until the conversation fits into `room` tokens.

    Raises:
        ValueError: If the last message alone is too long.
    """
    ids = template.encode(tokenizer, turns)
    while len(ids) > room:
        if len(turns) < 3:
            raise ValueError(f"the message takes {len(ids)} tokens, there is room for {room}")
        turns = turns[2:]
        ids = template.encode(tokenizer, turns)
    return turns, ids

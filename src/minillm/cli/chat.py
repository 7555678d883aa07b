"""A conversation in the terminal: history is kept, answers stream, Ctrl-C stops an answer.

Each turn reads only what is new: the keys and values of the conversation so far are kept.
"""

from __future__ import annotations

import argparse

from minillm.cli.commands import causal, pieces, say
from minillm.inference.prefix_cache import PrefixCache
from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.chat import ChatTemplate

Turn = dict[str, str]


def chat(options: argparse.Namespace) -> None:
    """Talk to a model until /quit, Ctrl-D or Ctrl-C at the prompt.

    Raises:
        ValueError: If the model has no chat template, or answers may fill its whole context.
    """
    model, tokenizer, loaded = causal(options.model)
    if loaded.chat_template is None:
        raise ValueError(f"{options.model} has no chat template: use `minillm generate`")
    if not isinstance(tokenizer, BPETokenizer):
        raise ValueError(f"{options.model} has characters for tokens, and no marks for a chat")
    context, new = model.config.context_length, options.max_new_tokens
    if new >= context:
        raise ValueError(f"--max-new-tokens {new} leaves no room in a context of {context}")
    room = context - new
    turns: list[Turn] = []
    reader = PrefixCache(model)
    say("/reset forgets the conversation, /quit ends it.\n")
    while (line := _ask()) is not None:
        if line == "/reset":
            turns = []
            say("(forgotten)\n")
        elif line:
            turns.append({"role": "user", "content": line})
            turns, ids = fit(loaded.chat_template, tokenizer, turns, room)
            answer = ""
            try:
                for part in pieces(loaded, reader, tokenizer, ids, options):
                    say(part)
                    answer += part
            except KeyboardInterrupt:
                say(" (stopped)")
            say("\n")
            turns.append({"role": "assistant", "content": answer})


def _ask() -> str | None:
    """Return the next line, or None when the user is done."""
    try:
        line = input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        say("\n")
        return None
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

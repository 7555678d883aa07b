"""A conversation in the terminal: history is kept, answers stream, Ctrl-C stops an answer.

Each turn reads only what is new: the keys and values of the conversation so far are kept.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Generator

from minillm.cli.commands import causal, choice, say
from minillm.corpora.passages import book_passages
from minillm.corpora.tool_requests import EXAMPLES, tool_requests
from minillm.inference.agent import ToolChooser, run_agent
from minillm.inference.chat import Chat
from minillm.inference.toolbox import book_search, calculator, calendar
from minillm.inference.tools import Call
from minillm.tokenizer import BPETokenizer


def chat(options: argparse.Namespace) -> None:
    """Talk to a model until /quit, Ctrl-D or Ctrl-C at the prompt.

    Raises:
        ValueError: If the model has no chat template, or answers may fill its whole context.
    """
    talk, chooser = _opened(options)
    say("/reset forgets the conversation, /quit ends it.\n")
    if chooser is not None:
        say(f"Tools: {', '.join(chooser.tools)}. Reading their examples ...")
        chooser.calibrate([request.text for request in tool_requests()[0]])
        say(" done.\n")
    say("\n")
    while (line := _ask()) is not None:
        if line == "/reset":
            talk.reset()
            say("(forgotten)\n")
            continue
        lost, summary = talk.lost, talk.summary
        try:
            note = "" if chooser is None else _tools(chooser, line, options.max_steps)
            parts = talk.stream(line, note=note)
        except ValueError as error:  # the conversation is as it was
            say(f"({error})\n")
            continue
        except KeyboardInterrupt:
            say(" (stopped)\n")
            continue
        if talk.lost > lost or (summary and not talk.summary):
            kept = "kept as a summary only" if talk.summary else "forgotten"
            say(f"({talk.lost} old messages are {kept})\n")
        _answer(parts)


def _opened(options: argparse.Namespace) -> tuple[Chat, ToolChooser | None]:
    """The conversation, and who chooses tools, if tools are wanted."""
    model, tokenizer, loaded = causal(options.model, options.device)
    if loaded.chat_template is None:
        raise ValueError(f"{options.model} has no chat template: use `minillm generate`")
    if not isinstance(tokenizer, BPETokenizer):
        raise ValueError(f"{options.model} has characters for tokens, and no marks for a chat")
    context, new = model.config.context_length, options.max_new_tokens
    if new >= context:
        raise ValueError(f"--max-new-tokens {new} leaves no room in a context of {context}")
    talk = Chat(
        model,
        tokenizer,
        loaded.chat_template,
        stop=loaded.stop,
        system=options.system,
        max_new_tokens=new,
        sampling=choice(options),
        seed=options.seed,
        budget=options.budget,
    )
    if not options.tools:
        return talk, None
    passages = [passage.text for passage in book_passages()]
    tools = (calculator(), calendar(dt.date.today()), book_search(passages))
    template = loaded.chat_template
    examples = [(request, Call(tool, given)) for request, tool, given in EXAMPLES]
    return talk, ToolChooser(model, tokenizer, template, tools, examples=examples)


def _tools(chooser: ToolChooser, line: str, max_steps: int) -> str:
    """Use tools for a line, show what was done, and say it in words for the model."""
    say("(choosing a tool ...)\n")
    run = run_agent(chooser, line, max_steps=max_steps)
    for call, result in run.steps:
        say(f"  {call.tool}: {call.input} -> {result}\n")
    if run.ended == "limit" and max_steps > 1:
        say(f"  (no call after the first {len(run.steps)})\n")
    return run.note


def _answer(parts: Generator[str]) -> None:
    """Show an answer as it comes, up to Ctrl-C; what was shown is what is remembered."""
    try:
        for part in parts:
            say(part)
    except KeyboardInterrupt:
        say(" (stopped)")
    parts.close()
    say("\n")


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

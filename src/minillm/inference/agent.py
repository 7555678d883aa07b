"""The loop of an agent: choose a tool, use it, read the result, choose again.

A small model prefers some names to others whatever it is asked. So the choice is made by
log p(name | request) − bias(name), where the bias is the mean over requests of all kinds; only then
the input is written, inside the tool's pattern. A limit of steps ends what does not end by itself.

Source: Zhao et al. (2021), arXiv:2102.09690 (the correction); Yao et al. (2023), arXiv:2210.03629
(the loop).
Book: chapter "Chat".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from minillm.inference.chat import Message, check_message
from minillm.inference.constrained import Constrained, TokenMask
from minillm.inference.generate import generate
from minillm.inference.patterns import Pattern, sequence
from minillm.inference.prefix_cache import PrefixCache
from minillm.inference.tools import NO_TOOL, Call, Tool, use
from minillm.nn.models import CausalLM
from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.chat import TURN_END, ChatTemplate

_OPEN = '{"tool": "'
_INTRODUCTION = (
    "You may use tools. "
    "Answer each message with one line of JSON, which names a tool and its input."
)


@dataclass(frozen=True)
class ToolRun:
    """What an agent did for one request.

    Args:
        steps: each call with its result.
        ended: "done" if it wanted no further tool, "repeated" if it wanted a call again that it had
            made, "limit" if it might have gone on: at `max_steps`, or when the results fill the
            context.
    """

    steps: tuple[tuple[Call, str], ...]
    ended: Literal["done", "repeated", "limit"]

    @property
    def note(self) -> str:
        """The results in words, to be read behind the request; empty without a call."""
        said = [f"The {call.tool} says: {result}\n" for call, result in self.steps]
        return "".join([*said, "Answer in a sentence."]) if said else ""


class ToolChooser:
    """A model that answers a request with a valid call, or with the call of no tool.

    Args:
        model: in evaluation mode; its weights must not change.
        tokenizer: with the marks of the template.
        template: how turns become one text.
        tools: what it may choose from.
        examples: requests with the right calls, which it reads before every request.

    Attributes:
        names: of the tools, and "none".
        bias: taken off the log-probabilities of the names, 0 at first; see `calibrate`.

    Raises:
        ValueError: If two names begin with the same token.

    Book: chapter "Chat".
    """

    def __init__(
        self,
        model: CausalLM,
        tokenizer: BPETokenizer,
        template: ChatTemplate,
        tools: Sequence[Tool],
        *,
        examples: Sequence[tuple[str, Call]] = (),
    ) -> None:
        self.tools, self.names = {tool.name: tool for tool in tools}, (*_names(tools), NO_TOOL)
        self.tokenizer, self.template, self.reader = tokenizer, template, PrefixCache(model)
        self.head = [{"role": "system", "content": introduction(tools)}]
        for request, call in examples:
            self.head += [_said("user", request), _said("assistant", call.text)]
        self.first = [tokenizer.encode(f'{name}"')[0] for name in self.names]
        if len(set(self.first)) < len(self.first):
            raise ValueError(f"two of {self.names} begin with the same token")
        self.device = next(model.parameters()).device
        self.bias = torch.zeros(len(self.names))
        special = tokenizer.special
        self.end = special[TURN_END]
        self.mask = TokenMask(tokenizer.tokens, end=self.end, special=special.values())

    def scores(self, messages: Sequence[Message]) -> Tensor:
        """How probable the model finds each name for the last message: log p, (N + 1,).

        Raises:
            ValueError: If the messages with the examples are too long.
        """
        ids = self._ids(messages, _OPEN)
        state = self.reader.new_state(1, len(ids))
        with torch.inference_mode():
            logits = self.reader.next_logits(torch.tensor([ids], device=self.device), state=state)
        return logits[0].float().log_softmax(-1)[self.first].cpu()

    def calibrate(self, requests: Sequence[str]) -> None:
        """Set the bias to the mean of the scores over requests, as many of each kind as possible.

        What tool a request needs is not told.

        Raises:
            ValueError: If there are no requests.
        """
        if not requests:
            raise ValueError("calibrate needs requests, got none")
        self.bias = torch.stack([self.scores([_said("user", r)]) for r in requests]).mean(0)

    def choose(self, messages: Sequence[Message], *, narrow: bool = True) -> Call:
        """The call for the last message of the user.

        Args:
            messages: from the last request on: it, and calls and results so far.
            narrow: take numbers, dates and words from the request, where the tool can.

        Raises:
            ValueError: If the messages with the examples are too long.
        """
        name = self.names[int((self.scores(messages) - self.bias).argmax())]
        if name == NO_TOOL:
            return Call(NO_TOOL, "")
        tool = self.tools[name]
        pattern = tool.pattern_for(messages[0]["content"]) if narrow else tool.pattern
        return Call(name, self._write(messages, name, pattern))

    def _write(self, messages: Sequence[Message], name: str, pattern: Pattern) -> str:
        ids = self._ids(messages, f'{_OPEN}{name}", "input": "')
        writer = Constrained(self.reader, sequence(pattern, '"}'), self.mask)
        new = min(80, self.reader.config.context_length - len(ids))
        tokens = torch.tensor([ids], device=self.device)
        out = generate(writer, tokens, max_new_tokens=new, stop=(self.end,))[0, len(ids) :]
        text = self.tokenizer.decode(i for i in out.tolist() if i != self.end)
        return text.removesuffix('"}')

    def _ids(self, messages: Sequence[Message], opening: str) -> list[int]:
        ids = self.template.encode(self.tokenizer, [*self.head, *messages])
        ids += self.tokenizer.encode(opening)
        limit = self.reader.config.context_length - 80
        if len(ids) > limit:
            raise ValueError(f"the request takes {len(ids)} tokens with the examples, over {limit}")
        return ids


def run_agent(chooser: ToolChooser, request: str, *, max_steps: int = 3) -> ToolRun:
    """Choose and use tools for a request until none is wanted, or a limit is reached.

    Args:
        chooser: who chooses.
        request: what the user says.
        max_steps: the largest number of calls.

    Raises:
        ValueError: If `max_steps` is below 1, or the request is empty, too long or no text.

    Book: chapter "Chat".
    """
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps} must be >= 1")
    check_message(request)
    messages, steps = [_said("user", request)], list[tuple[Call, str]]()
    for _ in range(max_steps):
        try:
            call = chooser.choose(messages)
        except ValueError:
            if not steps:
                raise
            break  # the results leave no room to go on
        if call.tool == NO_TOOL:
            return ToolRun(tuple(steps), "done")
        if call in [made for made, _ in steps]:
            return ToolRun(tuple(steps), "repeated")
        result = use(list(chooser.tools.values()), call)
        steps.append((call, result))
        messages += [_said("assistant", call.text), _said("tool", result)]
    return ToolRun(tuple(steps), "limit")


def introduction(tools: Sequence[Tool]) -> str:
    """What a model is told about its tools, a line for each."""
    lines = [f"{tool.name}: {tool.description}" for tool in tools]
    return "\n".join([_INTRODUCTION, *lines, f"{NO_TOOL}: no tool is needed"])


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _names(tools: Sequence[Tool]) -> list[str]:
    if not tools:
        raise ValueError("an agent needs a tool, got none")
    return [tool.name for tool in tools]

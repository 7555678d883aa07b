"""Tools for a model that writes text: what a call looks like, and what becomes of it.

A call is one line of JSON with two keys, `{"tool": "calculator", "input": "12 * 7"}`.
`call_pattern` is the set of all valid calls, for `Constrained`; `parse_call` checks what was
written without it; `use` runs a tool and gives every outcome as a text, also an error.

Book: chapter "Chat".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from minillm.inference.patterns import Pattern, either, matches, sequence

NO_TOOL = "none"
_LONGEST = 2000


@dataclass(frozen=True)
class Tool:
    """Something that a model can ask for.

    Args:
        name: a word of letters, which is not "none".
        description: one line that tells the model when to use it.
        pattern: the inputs that may be written; none of them holds a quotation mark, a backslash
            or a control character, so that they can stand in JSON as they are.
        run: from the input to the result; what it raises becomes the result, as a text.
        narrow: from a request to the inputs that can be made of it, all of them in `pattern`, or
            None if there are none; it helps a small model, and is optional.

    Raises:
        ValueError: If the name is no such word.

    Example:
        >>> from minillm.inference.patterns import one_of
        >>> coin = Tool("coin", "flips", one_of(["one", "two"]), lambda text: f"{text}: heads")
        >>> use([coin], Call("coin", "two"))
        'two: heads'

    Book: chapter "Chat".
    """

    name: str
    description: str
    pattern: Pattern
    run: Callable[[str], str]
    narrow: Callable[[str], Pattern | None] | None = None

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isalpha()) or self.name == NO_TOOL:
            raise ValueError(f"{self.name!r} must be a word of letters, and not {NO_TOOL!r}")

    def pattern_for(self, request: str) -> Pattern:
        """The inputs that can be made of a request; all inputs if there are none."""
        found = self.narrow(request) if self.narrow is not None else None
        return self.pattern if found is None else found


class Call(NamedTuple):
    """The name of a tool, or "none", and the input."""

    tool: str
    input: str

    @property
    def text(self) -> str:
        """The call as it is written."""
        return json.dumps(self._asdict(), ensure_ascii=False)


def call_pattern(tools: Sequence[Tool]) -> Pattern:
    """All valid calls: a tool's name with an input of that tool, or "none" with an empty one.

    Raises:
        ValueError: If there is no tool, or two have the same name.

    Example:
        >>> from minillm.inference.patterns import one_of
        >>> coin = Tool("coin", "flips", one_of(["one", "two"]), lambda text: "heads")
        >>> matches(call_pattern([coin]), '{"tool": "coin", "input": "two"}')
        True

    Book: chapter "Chat".
    """
    _by_name(tools)
    calls = [sequence(f'{tool.name}", "input": "', tool.pattern) for tool in tools]
    return sequence('{"tool": "', either(f'{NO_TOOL}", "input": "', *calls), '"}')


def parse_call(tools: Sequence[Tool], said: str) -> Call:
    r"""Read a call, and refuse whatever is not one.

    Raises:
        ValueError: If it is not a JSON object with the two keys, or the tool is not there, or the
            input is not one that the tool takes.

    Example:
        >>> parse_call([], '{"tool": "none", "input": ""}')
        Call(tool='none', input='')

    Book: chapter "Chat".
    """
    known = _by_name(tools)
    found = _object(said)
    if set(found) != set(Call._fields) or not all(isinstance(v, str) for v in found.values()):
        raise ValueError(f"a call has the texts tool and input, got {str(found)[:60]}")
    call = Call(**found)
    if call.tool == NO_TOOL:
        if call.input:
            raise ValueError(f"{NO_TOOL!r} has no input, got {call.input[:40]!r}")
        return call
    if call.tool not in known:
        raise ValueError(f"there is no tool {call.tool[:40]!r}, only {sorted(known)}")
    if not matches(known[call.tool].pattern, call.input):
        raise ValueError(f"{call.tool} does not take {call.input[:40]!r}")
    return call


def use(tools: Sequence[Tool], call: Call) -> str:
    """Run a tool; what goes wrong in it comes back as a text, for the model to read.

    Raises:
        ValueError: If there is no such tool.

    Book: chapter "Chat".
    """
    known = _by_name(tools)
    if call.tool not in known:
        raise ValueError(f"there is no tool {call.tool!r}, only {sorted(known)}")
    try:
        return known[call.tool].run(call.input)
    except Exception as error:  # whatever it is, the conversation goes on
        return f"error: {error if isinstance(error, ValueError) else repr(error)}"


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    known = {tool.name: tool for tool in tools}
    if len(known) < len(tools):
        raise ValueError(f"two tools have the same name: {[tool.name for tool in tools]}")
    return known


def _object(said: str) -> dict[str, Any]:
    if len(said) > _LONGEST:
        raise ValueError(f"a call of {len(said)} characters is too long")
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        raise ValueError(f"{said[:60]!r} is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"a call is a JSON object, got {said[:60]!r}")
    return found

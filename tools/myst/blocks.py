"""Find the parts of MyST text: fenced code, directives, inline code and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[\w:-]+)\})?(?P<rest>.*)$")
OPTION = re.compile(r"^ *:([\w-]+):(?: +(.*))?$")


@dataclass(frozen=True)
class Directive:
    """A MyST directive.

    Attributes:
        name: What stands in the braces.
        argument: What follows them on the line.
        options: The ``:key: value`` lines.
        body: The rest, without the fences.
        indent: Spaces before the fence.
    """

    name: str
    argument: str
    options: dict[str, str]
    body: str
    indent: str = ""


@dataclass(frozen=True)
class Code:
    """A fenced block of code, kept as it is."""

    text: str


@dataclass
class Prose:
    """Lines of ordinary Markdown."""

    lines: list[str] = field(default_factory=list)


Part = Directive | Code | Prose


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    if not mark or set(mark) != {fence[0]}:
        return False
    return len(mark) >= len(fence) if fence[0] == "`" else len(mark) == len(fence)


def _closing(lines: list[str], start: int, fence: str) -> int:
    """The line on which the fence that was opened at ``start`` ends.

    A fence of colons ends at the first one of its length that does not belong to an inner one.
    """
    depth = 0
    for number in range(start + 1, len(lines)):
        inner = FENCE.match(lines[number])
        if inner and inner["fence"] == fence and inner["name"]:
            depth += 1
        elif _closes(lines[number], fence):
            if depth == 0 or fence[0] == "`":
                return number
            depth -= 1
    raise ValueError(f"the fence {lines[start].strip()!r} is not closed")


def _directive(match: re.Match[str], lines: list[str]) -> Directive:
    indent = match["indent"]
    lines = [line.removeprefix(indent) for line in lines]
    options = {}
    while lines and (option := OPTION.match(lines[0])):
        options[option[1]] = option[2] or ""
        lines = lines[1:]
    return Directive(
        match["name"], match["rest"].strip(), options, "\n".join(lines).strip("\n"), indent
    )


def split(text: str) -> Iterator[Part]:
    """Cut MyST text into directives, code and prose, in order.

    Raises:
        ValueError: a fence is not closed.
    """
    lines, prose, number = text.splitlines(), Prose(), 0
    while number < len(lines):
        match = FENCE.match(lines[number])
        opens = match and (match["name"] or match["fence"][0] == "`")
        if not match or not opens:
            prose.lines.append(lines[number])
            number += 1
            continue
        yield prose
        prose, end = Prose(), _closing(lines, number, match["fence"])
        if match["name"]:
            yield _directive(match, lines[number + 1 : end])
        else:
            yield Code("\n".join(lines[number : end + 1]))
        number = end + 1
    yield prose

"""Small programming problems, written for this book, each in a familiar and in a twisted form.

A problem is the head of a Python function with one line that says what it does, calls that try it,
and a solution. Its twist has the same name, the same arguments and the same calls, and a line that
asks for a little more or for something else. Who recites answers the twist as if it were the
familiar form.

Source: Wu et al. (2024), arXiv:2307.02477, for the idea of the twist.
Book: chapter "Code".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """A problem: the head, what it asks for, the solution's body, calls and their right values."""

    name: str
    twisted: bool
    level: int  # 1: one expression; 2: a loop or a condition; 3: several steps
    development: bool  # one to choose with; a twist is on the same side as its familiar form
    head: str  # the line with def
    task: str
    body: str  # of the solution
    calls: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def prompt(self) -> str:
        """The head with the task as docstring, without a newline at the end."""
        return f'{self.head}\n    """{self.task}"""'

    @property
    def solution(self) -> str:
        """A program that is right."""
        return f"{self.prompt}\n{self.body}\n"


@cache
def code_problems() -> tuple[Problem, ...]:
    """All problems: 24 familiar ones, each followed by its twist; every third pair to choose with.

    Example:
        >>> familiar, twisted = code_problems()[2:4]
        >>> twisted.head, twisted.task
        ('def check(n):', 'Return True if n is even or equal to 7, otherwise False.')
        >>> twisted.calls[1], familiar.values[1], twisted.values[1]
        ('check(7)', False, True)

    Book: chapter "Code".
    """
    text = (files("minillm.corpora") / "problems.txt").read_text("utf-8")
    blocks = text.strip().split("\n\n")
    return tuple(problem for i, block in enumerate(blocks) for problem in _pair(block, i % 3 == 0))


def _pair(block: str, development: bool) -> Iterator[Problem]:
    """The two problems of a block: name and level, head, twice docstring and body, then calls."""
    title, head, *lines = block.split("\n")
    name, level = title.split()
    rows = [line.split(" -> ") for line in lines if not line.startswith(" ")]
    calls = tuple(call for call, _ in rows)
    code = "\n".join(line for line in lines if line.startswith(" "))
    parts = code.removeprefix('    """').split('\n    """')
    for i, part in enumerate(parts):
        task, body = part.split('"""\n')
        values = tuple(ast.literal_eval(both.split(" | ")[i]) for _, both in rows)
        yield Problem(name, bool(i), int(level), development, head, task, body, calls, values)

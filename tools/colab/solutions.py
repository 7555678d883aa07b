"""Fold the solutions of exercises, text, code and what it prints, into one cell of Markdown.

A solution must be out of sight until it is asked for, and *Run all* must not run it. A fold of
Markdown does both in Colab, JupyterLab and VS Code; a hidden code cell does the first in some of
them only, and the second nowhere. The code can be copied into the empty cell above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.myst.plain import SOLUTION, SOLUTION_END, fold

MARK = re.compile(rf"^({SOLUTION}.*|{SOLUTION_END})$", re.MULTILINE)
CODE = re.compile(r"^(`{3,})python\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)


@dataclass
class Solution:
    """A solution that is being read: the exercise, and its text and code so far."""

    cell: str
    exercise: str
    parts: list[str] = field(default_factory=list)
    code: bool = False

    def cells(self) -> Iterator[Any]:
        """An empty cell for the reader, if there is code to write, and the folded solution."""
        if self.code:
            yield new_code_cell(
                f"# {self.exercise}: room for your own attempt", id=f"{self.cell}-yours"
            )
        body = "\n\n".join(part for part in self.parts if part.strip())
        cell = new_markdown_cell(
            fold(f"Solution of {self.exercise}", body), id=f"{self.cell}-solution"
        )
        cell.metadata["minillm"] = {"solution": self.exercise}
        yield cell


def _fence(text: str, language: str) -> str:
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def printed(cell: Any) -> str:
    """What a code cell has printed, or the text of its value."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stdout":
            texts.append(output.text)
        elif output.output_type == "execute_result":
            texts.append(output.data.get("text/plain", "") + "\n")
    return "".join(texts).rstrip()


def _add_code(solution: Solution, cell: Any) -> None:
    solution.code = True
    solution.parts.append(_fence(cell.source, "python"))
    if text := printed(cell):
        solution.parts += ["It prints:", _fence(text, "text")]


@dataclass
class _Folding:
    """The cells so far, and the solution that is open, if one is."""

    done: list[Any] = field(default_factory=list)
    solution: Solution | None = None

    def add(self, cell: Any) -> None:
        """Take the next cell of the notebook."""
        if cell.cell_type == "markdown":
            self._add_text(cell)
        elif self.solution:
            _add_code(self.solution, cell)
        else:
            self.done.append(cell)

    def _add_text(self, cell: Any) -> None:
        # Text and marks in turn. The cell's id stays with its text outside of solutions.
        before = len(self.done)
        for part in (part.strip("\n") for part in MARK.split(cell.source)):
            if part.startswith(SOLUTION) or part == SOLUTION_END:
                self._turn(part, cell.id)
            elif self.solution:
                self.solution.parts.append(part)
            elif part:
                self.done.append(new_markdown_cell(part, id=cell.id, metadata=cell.metadata))
        if [each.id for each in self.done[before:]].count(cell.id) > 1:
            raise ValueError(f"cell {cell.id!r} has text before a solution and behind it")

    def _turn(self, mark: str, cell: str) -> None:
        if mark == SOLUTION_END:
            if self.solution is None:
                raise ValueError(f"cell {cell!r}: no solution has begun")
            self.done += self.solution.cells()
            self.solution = None
        elif self.solution:
            raise ValueError(f"cell {cell!r}: a solution begins in another one")
        else:
            self.solution = Solution(cell, mark.removeprefix(SOLUTION))


def fold_solutions(cells: list[Any]) -> list[Any]:
    """The cells of a notebook with every solution in one folded cell.

    Args:
        cells: Cells whose Markdown is plain but for the marks around solutions.

    Raises:
        ValueError: a solution ends that has not begun, begins in another one, or does not end.
    """
    folding = _Folding()
    for cell in cells:
        folding.add(cell)
    if folding.solution:
        raise ValueError(f"cell {folding.solution.cell!r}: the solution does not end")
    return folding.done


def open_solutions(cells: list[Any]) -> list[Any]:
    """The cells as a reader makes them who copies every solution into the empty cell above it."""
    done: list[Any] = []
    for cell in cells:
        done.append(cell)
        if "solution" in cell.metadata.get("minillm", {}):
            codes = [match[2] for match in CODE.finditer(cell.source)]
            done += [
                new_code_cell(code, id=f"{cell.id}-{number}") for number, code in enumerate(codes)
            ]
    return done

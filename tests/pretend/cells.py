"""Which cells of a chapter a device can matter to.

A cell that uses neither the device nor a name that comes from a cell that does computes on the CPU
on every machine, and another step of the checks executes it. Here it runs only if a cell that the
device does matter to needs one of its names. What a name comes from is read from the source: from
assignments, and from statements such as `rows.append(…)` and `table[key] = …`, which change it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

SOURCE = "device"
"""The name that the setup cell of every chapter gives to the device."""
SCOPES = ast.FunctionDef | ast.Lambda | ast.ClassDef
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Names:
    """What a cell reads from cells before it, what it makes, and what it changes.

    Attributes:
        read: names that have a value before the cell.
        made: names that it gives a new value.
        changed: names of which it changes the value, which stays the same object.
        fixed: of those made, modules that are imported.
    """

    read: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, source: str) -> Names:
        """Read the names of a cell off its source."""
        names = cls()
        names._block(ast.parse(source).body)
        return names

    def _block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        self.changed |= set(_changed(node)) - self.made
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            self.made |= names
            self.fixed |= names
            return
        blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        blocks += [handler.body for handler in getattr(node, "handlers", [])]
        if isinstance(node, SCOPES) or not any(blocks):
            self.read |= _free(node) - self.made
            self.made |= _stored(node)
            return
        heads = [n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.stmt)]
        for handler in getattr(node, "handlers", []):
            heads += [] if handler.type is None else [handler.type]
            self.made |= {handler.name} - {None}
        for head in (n for n in heads if not isinstance(n, ast.ExceptHandler)):
            self.read |= _free(head) - self.made
            self.made |= _stored(head)
        for block in blocks:
            self._block(block)


def _free(node: ast.AST) -> set[str]:
    """The names that a piece of code takes from outside itself."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    inside = set().union(*(_free(child) for child in ast.iter_child_nodes(node)))
    return inside - _own(node) - set(vars(builtins))


def _own(node: ast.AST) -> set[str]:
    """The names that belong to a function or a comprehension alone."""
    if isinstance(node, COMPREHENSIONS):
        return {n for generator in node.generators for n in _stored(generator.target)}
    if not isinstance(node, SCOPES):
        return set()
    arguments = {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
    return arguments | set().union(*(_stored(child) for child in ast.iter_child_nodes(node)))


def _stored(node: ast.AST) -> set[str]:
    """The names to which a piece of code gives a value in its own scope."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Lambda | COMPREHENSIONS):
        return set()
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    return set().union(*(_stored(child) for child in ast.iter_child_nodes(node)))


def _changed(node: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        targets = [node.value.func]
    elif isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    for target in targets:
        inside = target
        while isinstance(inside, ast.Attribute | ast.Subscript):
            inside = inside.value
        if inside is not target and isinstance(inside, ast.Name):
            yield inside.id


def touched_by_device(cells: Sequence[Names]) -> list[bool]:
    """For each cell, whether it uses the device or a name that comes from a cell that does."""
    tainted, fixed, touched = {SOURCE}, set(), []
    for cell in cells:
        fixed |= cell.fixed
        touches = bool((cell.read | cell.changed) & tainted - fixed)
        new = (cell.made | cell.changed) - fixed
        tainted = {SOURCE} | (tainted | new if touches else tainted - cell.made)
        touched.append(touches)
    return touched


def needed(sources: Sequence[str]) -> list[bool]:
    """For each cell, whether it must run so that every cell that the device matters to can run."""
    cells = [Names.of(source) for source in sources]
    wanted = touched_by_device(cells)
    queue = [i for i, touches in enumerate(wanted) if touches]
    while queue:
        at = queue.pop()
        for maker in _makers(cells, at):
            if not wanted[maker]:
                wanted[maker] = True
                queue.append(maker)
    return wanted


def _makers(cells: Sequence[Names], at: int) -> Iterator[int]:
    """The cells that gave the names read in cell `at` their values, or that will give them."""
    for name in cells[at].read | cells[at].changed:
        before = [i for i in range(at) if name in cells[i].made]
        if name in (cells[before[-1]].fixed if before else ()):
            yield before[-1]
            continue
        rest = range(before[-1], at) if before else range(at + 1, len(cells))
        yield from (i for i in rest if name in cells[i].made | cells[i].changed)

"""Run the cells of a notebook with `minillm.best_device()` answering the pretend accelerator.

    python -m tests.pretend.chapter book/attention/order.ipynb [--whole] [--report FILE]

A whole book of trained models would take longer on this device than a check may. Unless `--whole`
is given, cells that no device matters to are left out (see `cells`) and training is short (see
`shorten`). What a chapter claims of a trained model then need
not hold, and a cell that stopped at a failed assertion would leave undefined what later cells use.
Hence `assert test` is evaluated, so that a mixture of devices in it is found, but where it is false
the cell goes on: the report lists it as a broken claim. Broken claims are allowed only from the
first shortened training on; before it, and in a chapter that trains nothing, each is a fault. Every
other exception is a fault, and so is a mixture of devices that the chapter itself catches.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from IPython.core.interactiveshell import InteractiveShell

from tests.pretend import device
from tests.pretend.cells import needed
from tests.pretend.lacks import allowed
from tests.pretend.shorten import Shortened

ON_BROKEN, SOME = "__note_broken_claim__", "__some_updates__"


@dataclass
class Cell:
    """How one cell went.

    Attributes:
        id: its name.
        seconds: of CPU time.
        faults: what would stop the chapter on a card.
        claims: what was asserted and did not hold, as it may after a short training.
        lacking: operators and numbers that it used and CUDA or MPS do not have.
        skipped: whether it was left out, since no device matters to it.
    """

    id: str
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    skipped: bool = False


class ShortCells(ast.NodeTransformer):
    """Turn `assert test` into `if not test: note it`, and let loops that train be shorter."""

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        trains = any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in ast.walk(node))
        head = node.iter
        if trains and isinstance(head, ast.Call) and ast.unparse(head.func) == "range":
            node.iter = ast.Call(ast.Name(SOME, ast.Load()), [head], [])
        return ast.fix_missing_locations(node)

    def visit_Assert(self, node: ast.Assert) -> ast.If:
        note = ast.Call(ast.Name(ON_BROKEN, ast.Load()), [ast.Constant(ast.unparse(node.test))], [])
        test = ast.UnaryOp(ast.Not(), node.test)
        made = ast.If(test, [ast.Expr(note)], [])
        return ast.fix_missing_locations(ast.copy_location(made, node))


class ChapterRun:
    """One notebook in one shell.

    Args:
        path: the notebook.
        may_lack: by cell, what it may use although CUDA or MPS do not have it.
        whole: whether training and assertions stay as they are.
    """

    def __init__(self, path: Path, may_lack: dict[str, set[str]], *, whole: bool) -> None:
        self.cells = [
            cell
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
        self.may_lack, self.current = may_lack, Cell("")
        self.short = None if whole else Shortened()
        self.shell = InteractiveShell.instance()
        sources = [self.shell.transform_cell("".join(cell["source"])) for cell in self.cells]
        self.wanted = [True] * len(sources) if whole else needed(sources)
        self.shell.showtraceback = lambda *_, **__: None  # the report has it
        if not whole:
            self.shell.ast_transformers.append(ShortCells())
            setattr(builtins, ON_BROKEN, self._note)
            setattr(builtins, SOME, self.short.some_updates)
            _soften(torch.testing, "assert_close", self._note)
            _soften(np.testing, "assert_allclose", self._note)

    def _note(self, claim: str) -> None:
        allowed = self.short is not None and self.short.happened
        (self.current.claims if allowed else self.current.faults).append(f"claims {claim}")

    def run(self) -> list[Cell]:
        return [
            self._run_cell(cell) if wanted else Cell(cell["id"], skipped=True)
            for cell, wanted in zip(self.cells, self.wanted, strict=True)
        ]

    def _run_cell(self, cell: dict[str, Any]) -> Cell:
        self.current = done = Cell(cell["id"])
        device.refused.clear()
        start = time.process_time()
        with device.may_lack(self.may_lack.get(done.id, set())) as lacking:
            result = self.shell.run_cell("".join(cell["source"]), store_history=False, silent=True)
        done.seconds = time.process_time() - start
        done.lacking = sorted(lacking)
        error = result.error_before_exec or result.error_in_exec
        expected = "raises-exception" in cell["metadata"].get("tags", ())
        if error is not None and not expected:
            done.faults.append(_describe(error))
        done.faults += [text for text in device.refused if text not in str(done.faults)]
        return done


def _soften(module: Any, name: str, note: Callable[[str], None]) -> None:
    """Let a function that asserts note a false claim, unless it is one about devices."""
    real = getattr(module, name)

    def soft(*args: Any, **kwargs: Any) -> None:
        try:
            real(*args, **kwargs)
        except AssertionError as error:
            if "attribute 'device'" in str(error):
                raise device.MixedDevices(str(error)) from None
            note(f"{name}: {' '.join(str(error).split())[:120]}")

    setattr(module, name, soft)


def _describe(error: BaseException) -> str:
    """The error, and the last lines of the chapter and the package that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "minillm" in f.filename or "ipython-input" in f.filename]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.line}" for f in ours[-1:-4:-1])
    return f"{type(error).__name__}: {str(error)[:300]} at {where}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--whole", action="store_true", help="train as long as the chapter says")
    parser.add_argument("--report", type=Path, help="a JSON file to write")
    options = parser.parse_args(arguments)
    os.environ |= {"MINILLM_DEVICE": device.NAME, "MINILLM_FAST_BFLOAT16": "0"}
    matplotlib.use("agg")
    path = options.notebook.resolve()
    run = ChapterRun(path, allowed(path.stem), whole=options.whole)
    with tempfile.TemporaryDirectory() as folder, device.active():
        os.chdir(folder)
        cells = run.run()
        os.chdir("/")
    if options.report:
        options.report.write_text(json.dumps([asdict(c) for c in cells], ensure_ascii=False))
    for cell in cells:
        for fault in cell.faults:
            print(f"FAULT {cell.id}: {fault}", file=sys.stderr)
    return int(any(cell.faults for cell in cells))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run every check of the repository: ``make test``.

The steps run in order and go on after a failure. The last lines are a table of step, result and
seconds, and the totals.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jupyter_cache import get_cache

from tools import browser, build_book, execution, export_notebooks
from tools.project import CACHE, ROOT, chapters

PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest"]
ELSEWHERE = ("book", "pretend", "web", "widgets")  # tests that have a step of their own


@dataclass(frozen=True)
class Step:
    """One check.

    Attributes:
        name: What the table calls it.
        run: Does the work and says whether all is well.
    """

    name: str
    run: Callable[[], bool]


@dataclass(frozen=True)
class Result:
    """How a step ended."""

    name: str
    passed: bool
    seconds: float


def command(*arguments: str) -> Callable[[], bool]:
    """A step that runs a program in the repository's root."""

    def run() -> bool:
        print("$ " + " ".join(arguments).replace(PYTHON, "python"), flush=True)
        return subprocess.run(arguments, cwd=ROOT, check=False).returncode == 0

    return run


def artefacts() -> bool:
    """Fetch what the tests and chapters use, once."""
    build_book.fetch_artefacts()
    return True


def notebooks() -> bool:
    """Execute every notebook, compare the checked outputs, and keep all of them for the book."""
    files = [str(path.relative_to(ROOT)) for path in chapters()]
    if not files:
        print("_toc.yml lists no notebook")
        return False
    execution.drop_stale(CACHE, ROOT)
    get_cache(str(CACHE)).list_cache_records()  # made before two processes write into it
    # One notebook is one kernel: its cells must stay with one worker.
    options = ["--nbval-lax", "-n", "2", "--dist", "loadfile", "-o", "addopts=-q"]
    record = ["-p", "tools.recorder", "--record-into", str(CACHE)]
    return command(*PYTEST, *options, *record, *files)()


def pages() -> bool:
    """Look at the pages and their parts in a browser; install one where there is none."""
    os.environ["CHROMIUM"] = browser.require()
    return command(*PYTEST, "-n", "2", "tests/web", "tests/widgets")()


def exported() -> bool:
    """Export the notebooks for Colab."""
    return export_notebooks.main([]) == 0


STEPS = (
    Step("artefacts", artefacts),
    Step("format", command(PYTHON, "-m", "ruff", "format", "--check", ".")),
    Step("lint", command(PYTHON, "-m", "ruff", "check", ".")),
    Step("import contracts", command(str(Path(PYTHON).with_name("lint-imports")), "--no-cache")),
    Step("types", command(PYTHON, "-m", "mypy")),
    Step(
        "unit and parity tests",
        command(
            *PYTEST, "-n", "2", "src", "tests", *(f"--ignore=tests/{name}" for name in ELSEWHERE)
        ),
    ),
    Step("house rules of notebooks", command(*PYTEST, "tests/book")),
    Step("notebooks", notebooks),
    # In processes of their own: a device is registered for good.
    Step("pretend accelerator", command(*PYTEST, "-n", "2", "tests/pretend")),
    Step("book", command(PYTHON, "-m", "tools.build_book")),
    Step("numbers in the prose", command(PYTHON, "-m", "tools.numbers_in_prose")),
    Step("pages in a browser", pages),
    Step("exported notebooks", exported),
)


def run_step(step: Step) -> Result:
    """Run one step under a heading; a step that stops the program has failed."""
    print(f"\n=== {step.name} ===", flush=True)
    start = time.perf_counter()
    try:
        passed = step.run()
    except (SystemExit, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        passed = False
    return Result(step.name, passed, time.perf_counter() - start)


def table(results: list[Result]) -> str:
    """Step, result and seconds, then the totals as the last line.

    >>> print(table([Result("format", True, 0.31), Result("lint", False, 1.0)]))
    step                         result  seconds
    format                       passed      0.3
    lint                         FAILED      1.0
    total                                    1.3
    1 passed, 1 failed
    """
    lines = [f"{'step':<28} {'result':<7} {'seconds':>7}"]
    for result in results:
        outcome = "passed" if result.passed else "FAILED"
        lines.append(f"{result.name:<28} {outcome:<7} {result.seconds:>7.1f}")
    lines.append(f"{'total':<28} {'':<7} {sum(result.seconds for result in results):>7.1f}")
    passed = sum(result.passed for result in results)
    lines.append(f"{passed} passed, {len(results) - passed} failed")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run all steps, or those whose names contain one of the arguments."""
    os.chdir(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = [s for s in STEPS if not arguments or any(word in s.name for word in arguments)]
    results = [run_step(step) for step in chosen]
    print("\n" + table(results), flush=True)
    return int(not results or not all(result.passed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

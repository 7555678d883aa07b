"""Try the lower bounds of ``pyproject.toml``: ``make lowest``.

Installs the oldest release that each of them admits into ``_build/lowest``, and runs the tests of
the package there. Nothing is compiled: a bound whose release has no wheel for this Python is too
low. Run it with the oldest Python; newer ones have no wheels of some old releases. Where no card
is to be used, ``UV_TORCH_BACKEND=cpu`` saves gigabytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / "_build" / "lowest"
NOT_HERE = ("book", "tools", "web", "widgets")  # tests that need the lock


def steps(python: str) -> tuple[list[str], ...]:
    """The programs to run, in order, with the environment's own Python."""
    ignored = (f"--ignore=tests/{name}" for name in NOT_HERE)
    uv = [python, "-m", "uv", "pip", "install", "--python", python]
    oldest = ["--resolution", "lowest-direct", "--no-build", "-r", "pyproject.toml"]
    # Old releases use what newer ones of others call deprecated: their warnings are no errors.
    pytest = ["pytest", "-n", "2", "-m", "not slow", "-o", "filterwarnings=default"]
    return (
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"],
        [*uv, *oldest, "--extra", "dev"],
        [*uv, "--no-deps", "--editable", "."],
        [python, "-m", *pytest, "src", "tests", *ignored],
    )


def main() -> int:
    """Install and test; the first program that fails ends it."""
    venv.create(VENV, with_pip=True, clear=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    for command in steps(str(VENV / "bin" / "python")):
        print("$ " + " ".join(command), flush=True)
        if code := subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

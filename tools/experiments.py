"""Run the experiments whose stored results chapters draw: ``make experiments NAME=...``.

Without a name it lists them. Each script in ``experiments/`` is a program of its own with
``--help``; this one only finds it and says what it is about.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tools.project import ROOT

FOLDER = ROOT / "experiments"


def first_line(script: Path) -> str:
    """The first line of a script's docstring."""
    return (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or "").split("\n")[0]


def main(arguments: list[str]) -> int:
    """Run one experiment with its own options, or list all."""
    scripts = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}
    if not arguments:
        for name, path in scripts.items():
            print(f"{name:<24} {first_line(path)}")
        print("\nRun one with: make experiments NAME=<name>")
        return 0
    name, *options = arguments
    if name not in scripts:
        print(f"no experiment {name!r}; there are {list(scripts)}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, str(scripts[name]), *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

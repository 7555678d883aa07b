"""Execute the exported notebooks with the packages of Colab's image: ``make colab``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from tools import export_notebooks
from tools.colab import environment, image, trial
from tools.colab.trial import Trial
from tools.project import BUILD, ROOT, chapters

FOLDER = BUILD / "colab"


def wheel() -> Path:
    """The package of the working tree, as pip would build it from the commit.

    Raises:
        SystemExit: it cannot be built.
    """
    folder = FOLDER / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    if subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=False).returncode:
        raise SystemExit("The package cannot be built; see the message above.")
    return next(folder.glob("*.whl"))


def table(trials: list[Trial]) -> str:
    """Notebook, seconds, and what was added.

    >>> print(table([Trial("order", 61.2, 20, ["minillm 0.1.0"]), Trial("x", faults=["no"])]))
    | notebook | seconds | of these installing | added | result |
    |---|---:|---:|---|---|
    | order | 61 | 20 | minillm 0.1.0 | passed |
    | x | 0 | 0 | nothing | FAILED |
    """
    lines = ["| notebook | seconds | of these installing | added | result |"]
    lines.append("|---|---:|---:|---|---|")
    for each in trials:
        added, result = ", ".join(each.added) or "nothing", "FAILED" if each.faults else "passed"
        lines.append(
            f"| {each.name} | {each.seconds:.0f} | {each.installing} | {added} | {result} |"
        )
    return "\n".join(lines)


def report(trials: list[Trial], packages: dict[str, str], complaints: set[str]) -> str:
    """All that was found, as Markdown."""
    colab = image.load()
    beyond = sorted(packages.keys() - colab.packages.keys())
    others = image.changes(colab.packages, packages)
    lines = [
        f"Packages of Colab as of {colab.read}: {len(colab.packages)} pins.",
        f"With another version here: {', '.join(others) or 'none'}.",
        f"Not in the list, but needed by them: {', '.join(beyond) or 'none'}.",
        f"pip check before: {'; '.join(sorted(complaints)) or 'no broken requirements'}.",
        "",
        table(trials),
    ]
    for each in trials:
        lines += ["", *(f"**{each.name}**: {fault}" for fault in each.faults)]
    return "\n".join(lines).rstrip() + "\n"


def chosen(names: list[str]) -> list[Path]:
    """The chapters of these names, or all.

    Raises:
        SystemExit: there is no such chapter.
    """
    known = {path.stem: path for path in chapters()}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"No chapter is called {unknown[0]!r}: {', '.join(known)}")
    return [known[name] for name in names or known]


def main(arguments: list[str]) -> int:
    """Build the environment if it is not there, run the notebooks, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="chapters, by name; all if none is given")
    parser.add_argument("--python", help="the interpreter for Colab's environment")
    options = parser.parse_args(arguments)
    paths = chosen(options.names)
    try:
        colab = environment.build(FOLDER / "env", options.python or None)
    except environment.NoEnvironmentError as error:
        raise SystemExit(str(error)) from error
    if export_notebooks.main(["--out", str(FOLDER / "exported")]):
        return 1
    package, complaints, before = wheel(), colab.complaints(), colab.packages()
    trials = []
    for path in paths:
        relative = path.relative_to(ROOT)
        notebook = nbformat.read(FOLDER / "exported" / relative, as_version=4)
        print(f"  {path.stem}: executing", flush=True)
        trials.append(trial.run(path.stem, notebook, colab, package))
        print(f"  {path.stem}: {trials[-1].seconds:.0f} s", flush=True)
        (target := FOLDER / "executed" / relative).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    text = report(trials, before, complaints)
    (FOLDER / "report.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return int(any(each.faults for each in trials))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

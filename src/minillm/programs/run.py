"""Run a program that somebody else, or a model, has written, in a process with limits.

The limits are made against *mistakes*: an endless loop, a list without end, a call that removes a
file. They are no wall against an attacker, who may know a way around an audit hook in the same
process; against one, use a container or a virtual machine. Linux and macOS.

Book: chapter "Code".
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

CHILD = Path(__file__).with_name("child.py")
REPORT = 200_000  # bytes of the report that are read for each call
OURS = ("ok", "timeout", "ended")  # kinds of an outcome that are no error


class Outcome(NamedTuple):
    """What came of a program.

    Args:
        kind: "ok": it ran to its end; "timeout"; "ended": it left early, or was ended; or the name
            of the error that it raised, such as "SyntaxError".
        message: what the error says.
        values: for each call the repr of its value, or None if it raised an error.
        errors: for each call the name and the message of its error, or None.
        output: the beginning of what was printed.
        seconds: how long it took.
    """

    kind: str
    message: str
    values: tuple[str | None, ...]
    errors: tuple[tuple[str, str] | None, ...]
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the program ran to its end; the calls may have raised errors."""
        return self.kind == "ok"


def run_python(
    code: str,
    calls: Sequence[str] = (),
    *,
    timeout: float = 2.0,
    memory: int = 256,
    output: int = 10_000,
) -> Outcome:
    """Run code in a process of its own, then evaluate calls there, and report their values as text.

    Which values are right stays on this side, so nothing that the code prints, or leaves out by
    ending early, can make it look right. The process has an empty folder, no environment, no
    packages, a limit of time, memory, files and processes by the operating system, and an audit
    hook that refuses files, sockets, processes and C libraries.

    Args:
        code: a Python program.
        calls: expressions that use its names.
        timeout: seconds for all of it, start included.
        memory: megabytes.
        output: characters of what is printed that are kept; the rest is thrown away.

    Raises:
        ValueError: If the code or a call is no text, or a limit is not positive and finite.
        OSError: On Windows, which lacks these limits.

    Example:
        >>> run_python("def f(n): return 2 * n", ["f(4)", "f('a')", "g()"]).values
        ('8', "'aa'", None)
        >>> run_python("while True: pass", timeout=0.5).kind
        'timeout'

    Book: chapter "Code".
    """
    _check(code, calls, timeout, memory, output)
    if os.name != "posix":
        raise OSError("run_python needs the limits of Linux or macOS; Windows has none of them")
    order = {
        "code": code,
        "calls": list(calls),
        "seconds": math.ceil(timeout) + 1,
        "memory": memory * 2**20,
    }
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        limits = 4 * output, REPORT * (1 + len(calls))
        printed, report, late = _communicate(json.dumps(order).encode(), folder, timeout, limits)
    seconds = time.monotonic() - started
    text = printed.decode("utf-8", "replace")[:output]
    if late:
        return _outcome("timeout", f"more than {timeout:g} seconds", len(calls), text, seconds)
    return _read(report, len(calls), text, seconds)


def _check(code: str, calls: Sequence[str], timeout: float, memory: int, output: int) -> None:
    if isinstance(calls, str) or not all(isinstance(text, str) for text in (code, *calls)):
        raise ValueError("code is a text, and calls are a list of texts")
    if not 0 < timeout < math.inf or memory < 1 or output < 0:
        raise ValueError(
            f"timeout={timeout} and memory={memory} must be positive, output={output} >= 0"
        )


def _communicate(
    order: bytes, folder: str, timeout: float, most: tuple[int, int]
) -> tuple[bytes, bytes, bool]:
    """Start the child, read all that it writes, and end it with all that it has started."""
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile() as given:
        given.write(order)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", str(CHILD), str(theirs)],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs,),
            cwd=folder,
            env={},
            start_new_session=True,
        )
    os.close(theirs)
    assert process.stdout is not None
    try:
        with process.stdout as printed, os.fdopen(ours, "rb") as report:
            limits = {printed: most[0], report: most[1]}
            kept, late = _drain(limits, time.monotonic() + timeout)
            return kept[printed], kept[report], late
    finally:
        _end(process)


def _drain(limits: dict[Any, int], until: float) -> tuple[dict[Any, bytes], bool]:
    """Read pipes to their ends, keeping the first bytes of each; True if time ran out."""
    kept = dict.fromkeys(limits, b"")
    with selectors.DefaultSelector() as selector:
        for pipe in limits:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                return kept, True
            for key, _ in selector.select(left):
                new = os.read(key.fd, 65536)
                if not new:
                    selector.unregister(key.fileobj)
                kept[key.fileobj] += new[: limits[key.fileobj] - len(kept[key.fileobj])]
    return kept, False


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(kind: str, message: str, n: int, text: str, seconds: float) -> Outcome:
    return Outcome(kind, message, (None,) * n, (None,) * n, text, seconds)


def _read(report: bytes, n: int, text: str, seconds: float) -> Outcome:
    """The outcome from a report, which the code may have spoiled."""
    try:
        found = json.loads(report)
        if "rows" in found:
            rows = found["rows"]
            values = tuple(_text(row.get("value")) for row in rows)
            errors = tuple((row["error"][0], row["error"][1]) if "error" in row else None
                           for row in rows)  # fmt: skip
            if len(rows) == n:
                return Outcome("ok", "", values, errors, text, seconds)
        elif "error" in found:
            kind, message = map(str, found["error"])
            if kind in OURS or not kind.isidentifier():  # an error may bear any name
                kind = "Exception"
            return _outcome(kind, message, n, text, seconds)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        pass
    return _outcome("ended", "it ended before its calls were made", n, text, seconds)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

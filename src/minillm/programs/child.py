"""What stands on the other side: this file is run as a program of its own by `run_python`.

It reads one JSON object from standard input (the code, the calls, the limits), takes on its limits,
runs the code, evaluates the calls, and writes the repr of each value to the file descriptor that it
was given. It never sees which values are right. It imports nothing of this package.

Book: chapter "Code".
"""

from __future__ import annotations

import io
import json
import os
import sys
import types
from typing import Any

# Everything that Python reports to an audit hook (PEP 578) and that is not here is refused: files,
# processes, sockets, signals, C libraries, and whatever a later version adds.
ALLOWED = {
    "array.__new__", "builtins.id", "builtins.input", "code.__new__", "compile", "exec",
    "function.__new__", "import", "marshal.load", "marshal.loads", "object.__delattr__",
    "object.__getattr__", "object.__setattr__", "open", "os.listdir", "os.scandir",
    "sys._getframe", "time.sleep",
}  # fmt: skip
REFUSED_IMPORTS = {"_ctypes", "_posixsubprocess", "_posixshmem", "_socket"}
REFUSED_IMPORTS |= {"_dbm", "_gdbm", "_curses", "_tkinter", "_testcapi", "readline"}
UNHEARD = ("mkfifo", "mknod", "openpty")  # they make files, and no hook is told of it
LONGEST = 10_000  # characters of one value


def limit(seconds: int, memory: int) -> None:
    """Take on the limits of the operating system; none of them can be raised again."""
    import resource  # noqa: PLC0415 - Windows has no such module

    wanted = [
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
        (getattr(resource, "RLIMIT_NPROC", None), 0),
        (getattr(resource, "RLIMIT_AS", None), memory),
    ]
    for kind, value in wanted:
        try:
            if kind is not None:
                resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):  # macOS refuses some; the others and the hook remain
            pass


def refuse(event: str, args: tuple[Any, ...]) -> None:
    """Raise PermissionError for all but reading Python's own library."""
    if event == "open":
        path, _, flags = args
        reading = not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC)
        if not (reading and inside(path)):
            raise PermissionError(f"opening {str(path)[:80]!r} is not allowed here")
    elif event in {"os.listdir", "os.scandir"}:
        if not inside(args[0]):
            raise PermissionError(f"{event} is not allowed here")
    elif event == "import" and args[0] in REFUSED_IMPORTS:
        raise PermissionError(f"import {args[0]} is not allowed here")
    elif event not in ALLOWED:
        raise PermissionError(f"{event} is not allowed here")


LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def inside(path: object) -> bool:
    """Whether a path lies in Python's own library, and not among the packages beside it."""
    if not isinstance(path, str):
        return False
    full = os.path.abspath(path)
    return full.startswith(LIBRARY) and not {"site-packages", "dist-packages"} & {*full.split("/")}


def described(error: BaseException) -> list[str]:
    """The kind of an error and its message, also of one whose message cannot be made."""
    try:
        message = str(error)[:500]
    except BaseException:
        message = ""
    return [str(type(error).__name__)[:100], message]


def value_of(call: str, names: dict[str, Any]) -> dict[str, Any]:
    """The repr of what a call returns, or its error."""
    try:
        text = repr(eval(call, names))
    except BaseException as error:
        return {"error": described(error)}
    return {"value": text} if len(text) <= LONGEST else {"error": ["ValueError", "value too long"]}


def main() -> None:
    """Read the order, run it, report."""
    order = json.loads(sys.stdin.buffer.read())
    report = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    sys.stdin = io.StringIO()
    sys.argv = [""]
    limit(order["seconds"], order["memory"])
    for name in UNHEARD:
        for module in (os, sys.modules["posix"]):
            vars(module).pop(name, None)
    sys.addaudithook(refuse)
    program = sys.modules["program"] = types.ModuleType("program")  # dataclasses look for it
    names = vars(program)
    try:
        exec(compile(order["code"], "program", "exec"), names)
    except BaseException as error:
        stage = "error" if isinstance(error, Exception) else "end"
        report.write(json.dumps({stage: described(error)}).encode())
        return
    rows = [value_of(call, names) for call in order["calls"]]
    report.write(json.dumps({"rows": rows}).encode())


if __name__ == "__main__":
    leave = os._exit
    try:
        main()
        sys.stdout.flush()
    finally:
        leave(0)  # nothing that the code has left behind runs any more

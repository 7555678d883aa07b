import ast
import os
import time
from pathlib import Path

import pytest

from minillm.programs import right_calls, run_python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no limits on Windows")

ENDLESS = ("while True: pass", "import time; time.sleep(60)", "while True: print('a' * 1000)")
REFUSED = (
    "import os\nwhile True: os.fork()",
    "import os; os.system('true')",
    "import subprocess; subprocess.run(['true'])",
    "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "import os; os.execv('/bin/true', ['true'])",
    "open('here', 'w')",
    "import os; os.open('here', os.O_CREAT | os.O_WRONLY)",
    "open('/etc/passwd').read()",
    "import os; os.listdir('/')",
    "import os; os.remove('here')",
    "import os; os.mkdir('here')",
    "import shutil; shutil.rmtree('/nowhere')",
    "import socket; socket.socket()",
    "import urllib.request; urllib.request.urlopen('http://localhost')",
    "import ctypes; ctypes.CDLL(None)",
    "import dbm.gnu; dbm.gnu.open('here', 'c')",
    "import dbm.ndbm; dbm.ndbm.open('here', 'c')",
    "import os; open(os.path.join(os.path.dirname(os.__file__), 'site-packages', 'README.txt'))",
    "import os; os.listdir(os.path.join(os.path.dirname(os.__file__), 'site-packages'))",
    "import os; os.kill(os.getppid(), 9)",
    "import os; os.killpg(0, 9)",
)
EARLY = (
    "import os; os._exit(0)",
    "import sys; sys.exit(0)",
    "raise SystemExit",
    "import os\nfor i in range(3, 30):\n    try: os.close(i)\n    except OSError: pass",
    "class E(BaseException):\n    def __str__(self): raise self\nraise E()",
)


@pytest.mark.parametrize("code", ENDLESS)
def test_what_never_ends_is_ended_in_time(code: str) -> None:
    started = time.monotonic()
    assert run_python(code, ["1"], timeout=0.5)[:3] == (
        "timeout", "more than 0.5 seconds", (None,)
    )  # fmt: skip
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("code", REFUSED)
def test_files_processes_sockets_and_signals_are_refused(code: str) -> None:
    outcome = run_python(code, ["1"])
    text = outcome.message + outcome.output
    assert outcome.kind in {"PermissionError", "URLError", "ImportError"}, outcome
    assert "not allowed here" in text
    assert outcome.values == (None,)


@pytest.mark.parametrize("code", ["x = [0] * 10**10", "x = []\nwhile True: x.append('a' * 10**6)"])
def test_memory_has_an_end(code: str) -> None:
    outcome = run_python(code, timeout=10)
    assert outcome.kind in {"MemoryError", "ended", "timeout"}
    assert outcome.seconds < 10


@pytest.mark.parametrize("code", EARLY)
def test_who_leaves_early_has_passed_nothing(code: str) -> None:
    outcome = run_python(f"def f(): return 1\n{code}", ["f()"])
    assert outcome.kind == "ended"
    assert not any(right_calls(outcome, [1]))


@pytest.mark.parametrize("call", ["mkfifo({0!r})", "mknod({0!r}, 0o100600)", "openpty()"])
def test_what_no_hook_is_told_of_is_not_there(call: str, tmp_path: Path) -> None:
    made = call.format(str(tmp_path / "here"))
    outcome = run_python("import os, posix", [f"os.{made}", f"posix.{made}"])
    assert [error and error[0] for error in outcome.errors] == ["AttributeError"] * 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ok", "timeout", "ended", "wrong value", "a" * 10**6])
def test_an_error_is_an_error_whatever_its_name(name: str) -> None:
    outcome = run_python(f"raise type({name!r}, (Exception,), {{}})('x')", ["1"])
    assert not outcome.ok
    assert outcome.message == "x"
    assert outcome.kind in {"Exception", "a" * 100}


def test_many_long_values_are_all_reported() -> None:
    outcome = run_python("x = '\U0001f600' * 9990", ["x"] * 30)
    assert outcome.ok
    assert set(outcome.values) == {repr("\U0001f600" * 9990)}


def test_a_program_may_define_a_dataclass_and_close_its_output() -> None:
    code = "import sys\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 7\n"
    outcome = run_python(code + "sys.stdout.close()", ["P().x"])
    assert outcome.values == ("7",)
    assert outcome.output == ""


def test_what_is_printed_cannot_look_like_a_value() -> None:
    code = 'print(\'{"rows": [{"value": "3"}]}\')\nimport os\nos._exit(0)'
    assert run_python(code, ["f()"]).values == (None,)


@pytest.mark.parametrize("report", ["[]", "5", '{"rows": 3}', '{"rows": [5]}', '{"error": 1}', "{"])
def test_a_spoiled_report_is_no_pass_and_no_traceback(report: str) -> None:
    code = (
        f"import os\nfor i in range(3, 20):\n    try: os.write(i, {report.encode()!r})\n"
        "    except OSError: pass\nos._exit(0)"
    )
    outcome = run_python(code, ["1"])
    assert outcome.values == (None,)
    assert outcome.kind == "ended"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f(:", "SyntaxError"),
        ("x = '\0'", "SyntaxError"),
        ("x = '\ud800'", "UnicodeEncodeError"),
        ("(" * 100_000, "SyntaxError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("input()", "EOFError"),
        ("打印('你好')", "NameError"),
        ("", "ok"),
        ("x = 1\n" * 30_000, "ok"),
    ],
)
def test_odd_code_has_a_plain_outcome(code: str, kind: str) -> None:
    assert run_python(code, timeout=10).kind == kind


def test_the_library_of_python_can_be_imported() -> None:
    names = "math re collections itertools functools json datetime random string heapq decimal"
    names += " fractions statistics typing dataclasses bisect operator textwrap copy enum"
    assert run_python("\n".join(f"import {name}" for name in names.split()), timeout=10).ok


def test_nothing_of_this_process_is_there() -> None:
    outcome = run_python(
        "import os, sys", ["dict(os.environ).get('HOME')", "sys.argv", "'minillm' in sys.modules"]
    )
    assert [ast.literal_eval(v or "") for v in outcome.values] == [None, [""], False]


def test_output_is_kept_up_to_the_limit() -> None:
    assert run_python("print('a' * 10**6)", output=100).output == "a" * 100
    assert run_python("print('é\\ud800')").kind == "UnicodeEncodeError"


def test_each_call_has_its_own_error() -> None:
    outcome = run_python("def f(x): return 1 / x", ["f(2)", "f(0)", "f(", "'a' * 10**5"])
    assert outcome.ok
    assert outcome.values == ("0.5", None, None, None)
    assert [error and error[0] for error in outcome.errors] == [
        None, "ZeroDivisionError", "SyntaxError", "ValueError"
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"memory": 0}, {"timeout": float("inf")}])
def test_limits_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        run_python("1", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="list of texts"):
        run_python("1", "f(1)")

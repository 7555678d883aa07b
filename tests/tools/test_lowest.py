"""Every dependency has a lower bound, and one command tries them all."""

from __future__ import annotations

import re
import sys
import tomllib

import yaml

from tools import lowest, setup_env
from tools.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROWS = [
    *PROJECT["dependencies"],
    *(row for extra in PROJECT["optional-dependencies"].values() for row in extra),
]


def test_every_dependency_has_a_lower_bound_and_no_other() -> None:
    for row in ROWS:
        assert re.fullmatch(r"[\w-]+>=[\d.]+|minillm\[[\w,]+\]", row), row


def test_a_dependency_has_one_bound() -> None:
    bounds = dict(row.split(">=") for row in ROWS if ">=" in row)
    assert all(f"{name}>={bound}" in ROWS for name, bound in bounds.items())
    for row in ROWS:
        name, _, bound = row.partition(">=")
        assert not bound or bounds[name] == bound, f"{name} has two bounds"


def test_the_oldest_releases_are_tried_with_the_oldest_python() -> None:
    _, install, _, test = lowest.steps(sys.executable)
    assert install[install.index("--resolution") + 1] == "lowest-direct"
    assert {"-r", "pyproject.toml", "--extra", "dev", "--no-build"} <= set(install)
    assert {"src", "tests"} <= set(test)
    workflow = yaml.safe_load((ROOT / ".github/workflows/lowest.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]["steps"]
    assert job[1]["with"]["python-version"] == ".".join(map(str, setup_env.OLDEST))
    assert job[-1]["run"] == "make lowest"


def test_the_first_failure_ends_it(monkeypatch, capsys) -> None:
    commands = [[sys.executable, "-c", f"raise SystemExit({code})"] for code in (0, 3, 4)]
    monkeypatch.setattr(lowest, "steps", lambda _: commands)
    monkeypatch.setattr(lowest.venv, "create", lambda *_, **__: None)
    assert lowest.main() == 3
    assert "SystemExit(4)" not in capsys.readouterr().out

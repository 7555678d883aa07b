"""Facts about the repository that no tool checks by itself."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml

import minillm
from tools import check
from tools.check import Result, Step
from tools.project import ROOT, repository_url, settings, site_url


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git repository")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def readers_of(pattern: str) -> list[str]:
    found = []
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if re.search(pattern.encode(), content):
            found.append(name)
    return found


def test_repository_url_stands_in_one_place() -> None:
    owner_and_name = "/".join(repository_url().split("/")[-2:])
    assert readers_of(re.escape(owner_and_name)) == ["_config.yml"]
    assert (ROOT / "_config.yml").read_text(encoding="utf-8").count(owner_and_name) == 1
    assert not readers_of(re.escape(site_url().removeprefix("https://")))


def test_lock_names_no_place() -> None:
    for name in ("requirements.txt", "package-lock.json"):
        assert not re.search(
            r'"resolved"|^-|file:|@ |==.*\+', (ROOT / name).read_text(), re.MULTILINE
        )


def test_no_script_or_style_is_linked_on_every_page() -> None:
    assert not (ROOT / "_static").exists()


def test_settings_keep_the_launch_button() -> None:
    sphinx = settings()["sphinx"]
    assert sphinx["recursive_update"] is True
    assert "launch_buttons" not in sphinx["config"]["html_theme_options"]
    assert settings()["launch_buttons"]["colab_url"]


def test_version_is_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == minillm.__version__ == version
    released = rf"^## \[{re.escape(version)}\] - {citation['date-released']}$"
    assert re.search(released, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_site_follows_from_the_repository() -> None:
    owner, name = repository_url().split("/")[-2:]
    assert site_url() == f"https://{owner}.github.io/{name}"


@pytest.mark.parametrize("name", ["ci", "book"])
def test_workflows_call_the_two_commands(name: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    yaml.safe_load(workflow)
    assert {"ci": ".ci/run", "book": "make book notebooks"}[name] in workflow


def test_check_goes_on_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> bool:
        raise SystemExit("no browser")

    steps = (Step("a", lambda: False), Step("b", stop), Step("c", lambda: True))
    monkeypatch.setattr(check, "STEPS", steps)
    assert check.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 passed, 2 failed"
    assert [line.split()[1] for line in lines[-5:-2]] == ["FAILED", "FAILED", "passed"]
    assert check.main(["c"]) == 0


def test_check_without_steps_fails() -> None:
    assert check.main(["no such step"]) == 1


def test_table_counts_results() -> None:
    assert check.table([Result("a", True, 1.0)]).endswith("1 passed, 0 failed")


def test_missing_browser_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check.browser, "find", lambda: None)
    monkeypatch.setattr(check.browser, "install", lambda: None)
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert not check.run_step(Step("pages", check.pages)).passed

"""The trial in Colab's environment: its pins, what it finds, and what it makes of a notebook."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.colab import __main__ as colab
from tools.colab import environment, image, install, trial
from tools.colab.environment import Environment, NoEnvironmentError
from tools.colab.trial import Trial
from tools.project import ROOT, chapters

# The pins -------------------------------------------------------------------------------------


def test_pins_say_when_they_were_read_and_hold_what_matters() -> None:
    pinned = image.load()
    assert (pinned.read, pinned.python) == ("2026-08-19", "3.13")
    for name, version in {
        "torch": "2.11",
        "numpy": "2.1",
        "ipython": "7.34",
        "ipykernel": "6.17",
        "ipywidgets": "7.7",
        "traitlets": "5.7",
        "anywidget": "0.9",
        "transformers": "5.15",
        "tokenizers": "0.22",
        "scikit-learn": "1.6",
        "matplotlib": "3.10",
    }.items():
        assert pinned.packages[name].startswith(version + ".")
    lines = [line for line in image.IMAGE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(pinned.packages)  # no line is passed over, none is there twice


def test_pins_without_a_day_are_refused(tmp_path: Path) -> None:
    (tmp_path / "image.txt").write_text("# python: 3.13\nnumpy==2.1.3\n")
    with pytest.raises(ValueError, match=r"image\.txt has no line \['read'\]"):
        image.load(tmp_path / "image.txt")


def test_changes_are_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned, listed = tmp_path / "image.txt", tmp_path / "list.txt"
    pinned.write_text(
        "# read: 2026-01-01\n# python: 3.13\nnumpy==2.1.3\nPyYAML==6.0\ntorch==2.11.0\n"
    )
    listed.write_text("# Do not modify\nnumpy==2.2.0\npyyaml==6.0\nother @ file:///x\n")
    monkeypatch.setattr(image, "IMAGE", pinned)
    monkeypatch.setattr(image, "load", lambda path=pinned: original(path))
    assert image.main(["--list", str(listed)]) == 0
    assert capsys.readouterr().out == "numpy 2.1.3 -> 2.2.0\n"
    assert image.main(["--list", str(listed), "--write"]) == 0
    written = original(pinned)
    assert written.packages == {"numpy": "2.2.0", "pyyaml": "6.0", "torch": "2.11.0"}
    assert written.read > "2026-01-01"
    assert "PyYAML==6.0" in pinned.read_text()


original = image.load

# The environment ------------------------------------------------------------------------------


def test_the_named_interpreter_is_taken_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    here = "{}.{}".format(*sys.version_info[:2])
    assert environment.version_of(sys.executable) == here
    assert environment.version_of("/no/such/python") is None
    assert environment.interpreter(here, sys.executable) == sys.executable
    assert capsys.readouterr().out == ""
    with pytest.raises(NoEnvironmentError, match="/no/such/python"):
        environment.interpreter(here, "/no/such/python")


def test_another_python_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment.shutil, "which", lambda _name: None)
    assert environment.interpreter("3.99") == sys.executable
    said = capsys.readouterr().out
    assert "Colab has Python 3.99. It was not found here" in said
    assert "make colab COLAB_PYTHON=" in said


def test_an_environment_of_the_same_pins_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(environment, "interpreter", lambda *_: sys.executable)
    monkeypatch.setattr(environment, "_install", lambda *_: installed.append("all"))
    made = environment.build(tmp_path / "env")
    environment.build(tmp_path / "env")
    assert installed == ["all"]
    assert "pip" in made.packages()
    assert made.complaints() == set()
    monkeypatch.setattr(environment, "stamp", lambda _python: "other pins")
    environment.build(tmp_path / "env")
    assert installed == ["all", "all"]


# A trial --------------------------------------------------------------------------------------


def exported() -> Any:
    first = install.install_cell(new_notebook(), "abc123")
    first.outputs = [new_output("stream", text="old")]
    solved = new_markdown_cell("<details>\n\n```python\nx = 1\n```\n\n</details>", id="s")
    solved.metadata["minillm"] = {"solution": "Exercise 1"}
    return new_notebook(cells=[new_markdown_cell("# T"), first, solved], metadata={"widgets": {}})


def test_a_notebook_is_run_from_the_wheel_twice_installed_and_solved(tmp_path: Path) -> None:
    done = trial.prepare(exported(), tmp_path / "minillm 1.whl")
    codes = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.id for cell in codes] == ["install", "install-again", "s-0"]
    assert f'"minillm @ "\n    "{(tmp_path / "minillm%201.whl").as_uri().replace("%25", "%")}"' in (
        codes[0].source
    )
    assert "git+" not in codes[0].source
    assert codes[1].source == codes[0].source
    assert codes[2].source == "x = 1"
    assert codes[0].outputs == []
    assert "widgets" not in done.metadata


def test_a_cell_without_a_commit_is_refused() -> None:
    with pytest.raises(ValueError, match="names 0 commits"):
        trial.with_wheel("%pip install minillm", Path("x.whl"))


class Pretended(Environment):
    """An environment whose pip does what the test says."""

    def packages(self) -> dict[str, str]:
        return next(PACKAGES)

    def complaints(self) -> set[str]:
        return next(COMPLAINTS)

    def pip(self, *arguments: str, **_options: bool) -> Any:
        CALLED.append(arguments)


PACKAGES: Any = iter(())
COMPLAINTS: Any = iter(())
CALLED: list[tuple[str, ...]] = []


def tried(
    monkeypatch: pytest.MonkeyPatch,
    after: dict[str, str],
    *,
    said: tuple[str, str] = ("This took 12 seconds", "nothing to do"),
    complaints: set[str] = frozenset(),  # type: ignore[assignment]
    error: str | None = None,
) -> Trial:
    def execute(notebook: Any, _name: str, _empty: Path) -> list[str]:
        for name, text in zip(("install", "install-again"), said, strict=True):
            cell = next(cell for cell in notebook.cells if cell.id == name)
            cell.outputs = [new_output("stream", text=text)]
        return [error] if error else []

    CALLED.clear()
    monkeypatch.setitem(globals(), "PACKAGES", iter([{"numpy": "2.1.3"}, after]))
    monkeypatch.setitem(globals(), "COMPLAINTS", iter([{"ipython needs jedi"}, complaints]))
    monkeypatch.setattr(trial, "_execute", execute)
    return trial.run("order", exported(), Pretended(Path("env")), Path("m.whl"))


def test_what_is_only_added_passes_and_is_taken_away_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done = tried(monkeypatch, {"numpy": "2.1.3", "minillm": "0.1.0"})
    assert (done.added, done.installing, done.faults) == (["minillm 0.1.0"], 12, [])
    assert CALLED == [("uninstall", "--yes", "minillm")]


@pytest.mark.parametrize(
    ("after", "options", "fault"),
    [
        ({"numpy": "2.4.0"}, {}, "it replaced numpy 2.1.3 -> 2.4.0"),
        ({}, {}, "it replaced numpy 2.1.3 -> gone"),
        ({"numpy": "2.1.3"}, {"complaints": {"x needs y"}}, "pip check: x needs y"),
        ({"numpy": "2.1.3"}, {"said": ("error", "")}, "the first cell did not install: error"),
        (
            {"numpy": "2.1.3"},
            {"said": ("This took 9 seconds", "This took 9 seconds")},
            "the first cell does not know the second time that all is there",
        ),
        ({"numpy": "2.1.3"}, {"error": "cell 'a' failed"}, "cell 'a' failed"),
    ],
)
def test_each_fault_is_said(
    monkeypatch: pytest.MonkeyPatch, after: dict[str, str], options: Any, fault: str
) -> None:
    assert tried(monkeypatch, after, **options).faults == [fault]


def test_what_is_fetched_must_be_what_the_notebook_says(tmp_path: Path) -> None:
    notebook = trial.prepare(exported(), tmp_path / "m.whl")
    for cell, text in zip(
        notebook.cells[1:3], ("This took 2 seconds", "nothing to do"), strict=True
    ):
        cell.outputs = [new_output("stream", text=text)]
    (tmp_path / "cache" / "bible-bbe").mkdir(parents=True)
    (tmp_path / "cache" / "stories").mkdir()  # made, not fetched
    done = Trial("order")
    trial._judge(done, notebook, tmp_path / "cache", [])
    assert done.faults == ["it fetched ['bible-bbe'], but says that it fetches []"]
    done = Trial("order")
    trial._judge(done, notebook, tmp_path / "cache", ["bible-bbe"])
    assert done.faults == []


@pytest.mark.slow
def test_a_kernel_that_takes_itself_for_colab(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    trial._kernel(Environment(Path(sys.prefix)), tmp_path)
    asked = "import os, sys; from google.colab import output; print(sorted(os.listdir()))"
    asked += "\nimport importlib.util\nassert importlib.util.find_spec('google.colab')"
    notebook = new_notebook(cells=[new_code_cell(asked), new_code_cell("1 / 0", id="wrong")])
    faults = trial._execute(notebook, "order", tmp_path / "content")
    assert notebook.cells[0].outputs[0].text == "[]\n"
    assert len(faults) == 1
    assert "cell 'wrong' failed" in faults[0]
    assert "\x1b" not in faults[0]


# The report -----------------------------------------------------------------------------------


def test_the_report_says_what_differs_and_what_failed() -> None:
    packages = {**image.load().packages, "numpy": "2.1.4", "jedi": "0.20"}
    text = colab.report([Trial("order", faults=["it broke"])], packages, {"a needs b"})
    assert "numpy 2.1.3 -> 2.1.4" in text
    assert "Not in the list, but needed by them: jedi." in text
    assert "pip check before: a needs b." in text
    assert "| order | 0 | 0 | nothing | FAILED |" in text
    assert "**order**: it broke" in text


def test_chapters_are_chosen_by_name() -> None:
    assert colab.chosen([]) == chapters()
    assert [path.stem for path in colab.chosen(["order"])] == ["order"]
    with pytest.raises(SystemExit, match=r"No chapter is called 'disorder': .*order"):
        colab.chosen(["disorder"])


def test_the_workflow_runs_it_weekly_on_colabs_python() -> None:
    text = (ROOT / ".github" / "workflows" / "colab.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow[True]["schedule"]  # YAML reads `on` as a truth value
    assert f"COLAB_PYTHON=python{image.load().python}" in text
    assert "tools.colab.image" in text

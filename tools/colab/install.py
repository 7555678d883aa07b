"""The first code cell of an exported notebook: it installs the package, and replaces nothing.

What it asks for is what this chapter imports and no more. The versions of everything that is
installed go to pip as constraints, so pip adds or refuses, but never replaces. The package is
pinned to a commit: a copy that someone keeps goes on running with the package of its own text.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell

from minillm.hub.artefacts import ARTEFACTS
from tools.project import ROOT, repository_url, settings

WINGS = {"minillm.plot": "plot", "minillm.widgets": "widgets"}  # wing -> extra that it needs
PACKAGES = {  # module -> package, where they differ
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "rouge_score": "rouge-score",
}
CORPORA = {  # function of `minillm.corpora` -> artefacts that it fetches; {} is its argument
    "reviews": ("vader-reviews",),
    "bible": ("bible-{}",),
    "verse_pairs": ("bible-kjv", "bible-bbe"),
    "geo_facts": ("geo-facts",),
    "mails": ("spam-assassin",),
    "pronunciations": ("cmu-pronunciations",),
    "chatterbot_dialogues": ("chatterbot-dialogues",),
}
INSTALL = """\
# @title Install the book's package (adds what is missing, replaces nothing)
import importlib.metadata
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

WANTED = [
{wanted}
]


def installed():
    found = reversed(list(importlib.metadata.distributions()))  # the first of a name counts
    return {{d.metadata["Name"]: d.version for d in found if d.metadata["Name"]}}


quoted = " ".join(f'"{{line}}"' for line in WANTED)
if importlib.util.find_spec("minillm"):
    print("minillm", importlib.metadata.version("minillm"), "is installed: nothing to do.")
elif "google.colab" in sys.modules:
    before, start = installed(), time.perf_counter()
    keep = Path(tempfile.mkdtemp(), "installed.txt")
    keep.write_text("\\n".join(f"{{name}}=={{version}}" for name, version in before.items()))
    # What is there already would fill pages; what else pip says stays, as Colab reads it too.
    %pip install --progress-bar off --constraint {{keep}} {{quoted}} | grep -v 'already satisfied'
    importlib.invalidate_caches()
    added = [f"{{name}} {{version}}" for name, version in installed().items() if name not in before]
    print("Added:", ", ".join(sorted(added)) or "nothing; see the error above")
    print(f"This took {{time.perf_counter() - start:.0f}} seconds.")
else:
    print(f"minillm is not in the environment {{sys.prefix}}. To add it there, run in a cell:")
    print("%pip install", quoted)
"""


def commit(root: Path = ROOT) -> str:
    """The commit that is checked out; in an unpacked archive, which has none, the book's branch."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return str(settings()["repository"]["branch"])
    return str(settings()["repository"]["branch"]) if done.returncode else done.stdout.strip()


@cache
def _optional(root: Path) -> dict[str, str]:
    """Every optional requirement of the package by its name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for extra in project["optional-dependencies"].values() for line in extra]
    named = {re.split(r"[\[<>=~!; ]", line)[0]: line for line in lines}
    return {name: line for name, line in named.items() if name != project["name"]}


def _trees(notebook: Any) -> list[ast.AST]:
    codes = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    return [
        ast.parse(re.sub(r"^([ \t]*)[%!].*$", r"\1pass", code, flags=re.MULTILINE))
        for code in codes
    ]


def imports(notebook: Any) -> set[str]:
    """Full names of the modules that a notebook imports, also those taken out of a package."""
    found = set()
    for tree in _trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def requirements(notebook: Any, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """What a chapter needs: extras of the package, and packages that only the chapter imports."""
    names = imports(notebook)
    extras = [extra for wing, extra in WINGS.items() if wing in names]
    tops = {name.partition(".")[0] for name in names}
    packages = {PACKAGES.get(top, top) for top in tops}
    optional = {name: line for name, line in _optional(root).items() if name in packages}
    of_plot = {"matplotlib"} if "plot" in extras else set()
    return extras, sorted(line for name, line in optional.items() if name not in of_plot)


def fetched(notebook: Any) -> list[str]:
    """The artefacts that a chapter fetches, from the names with which it asks for them."""
    found = set()
    for tree in _trees(notebook):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = getattr(node.args[0], "value", None) if node.args else None
            if called in CORPORA:
                found |= {name.format(first or "bbe") for name in CORPORA[called]}
            elif first in ARTEFACTS:
                found.add(first)
    return sorted(found)


def megabytes(names: list[str]) -> int:
    """How much is fetched for these artefacts."""
    return round(sum(ARTEFACTS[name].archive_size for name in names) / 1e6)


def source(notebook: Any, revision: str, root: Path = ROOT) -> str:
    """The code of the install cell."""
    extras, packages = requirements(notebook, root)
    named = f"minillm[{','.join(extras)}]" if extras else "minillm"
    lines = [f'    "{named} @ "\n    "git+{repository_url(root)}"\n    "@{revision}",']
    lines += [f'    "{line}",' for line in packages]
    return INSTALL.format(wanted="\n".join(lines)).rstrip()


def install_cell(notebook: Any, revision: str, root: Path = ROOT) -> Any:
    """The first code cell: it installs `minillm` from the repository unless it is installed."""
    cell = new_code_cell(source(notebook, revision, root), id="install")
    cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    return cell

"""The package as a whole: small parts, a documented public surface (its wings: pyproject.toml)."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minillm

ROOT = Path(minillm.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_parts_are_small(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250, file.name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            code = len(ast.unparse(_without_docstring(node)).splitlines())
            assert code <= 40, f"{node.name} has {code} lines"


def _without_docstring(node: ast.FunctionDef) -> ast.FunctionDef:
    if ast.get_docstring(node):
        node.body = node.body[1:] or [ast.Pass()]
    return node


def test_public_names_are_sorted_and_exist():
    # ruff's order: constants, then classes, then functions, each from a to z
    kinds = {
        name: 0 if name.isupper() else 1 if name[0].isupper() else 2 for name in minillm.__all__
    }
    assert minillm.__all__ == sorted(kinds, key=lambda name: (kinds[name], name))
    for name in minillm.__all__:
        assert hasattr(minillm, name), name


@pytest.mark.parametrize("name", minillm.__all__)
def test_public_names_are_documented(name):
    item = getattr(minillm, name)
    if not callable(item):
        return
    doc = inspect.getdoc(item) or ""
    first = doc.splitlines()[0] if doc else ""
    assert 10 < len(first) <= 100, f"{name}: {first!r}"
    if inspect.isfunction(item) or inspect.isclass(item):
        assert "Book:" in doc or name in {"State", "LanguageModel"}, f"{name} names no chapter"


def test_import_costs_torch_and_nothing_else():
    heavy = ["matplotlib", "anywidget", "transformers", "IPython", "sklearn", "gguf", "tokenizers"]
    code = f"import minillm, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The package as a whole: layers without cycles, small parts, a documented public surface."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minillm

ROOT = Path(minillm.__file__).parent
LAYERS = [
    set(names.split())
    for names in (
        "config tokenizer ngram data artefacts device verses source results large_pages linear",
        "int8 table_check hub norm ffn position state chat wordpiece counting history ema",
        "parallel trained int4",
        "muon",
        "attention recurrent corpora sampling objectives evaluation train_config",
        "transformer optim checkpoint generate beam distributed stories remote",
        "models shards",
        "runs",
        "trainer",
        "weights classifier tracing heads callbacks prefix",
        "sentences model_folder catalogue",
        "load run_config",
        "run_card",
        "training_run",
        "plot widgets",
        "cli",
        "__init__ __main__",
    )
]
FILES = sorted(ROOT.rglob("*.py"))


def module_of(file: Path) -> str:
    return file.relative_to(ROOT).with_suffix("").parts[0]


def imported(file: Path) -> set[str]:
    """Top-level modules of minillm that a file imports."""
    found = set()
    package = list(file.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = (node.module or "").split(".")
        if node.level:
            path = package[: len(package) - node.level + 1] + (name if node.module else [])
        elif name[0] == "minillm":
            path = name[1:]
        else:
            continue
        found |= {path[0]} if path else {alias.name for alias in node.names}
    return found - {module_of(file)}


def test_every_module_has_a_layer():
    placed = [name for layer in LAYERS for name in layer]
    assert sorted(placed) == sorted({module_of(file) for file in FILES})


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down_only(file):
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    own = level[module_of(file)]
    upward = [name for name in imported(file) if level.get(name, own) >= own]
    assert not upward, f"{file.name} (layer {own}) imports {upward}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_parts_are_small(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 260, file.name
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

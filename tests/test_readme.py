"""What the documents tell a newcomer to do can be done."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "book/index.md", "book/appendix/environment.md")
GUIDES = tuple(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("contributing/*.md")))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


BLOCKS = re.findall(r"^```python\n(.*?)^```", read("README.md"), re.MULTILINE | re.DOTALL)


def test_readme_shows_code():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_of_the_readme_runs(block):
    assert "assert" in block
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *GUIDES])
def test_links_lead_to_files(name):
    text = re.sub(r"^(`{3,}).*?^\1", "", read(name), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(((?!https?:|#)[^)\s]+)\)", text)
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", [*DOCUMENTS, *GUIDES])
def test_commands_exist(name):
    text = read(name)
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ )make ([a-z]+)", text, re.MULTILINE))
    assert named or name in GUIDES
    assert named <= targets
    modules = re.findall(r"-m (tools\.\w+)", text)
    places = {module: ROOT / module.replace(".", "/") for module in modules}
    assert [
        module
        for module, place in places.items()
        if not place.with_suffix(".py").exists() and not (place / "__main__.py").exists()
    ] == []

"""What the programs of the source articles run into, in programs of our own of the same shape."""

from __future__ import annotations

import ast
from importlib import metadata

import pytest
import transformers
from packaging.specifiers import SpecifierSet
from torch import nn


def test_an_exclamation_mark_is_no_python() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("!pip --version\nimport ast")


def test_three_dots_are_no_size() -> None:
    size = ...
    with pytest.raises(TypeError):
        nn.Embedding(size, 8)  # type: ignore[arg-type]


def test_the_library_has_no_tensorflow_models() -> None:
    assert hasattr(transformers, "GPT2LMHeadModel")
    assert not hasattr(transformers, "TFGPT2LMHeadModel")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_the_pythons_of_the_articles_are_too_old(package: str) -> None:
    wanted = SpecifierSet(metadata.metadata(package)["Requires-Python"])
    assert "3.14" in wanted
    assert "3.7" not in wanted
    assert "3.8" not in wanted

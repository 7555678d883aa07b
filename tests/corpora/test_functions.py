"""Functions of the standard library: code that runs, no docstring, no module in two parts."""

import ast
import re

import pytest

from minillm.corpora import Function, split_of, stdlib_functions
from tools import stdlib_functions as cutting


def everything(corpus):
    return [*corpus.train, *corpus.validation, *corpus.test]


@pytest.fixture(scope="module")
def found():
    return everything(stdlib_functions())


def test_code_is_one_function_of_that_name_without_docstring(found):
    assert len(found) > 2500
    for function in found:
        assert isinstance(function, Function)
        (node,) = ast.parse(function.code).body
        assert isinstance(node, cutting.Definition)
        assert node.name == function.name.rpartition(".")[2]
        assert not ast.get_docstring(node)
        assert function.summary not in function.code.partition("\n")[0]
        assert 2 <= len(function.code.split("\n")) <= cutting.MAX_LINES
        assert not isinstance(node.body[0], ast.Pass) or len(node.body) > 1


def test_summaries_are_whole_lines(found):
    for function in found:
        assert len(function.summary.split()) >= 3
        assert "\n" not in function.summary
        assert not re.match(r"\w+\(", function.summary)


def test_known_functions(found):
    by_name = {function.name: function for function in found}
    assert by_name["bisect.insort_right"].summary.startswith("Insert item x in list a")
    push = by_name["heapq.heappush"]
    assert push.summary == "Push item onto heap, maintaining the heap invariant."
    assert push.code.startswith("def heappush(heap, item):\n    heap.append(item)\n")
    assert push.text == f"# {push.summary}\n{push.code}"
    assert by_name["asyncio.queues.Queue.get"].code.startswith("async def get(self):\n")
    assert by_name["threading.Thread.name"].code.startswith("@property\ndef name(self):\n")


def test_nothing_stands_twice(found):
    assert len({re.sub(r"\s+", " ", f.code) for f in found}) == len(found)
    assert len({(f.name.rpartition(".")[2], f.summary) for f in found}) == len(found)


def test_no_module_is_torn_and_the_split_is_fixed():
    corpus = stdlib_functions()
    for name in ("train", "validation", "test"):
        modules = {f.name.partition(".")[0] for f in getattr(corpus, name)}
        assert {split_of(f"stdlib/{module}") for module in modules} == {name}
        assert len(modules) > 10
    assert [split_of(f"stdlib/{m}") for m in ("heapq", "random", "difflib")] == [
        "train", "validation", "test",
    ]  # fmt: skip


def test_tests_and_other_peoples_packages_are_not_the_library(found):
    parts = {part for f in found for part in f.name.split(".")[:-1]}
    assert not parts & {"site-packages", "test", "tests", "idlelib", "distutils", "pytest"}


def test_the_card_says_which_version_it_is():
    card = stdlib_functions().card
    assert "Python 3.11.7" in card.origin
    assert f"{len(stdlib_functions()):,} functions" in card.size

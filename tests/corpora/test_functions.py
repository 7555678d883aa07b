"""Functions of the standard library: code that runs, no docstring, no module in two parts."""

import ast
import re

import pytest

from minillm.corpora import Function, functions, split_of, stdlib_functions


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
        assert isinstance(node, functions.Definition)
        assert node.name == function.name.rpartition(".")[2]
        assert not ast.get_docstring(node)
        assert function.summary not in function.code.partition("\n")[0]
        assert 2 <= len(function.code.split("\n")) <= functions.MAX_LINES
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


def read(tmp_path, source, name="string.py"):
    (tmp_path / name).write_text(source, encoding="utf-8")
    return list(functions._read(tmp_path / name, tmp_path))


def test_what_is_cut_out_of_a_file(tmp_path):
    source = '''"""A module.\f"""
\f
class Box:
    @property
    def size(self):
        """Return how many things it holds.

        More about it.
        """

        # counted when asked

        return len(self.things)
\f
    def empty(self):
        """Say whether nothing is in it."""
        pass

def cut(self):
    """This sentence goes on in
    the next line."""
    return 1
def short(): "Return the answer of it."; return 42
def called(x):
    """called(x) -> a number, as a signature"""
    return x
def odd():
    """Return a text at the margin."""
    if True:
        return """
at the margin"""
'''
    size, odd = read(tmp_path, source)
    assert size == Function(
        "string.Box.size",
        "@property\ndef size(self):\n    # counted when asked\n\n    return len(self.things)",
        "Return how many things it holds.",
    )
    assert odd.name == "string.odd"
    inside = (
        "class A:\n    def f(self):\n        '''Return a long text.'''\n        return '''a\nb'''\n"
    )
    plain = 'def f(x):\n    """Return the double of it."""\n    return 2 * x\n'
    assert len(read(tmp_path, plain)) == 1
    assert read(tmp_path, plain, "no_module_of_python.py") == []
    assert read(tmp_path, inside) == [], "its code cannot be moved to the margin"


def test_the_card_says_that_versions_differ():
    card = stdlib_functions().card
    assert "differs between Python versions" in card.faults
    assert f"{len(stdlib_functions()):,} functions" in card.size

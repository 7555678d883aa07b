"""Which cells the device matters to, read off their source."""

import pytest

from tests.pretend.cells import Names, needed

SETUP = "import torch\nimport minillm\ndevice = minillm.best_device()\ntorch.manual_seed(0)"


@pytest.mark.parametrize(
    ("source", "read", "made", "changed"),
    [
        ("y = f(x) + 1", {"f", "x"}, {"y"}, set()),
        ("x = x + 1", {"x"}, {"x"}, set()),
        ("for name in names:\n    print(name)", {"names"}, {"name"}, set()),
        ("y = [a for a in b if a]", {"b"}, {"y"}, set()),
        ("def f(a, k=K):\n    c = a + G\n    return c", {"K", "G"}, {"f"}, set()),
        ("rows.append(x)", {"rows", "x"}, set(), {"rows"}),
        ("table[key] = x", {"table", "key", "x"}, set(), {"table"}),
        ("with open(p) as f:\n    t = f.read()", {"p"}, {"f", "t"}, set()),
        ("try:\n    f()\nexcept E as e:\n    print(e)", {"f", "E"}, {"e"}, set()),
    ],
)
def test_the_names_of_a_cell(source, read, made, changed):
    names = Names.of(source)
    assert (names.read, names.made, names.changed) == (read, made, changed)


def test_a_chapter_that_never_uses_the_device_needs_no_cell():
    assert needed([SETUP, "x = torch.ones(3)", "print(x)"]) == [False] * 3


def test_what_the_device_does_not_matter_to_is_left_out():
    cells = [
        SETUP,
        "counts = [1, 2]",  # needed by the model
        "table = sum(counts)",  # by nobody
        "model = torch.ones(len(counts), device=device)",
        "found = []",
        "found.append(model.sum())",
        "print(found)",
        "model = torch.ones(3)",  # another one, on the CPU
        "print(model)",
    ]
    expected = [True, True, False, True, True, True, True, False, False]
    assert needed(cells) == expected


def test_a_function_needs_what_is_made_after_it():
    cells = [SETUP, "def f():\n    return later.to(device)", "later = torch.ones(2)", "f()"]
    assert needed(cells) == [True] * 4

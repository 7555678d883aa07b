"""The shipped texts are what their maker makes, and it runs with its own versions alone."""

import json
from datetime import date

import pytest

from minillm.corpora import Function, cldr, shipped
from minillm.corpora.dates import _ENGLISH
from minillm.corpora.shipped import SHA256
from tools import ship_corpora, stdlib_functions

OURS = ship_corpora.versions() == shipped.MADE_WITH
theirs = pytest.mark.skipif(not OURS, reason=f"needs {shipped.MADE_WITH}")
DAYS = [date(1999, 12, 5), date(2024, 2, 29), date(2031, 7, 11), date(2000, 10, 21)]


def read(tmp_path, source, name="string.py"):
    (tmp_path / name).write_text(source, encoding="utf-8")
    return list(stdlib_functions.functions_in(tmp_path / name, tmp_path))


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


@theirs
@pytest.mark.slow
def test_the_files_are_what_is_made_here():
    made = json.loads(json.dumps(ship_corpora.contents()))
    assert made.keys() == SHA256.keys() - {"book_passages"}  # of another tool
    for name, content in made.items():
        assert content == shipped.shipped(name), name


@theirs
def test_every_locale_writes_dates_as_babel_does():
    theirs = ship_corpora.dates
    for locale in shipped.shipped("cldr_dates"):
        for pattern in (*cldr.patterns(locale), *(_ENGLISH if locale == "en" else ())):
            for day in DAYS:
                text = cldr.format_date(day, pattern, locale)
                assert text == theirs.format_date(day, pattern, locale), (locale, pattern)


def test_another_version_makes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(ship_corpora, "versions", lambda: {"python": "3.99.0"})
    monkeypatch.setattr(ship_corpora, "contents", None)
    assert ship_corpora.main() == 1
    message = capsys.readouterr().err
    assert "3.99.0" in message
    assert "'python': '3.11.7'" in message

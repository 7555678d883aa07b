import pytest

from minillm import Attention, explicit_attention
from minillm.notebook import show_source
from minillm.results import load


def test_shows_code_without_docstrings():
    text = repr(show_source(explicit_attention))
    assert "scores = q @ k.mT / math.sqrt(q.shape[-1])  # (..., H, T, S)" in text
    assert '"""' not in text
    assert repr(show_source(Attention)).startswith("class Attention(nn.Module):\n    kernel:")


def test_notebooks_get_highlighted_code():
    markdown = show_source(explicit_attention)._repr_markdown_()
    assert markdown.startswith("```python\ndef explicit_attention(")
    assert markdown.endswith("\n```")


def test_what_is_shown_is_valid_python():
    compile(repr(show_source(Attention)), "shown", "exec")


# fmt: off
class Crowded:
    """A class whose docstring has no blank line after it."""
    value = 3
# fmt: on


def test_only_a_blank_line_goes_with_a_docstring():
    assert repr(show_source(Crowded)) == "class Crowded:\n    value = 3"


def test_builtins_have_no_source():
    with pytest.raises(ValueError, match="no Python source"):
        show_source(len)


def test_unknown_results_list_the_known_ones():
    with pytest.raises(ValueError, match="no stored results 'nothing'; there are "):
        load("nothing")

"""What a model costs: Python against real models, the page against Python, without a kernel."""

import itertools
import re
from dataclasses import replace

import pytest
import torch

from minillm import SMOLLM2_135M, CausalLM, count_parameters, kv_bytes_per_token, widgets
from minillm.widgets.model_size import PRESETS
from tests.widgets.test_widgets_browser import AXE, document, load

TINY = {"vocab_size": 50, "d_model": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 40}
DTYPES = {32: torch.float32, 16: torch.bfloat16}


@pytest.mark.parametrize("sizes", [*PRESETS.values(), TINY])
def test_counts_are_those_of_the_model(sizes):
    view, config = widgets.ModelSize({"it": sizes}, context=100), replace(SMOLLM2_135M, **sizes)
    with torch.device("meta"):
        assert view.parameters() == count_parameters(CausalLM(config))
    for bits, dtype in DTYPES.items():
        view.bits = bits
        assert view.cache_bytes() == 100 * kv_bytes_per_token(config, dtype)
        assert view.weight_bytes() == view.parameters() * dtype.itemsize
    view.conversations = 3
    assert view.cache_bytes() == 300 * kv_bytes_per_token(config, torch.bfloat16)


def test_operations_grow_with_the_context():
    view = widgets.ModelSize({"it": TINY}, context=1)
    before = view.flops()
    view.context = 11
    assert view.flops() - before == 4 * 2 * 10 * 24
    assert view.training_bytes() == 16 * view.parameters()


@pytest.mark.parametrize(
    ("models", "change", "message"),
    [
        ({"it": TINY}, {"model": "they"}, "model is 'they', but the choices are 'it'"),
        ({"it": TINY}, {"context": 0}, "context is 0, but must lie between 1 and 131072"),
        ({"it": TINY}, {"conversations": 257}, "conversations is 257, .* between 1 and 256"),
        ({"it": TINY}, {"bits": 5}, "bits is 5, but the choices are"),
        ({"it": {**TINY, "d_ff": 0}}, {}, "it: d_ff is 0, but must be at least 1"),
        ({"it": {**TINY, "n_heads": 5}}, {}, "it: d_model=24 is not a multiple of n_heads=5"),
        ({"it": {**TINY, "n_kv_heads": 3}}, {}, "n_heads=4 is not a multiple of n_kv_heads=3"),
        ({"it": {"d_ff": 3}}, {}, "it has the sizes .*'d_ff'.*, wanted are"),
    ],
)
def test_bad_input_is_named(models, change, message):
    with pytest.raises(ValueError, match=message):
        widgets.ModelSize(models, **change)


def test_fallback_tells_the_costs_of_each_model():
    fallback = widgets.ModelSize().fallback()
    assert [row[0] for row in fallback.rows] == list(PRESETS)
    assert fallback.rows[0] == ("SmolLM2-135M", "135", "269", "189")
    assert "1 conversation(s) of 8,192 tokens" in fallback.sentence


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000: open_page(
        document({"costs": view}, theme), width=width
    )


def value(page, name):
    return page.locator(".xp-costs tr", has_text=re.compile(f"^{name}")).locator("td").inner_text()


def test_arithmetic_is_python_s(show):
    view = widgets.ModelSize()
    page = show(view)
    load(page, view)
    for sizes, context, talks, bits in itertools.product(
        [*PRESETS.values(), TINY], (1, 8192), (1, 7), (4, 16)
    ):
        expected = widgets.ModelSize({"it": sizes}, context=context, conversations=talks, bits=bits)
        found = page.evaluate(
            "([c, t, n, b]) => module.costs(c, t, n, b)", [sizes, context, talks, bits]
        )
        assert found["parameters"] == expected.parameters()
        assert found["weights"] == expected.weight_bytes()
        assert found["cache"] == expected.cache_bytes()
        assert found["flops"] == expected.flops()
        assert found["training"] == expected.training_bytes()


def test_first_sight_and_the_choice_of_a_model(show):
    page = show(widgets.ModelSize())
    assert value(page, "parameters") == "135 million"
    assert value(page, "weights") == "269 MB"
    assert value(page, "KV cache") == "189 MB"
    page.get_by_role("combobox", name="Model").select_option("SmolLM2-1.7B")
    assert value(page, "parameters") == "1.71 billion"
    page.get_by_role("button", name="Reset").press("Enter")
    assert value(page, "parameters") == "135 million"


def test_sliders_answer_the_keyboard(show):
    page = show(widgets.ModelSize())
    sets = page.get_by_role("slider", name="Sets of keys and values K")
    sets.press("ArrowRight")  # 9 heads: 1, 3 or 9 sets
    assert sets.get_attribute("aria-valuetext") == "9 for 9 heads"
    assert value(page, "KV cache") == "566 MB"
    assert page.get_by_role("combobox", name="Model").input_value() == ""
    page.get_by_role("slider", name="Conversations at once").press("ArrowRight")
    assert value(page, "KV cache") == "1.13 GB"
    page.get_by_role("slider", name="Tokens of each").press("Home")
    assert value(page, "KV cache") == "138 kB"
    page.get_by_role("radio", name="8", exact=True).press(" ")
    assert value(page, "weights").endswith("MB")
    width = page.get_by_role("slider", name="Width D")
    width.press("ArrowRight")
    assert width.get_attribute("aria-valuetext") == "640"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(widgets.ModelSize(), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []

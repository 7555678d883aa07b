"""A sampler on a whole distribution: Python against the package, the page against Python."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm import Sampling, apply_filters, widgets
from minillm.widgets.sampler import ROWS
from tests.widgets.test_widgets_browser import AXE, document, load

SIZE = 3000
RAW = {
    name: spread * torch.randn(SIZE, generator=torch.Generator().manual_seed(i)).double()
    for i, (name, spread) in enumerate({"open": 2.5, "sure": 5.0}.items())
}
CASES = list(
    itertools.product((0.1, 0.7, 1.0, 3.0), (0, 1, 50, 1000), (0.01, 0.6, 0.95, 1.0), (0, 0.05, 1))
)
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def name_of(ids):
    return f" t{ids[0]}"


def make(raw=RAW, **controls):
    return widgets.Sampler(raw, name_of, **controls)


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))]


def controls(case):
    return dict(zip(OFF, case, strict=True))


# Python ---------------------------------------------------------------------------------------


def test_the_page_knows_the_logits_to_their_rounding():
    view = make()
    for name, raw in RAW.items():
        view.prompt = name
        ordered = raw.sort(descending=True).values
        torch.testing.assert_close(view.logits()[:200], ordered[:200], atol=5.1e-5, rtol=0)
        torch.testing.assert_close(view.logits(), ordered, atol=1 / 256 + 1e-4, rtol=0)
        assert (view.logits().diff() <= 0).all()


@settings(max_examples=150, deadline=None)
@given(
    temperature=st.floats(0.1, 3),
    top_k=st.integers(0, SIZE),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
    name=st.sampled_from(sorted(RAW)),
)
def test_shares_are_those_of_the_package_on_all_the_logits(temperature, top_k, top_p, min_p, name):
    view = make(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    view.prompt = name
    rule = Sampling(temperature=temperature, top_k=top_k or None, top_p=top_p, min_p=min_p)
    assert view.settings() == rule
    exact = apply_filters(view.logits(), rule).softmax(-1).sort(descending=True).values
    np.testing.assert_allclose(view.shares()[:200], exact[:200], rtol=1e-12)
    assert view.shares()[200] == pytest.approx(exact[200:].sum().item(), abs=1e-12)
    assert view.kept()[-1] == (exact > 0).sum()
    assert sum(view.cut()) == pytest.approx(1 - left_of(view, rule), abs=1e-9)
    categorical = torch.distributions.Categorical(exact)
    assert view.entropy() == pytest.approx(categorical.entropy().item(), abs=1e-9)


def left_of(view, rule):
    """The share, at the temperature alone, of the tokens that the rules leave."""
    plain = apply_filters(view.logits(), Sampling(temperature=rule.temperature)).softmax(-1)
    return plain[: view.kept()[-1]].sum().item()


@pytest.mark.parametrize("case", CASES[::7])
@pytest.mark.parametrize("name", RAW)
def test_rounding_moves_shares_by_less_than_can_be_seen(case, name):
    view = make(**controls(case))
    view.prompt = name
    real = apply_filters(RAW[name], view.settings()).softmax(-1).sort(descending=True).values
    np.testing.assert_allclose(view.shares()[:200], real[:200], atol=5e-4)
    assert view.shares()[200] == pytest.approx(real[200:].sum().item(), abs=2e-3)


def test_draws_follow_the_shares_and_repeat():
    view = make(temperature=0.7, top_k=50, drawn=1000, seed=3)
    counts = np.array(view.counts())
    assert counts.sum() == 1000
    assert counts[50:].sum() == 0
    np.testing.assert_allclose(counts / 1000, view.shares(), atol=0.05)
    assert view.counts() == make(temperature=0.7, top_k=50, drawn=1000, seed=3).counts()
    assert make(temperature=3.0, drawn=1000).counts()[-1] > 100


@pytest.mark.parametrize(
    ("raw", "change", "message"),
    [
        ({}, {}, "got 0 prompts"),
        ({"a": [1.0, 2], "b": [1.0, 2, 3]}, {}, "equally many logits, .*'a': 2, 'b': 3"),
        ({"a": [1.0]}, {}, "at least 2, but have"),
        ({"a": [1.0, math.nan]}, {}, "a logit of 'a' is not finite"),
        ({"a": [1.0, -math.inf]}, {}, "a logit of 'a' is not finite"),
        ({"a": [1.0, 1000.0]}, {}, "the span of the logits of 'a' is 999.0, .* 0 and 400"),
        (RAW, {"temperature": 0}, "temperature is 0, but must lie between 0.1 and 3"),
        (RAW, {"temperature": math.nan}, "temperature is nan"),
        (RAW, {"top_k": SIZE + 1}, "top_k is 3001, but must lie between 0 and 3000"),
        (RAW, {"top_p": 0}, "top_p is 0, but must lie between 0.01 and 1"),
        (RAW, {"min_p": 1.1}, "min_p is 1.1, but must lie between 0 and 1"),
        (RAW, {"drawn": -1}, "drawn is -1"),
        (RAW, {"seed": 2**32}, "seed is 4294967296"),
    ],
)
def test_bad_input_is_named(raw, change, message):
    with pytest.raises(ValueError, match=message):
        make(raw, **change)


def test_fallback_tells_what_each_rule_cuts():
    view = make(temperature=1.3, top_k=100, top_p=0.8, min_p=0.1)
    fallback, kept = view.fallback(), view.kept()
    assert f"top-k 100 leaves {kept[1]:,} and cuts {100 * view.cut()[0]:.1f} %" in fallback.sentence
    assert f"min-p 0.1 leaves {kept[3]:,}" in fallback.sentence
    assert len(fallback.rows) == ROWS + 1
    shares = view.shares()
    expected = 100 * np.array([*shares[:ROWS], shares[ROWS:].sum()])
    told = [numbers(row[2])[0] for row in fallback.rows]
    np.testing.assert_allclose(told, expected, atol=0.051)
    assert "top-k off" in make().fallback().sentence


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000, **how: open_page(
        document({"sampler": view}, theme), width=width, **how
    )


def near(told, share):
    """A share as the page writes it, `<0.1 %` included."""
    return numbers(told)[0] == pytest.approx(100 * share, abs=0.51 if share > 0.0994 else 0.1)


def agrees(page, view):
    """Everything that the page tells is what Python computes."""
    kept, cut, before, after = view.kept(), view.cut(), view.shares(Sampling()), view.shares()
    for i, row in enumerate(page.locator(".xp-rules tbody tr").all()):
        left, gone, share = row.locator("td").all_inner_texts()
        assert (numbers(left)[0], numbers(gone)[0]) == (kept[i + 1], kept[i] - kept[i + 1])
        assert near(share, cut[i])
    counts = view.counts()
    rows = page.locator(".xp-sampled tbody tr").all()
    shown = len(rows) - 1
    for i, row in enumerate(rows):
        part = slice(i, i + 1) if i < shown else slice(shown, None)
        told_before, told_after, fate = row.locator("td").all_inner_texts()
        assert near(told_before, before[part].sum())
        assert near(told_after, after[part].sum())
        came = sum(counts[part])
        assert (f"{came} of {view.drawn}" in fate) == (came > 0)
        rule = next((r for r, n in zip(("k", "p", "min"), kept[1:], strict=True) if i >= n), None)
        marks = {None: "", "k": "✕ top-k", "p": "✕ top-p", "min": "✕ min-p"}
        if i < shown:
            assert fate.split("\n")[0].startswith(marks[rule]), (fate, rule)
            assert ("✕" in fate) == (rule is not None) == ("xp-off" in row.get_attribute("class"))
        else:
            assert numbers(fate)[0] == max(0, kept[3] - shown)
    figures = [numbers(t)[0] for t in page.locator(".xp-figures strong").all_inner_texts()]
    expected = (view.entropy(Sampling()), view.entropy(), math.exp(view.entropy()))
    np.testing.assert_allclose(figures, expected, atol=0.0051)
    said = page.locator(".xp-line").inner_text()
    assert said.startswith(f"{kept[3]:,} of {kept[0]:,} tokens are left")


def test_arithmetic_is_python_s(show):
    view = make()
    page = show(view)
    load(page, view)
    found = page.evaluate(
        "([data, cases]) => data.prompts.map((entry) => {"
        " const groups = module.read(entry, data.levels);"
        " return cases.map((c) => { const s = module.sample(groups, ...c);"
        " return { ...s, counts: module.draw(s.shares, 9, 300).counts }; }); })",
        [view.data, CASES],
    )
    for name, results in zip(RAW, found, strict=True):
        for case, result in zip(CASES, results, strict=True):
            expected = make({name: RAW[name]}, **controls(case), drawn=300, seed=9)
            # filter_top_p sums in float32, the page in float64: one token may fall otherwise
            assert np.abs(np.subtract(result["kept"], expected.kept())).max() <= 1, case
            if result["kept"] != expected.kept():
                continue
            np.testing.assert_allclose(result["shares"], expected.shares(), atol=1e-9)
            np.testing.assert_allclose(result["cut"], expected.cut(), atol=1e-9)
            assert result["entropy"] == pytest.approx(expected.entropy(), abs=1e-9)
            assert result["counts"] == expected.counts()
        same = sum(
            r["kept"] == make({name: RAW[name]}, **controls(c)).kept()
            for c, r in zip(CASES, results, strict=True)
        )
        assert same >= 0.95 * len(CASES)


def test_first_sight_is_the_state(show):
    view = make(temperature=1.3, top_k=1000, top_p=0.6, min_p=0.2, drawn=40, seed=5)
    agrees(show(view), view)


def test_sliders_answer_the_keyboard(show):
    page = show(make())
    agrees(page, make())
    slide = lambda name: page.get_by_role("slider", name=name)  # noqa: E731
    slide("Temperature T").press("ArrowRight")
    agrees(page, make(temperature=1.1))
    slide("top-k").press("ArrowLeft")
    agrees(page, make(temperature=1.1, top_k=2000))
    slide("top-k").press("Home")
    agrees(page, make(temperature=1.1, top_k=1))
    slide("top-k").press("End")
    assert slide("top-k").get_attribute("aria-valuetext") == "off"
    slide("top-p").press("ArrowLeft")
    agrees(page, make(temperature=1.1, top_p=0.99))
    for _ in range(5):
        slide("min-p").press("ArrowRight")
    agrees(page, make(temperature=1.1, top_p=0.99, min_p=0.05))
    slide("min-p").press("End")
    agrees(page, make(temperature=1.1, top_p=0.99, min_p=1.0))
    page.get_by_role("button", name="Reset").press("Enter")
    agrees(page, make())


def test_another_prompt(show):
    view = make(top_k=7)
    page = show(view)
    page.get_by_role("combobox", name="Prompt").select_option("sure")
    view.prompt = "sure"
    agrees(page, view)
    best = int(RAW["sure"].argmax())
    assert f"t{best}”" in page.locator(".xp-sampled tbody th").first.inner_text()


def test_draws_are_python_s_and_end_at_the_limit(show):
    page = show(make(drawn=949, seed=4))
    page.get_by_role("button", name="Draw one token").press("Enter")
    view = make(drawn=950, seed=4)
    agrees(page, view)
    change = np.subtract(view.counts(), make(drawn=949, seed=4).counts())
    said = page.locator(".xp-line").inner_text()
    place = int(change.argmax())
    name = view.data["prompts"][0]["tokens"][place].strip() if place < 200 else "rarer tokens"
    assert "Draw 950: " in said
    assert name in said.split("Draw 950: ")[1]
    page.get_by_role("button", name="Draw 50").click()
    agrees(page, make(drawn=1000, seed=4))
    assert page.get_by_role("button", name="Draw 50").is_disabled()
    page.get_by_role("button", name="Forget the draws").click()
    agrees(page, make())
    assert page.get_by_role("button", name="Forget the draws").is_disabled()


def test_names_are_never_markup_and_few_tokens_are_enough(show):
    evil = "<img src=x onerror=document.title='hit'>"
    view = widgets.Sampler({evil: [1.0, 2.0]}, lambda _: evil, top_k=1)
    page = show(view)
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    agrees(page, view)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(top_k=5, drawn=1000), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.explorable td')]"
        ".every(e => e.scrollWidth <= e.clientWidth + 1)"
    ), "a number is cut off"
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


def test_without_javascript_the_fallback_stays(show):
    view = make()
    page = show(view, javascript=False)
    assert view.fallback().sentence in page.locator(".widget-fallback").inner_text()

"""Softmax with temperature: Python against PyTorch, the page against Python, without a kernel."""

import itertools
import math
import re

import numpy as np
import pytest
import torch

from minillm import widgets
from minillm.inference.sampling import Sampling, apply_filters
from minillm.widgets.softmax_temperature import random_numbers, tempered
from tests.widgets.test_widgets_browser import AXE, document, load

WORDS = ["young", "group", "figure", "man", "fire"]
SCORES = [12.854, 12.66, 11.922, 10.813, 10.35]
HEATS = (0.0, 0.1, 0.63, 1.0, 4.0)
FAR = [1000.0, 999.5, -1000.0]


def make(scores=SCORES, **controls):
    return widgets.SoftmaxTemperature(WORDS[: len(scores)], scores, context="She saw a", **controls)


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("heat", HEATS)
@pytest.mark.parametrize("scores", [SCORES, FAR, [3.0, 3.0, 1.0]])
def test_shares_are_those_of_torch_and_of_the_sampler(scores, heat):
    shares = make(scores).shares(heat)
    assert shares.sum() == pytest.approx(1)
    if heat:
        z = torch.tensor(scores, dtype=torch.float64)
        np.testing.assert_allclose(shares, (z / heat).softmax(-1), rtol=1e-9)
        filtered = apply_filters(z, Sampling(temperature=heat))
        np.testing.assert_allclose(shares, filtered.softmax(-1), rtol=1e-9)


def test_at_zero_equal_scores_share():
    assert make([3.0, 3.0, 1.0]).shares(0.0).tolist() == [0.5, 0.5, 0]
    np.testing.assert_allclose(tempered(np.array(SCORES), 1e-3), make().shares(0.0), atol=1e-12)


@pytest.mark.parametrize("heat", HEATS)
def test_entropy_is_that_of_torch(heat):
    view = make(temperature=heat)
    expected = torch.distributions.Categorical(torch.tensor(view.shares())).entropy().item()
    assert view.entropy() == pytest.approx(expected, abs=1e-9)
    assert 1 - 1e-9 <= math.exp(view.entropy()) <= len(WORDS)


@pytest.mark.parametrize("heat", HEATS[1:])
@pytest.mark.parametrize("selected", range(len(WORDS)))
def test_slopes_are_a_column_of_the_jacobian(heat, selected):
    scores = torch.tensor(SCORES, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda z: (z / heat).softmax(-1), scores)
    slopes = make(temperature=heat, selected=selected).slopes()
    np.testing.assert_allclose(slopes, jacobian[:, selected], atol=1e-12)


def test_at_zero_slopes_are_none_or_not_defined():
    assert make(temperature=0).slopes().tolist() == [0] * 5
    assert np.isnan(make([3.0, 3.0, 1.0], temperature=0).slopes()).all()


def test_draws_follow_the_shares_and_repeat():
    view = make(drawn=1000, seed=7)
    counts = np.array(view.counts())
    assert counts.sum() == 1000
    np.testing.assert_allclose(counts / 1000, view.shares(), atol=0.05)
    assert view.counts() == make(drawn=1000, seed=7).counts() != make(drawn=1000, seed=8).counts()
    assert make(temperature=0, drawn=20).counts() == [20, 0, 0, 0, 0]
    assert make(drawn=0).counts() == [0] * 5


def test_a_number_above_a_rounded_sum_draws_the_last_word_with_a_share(monkeypatch):
    monkeypatch.setattr(
        "minillm.widgets.softmax_temperature.random_numbers", lambda *_: np.array([1.0])
    )
    assert make([2.0, 2.0, -900.0], drawn=1).counts() == [0, 1, 0]


def test_random_numbers_are_even():
    drawn = random_numbers(3, 4000)
    assert 0 <= drawn.min() < drawn.max() < 1
    np.testing.assert_allclose(np.histogram(drawn, 10, (0, 1))[0], 400, atol=80)


@pytest.mark.parametrize(
    ("words", "scores", "change", "message"),
    [
        (["a", "b"], [1.0], {}, "got 2 words, but 1 scores"),
        (["a"], [1.0], {}, "the number of words is 1, but must lie between 2 and 10"),
        (["a", "b"], [1.0, math.nan], {}, "the score of 'b' is nan, but must lie between"),
        (["a", "b"], [math.inf, 0], {}, "the score of 'a' is inf, but must lie between"),
        (["a", "b"], [1, 2], {"temperature": 0.05}, "temperature is 0.05, .* between 0.1 and 4.0"),
        (["a", "b"], [1, 2], {"temperature": -1}, "temperature is -1, but must lie between 0.1"),
        (["a", "b"], [1, 2], {"selected": 2}, "selected is 2, but must lie between 0 and 1"),
        (["a", "b"], [1, 2], {"drawn": 1001}, "drawn is 1001, but must lie between 0 and 1000"),
        (["a", "b"], [1, 2], {"seed": -1}, "seed is -1, but must lie between 0 and 4294967295"),
    ],
)
def test_bad_input_is_named(words, scores, change, message):
    with pytest.raises(ValueError, match=message):
        widgets.SoftmaxTemperature(words, scores, **change)


def test_fallback_tells_the_shares_at_three_temperatures():
    view = make()
    fallback = view.fallback()
    assert "after “She saw a”" in fallback.sentence
    assert f"“young” leads with {100 * view.shares()[0]:.0f} %" in fallback.sentence
    assert f"among {math.exp(view.entropy()):.1f} words" in fallback.sentence
    assert fallback.header[2:] == ("T = 0.5", "T = 1", "T = 2")
    for column, heat in enumerate((0.5, 1.0, 2.0), start=2):
        found = [numbers(row[column])[0] for row in fallback.rows]
        np.testing.assert_allclose(found, 100 * view.shares(heat), atol=0.051)


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000: open_page(
        document({"softmax": view}, theme), width=width
    )


def score(page, word):
    return page.get_by_role("slider", name=f"score of “{word}”")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def agrees(page, view):
    """Everything that the page tells is what Python computes."""
    rows = page.locator(".xp-candidates tbody tr").all()
    n, counts, slopes = view.drawn, view.counts(), view.slopes()
    for i, row in enumerate(rows):
        name, share, slope = [cell.inner_text() for cell in row.locator("th, td").all()]
        assert numbers(name)[0] == pytest.approx(view.scores[i], abs=0.0051)
        p, *drawn = numbers(share)
        assert p == pytest.approx(100 * view.shares()[i], abs=0.51 if p >= 10 else 0.1)
        assert drawn == ([counts[i], n] if n else [])
        told = re.sub("[▲▼ ]", "", slope).replace("−", "-")
        assert (
            told == "–"
            if math.isnan(slopes[i])
            else float(told) == pytest.approx(slopes[i], abs=0.0051)
        )
        assert ("▲" in slope, "▼" in slope) == (round(slopes[i], 2) > 0, round(slopes[i], 2) < 0)
    nats, bits, effective, best = [
        numbers(text)[0] for text in page.locator(".xp-figures strong").all_inner_texts()
    ]
    entropy = view.entropy()
    expected = (entropy, entropy / math.log(2), math.exp(entropy))
    np.testing.assert_allclose((nats, bits, effective), expected, atol=0.0051)
    assert best == pytest.approx(100 * view.shares().max(), abs=0.51)
    raised = list(view.scores)
    raised[view.selected] += 1
    after = tempered(np.array(raised), view.temperature)[view.selected]
    said = page.locator(".xp-line").inner_text()
    was, becomes = numbers(said.split("One point more")[1])[:2]
    assert was == pytest.approx(100 * view.shares()[view.selected], abs=0.51)
    assert becomes == pytest.approx(100 * after, abs=0.51)
    assert f"choice among {math.exp(entropy):.1f} words" in said


def test_the_first_sight_is_the_state(show):
    view = make(temperature=0.63, selected=2, drawn=60, seed=11)
    page = show(view)
    agrees(page, view)
    pressed = page.locator(".xp-word[aria-pressed=true]").all_inner_texts()
    assert pressed == ["figure"]
    assert page.locator(".xp-of").inner_text() == "“figure”"
    assert page.locator(".xp-context").inner_text() == "She saw a …"
    lengths = page.locator(".xp-meter:not(.xp-came)").evaluate_all(
        "all => all.map(b => b.style.width)"
    )
    np.testing.assert_allclose([numbers(x)[0] for x in lengths], 100 * view.shares(), atol=1e-3)
    drawn = page.locator(".xp-came").evaluate_all("all => all.map(b => b.style.width)")
    np.testing.assert_allclose(
        [numbers(x)[0] for x in drawn], np.array(view.counts()) / 0.6, atol=1e-3
    )


def test_arrow_keys_raise_a_score_and_choose_its_word(show):
    page = show(make())
    score(page, "man").press("ArrowRight")
    score(page, "man").press("Shift+ArrowUp")
    score(page, "fire").press("ArrowLeft")
    agrees(page, make([12.854, 12.66, 11.922, 11.413, 10.25], selected=4))
    assert score(page, "man").get_attribute("aria-valuetext") == "11.41"
    for _ in range(20):
        score(page, "man").press("Shift+ArrowRight")
    agrees(page, make([12.854, 12.66, 11.922, 16.0, 10.25], selected=3))


def test_a_score_can_be_dragged(show):
    view = make()
    page = show(view)
    box = score(page, "fire").bounding_box()
    middle = box["y"] + box["height"] / 2
    thumb = (SCORES[4] - view.data["low"]) / (view.data["high"] - view.data["low"])
    page.mouse.move(box["x"] + 8 + thumb * (box["width"] - 16), middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 2 * box["width"], middle, steps=4)
    page.mouse.up()
    agrees(page, make([*SCORES[:4], 16.0], selected=4))


def test_temperature_goes_from_greedy_to_four_in_even_ratios(show):
    page = show(make())
    heat = page.get_by_role("slider", name="Temperature T")
    heat.press("End")
    agrees(page, make(temperature=4.0))
    assert heat.get_attribute("aria-valuetext") == "4"
    heat.press("ArrowLeft")
    agrees(page, make(temperature=3.5))
    heat.press("Home")
    agrees(page, make(temperature=0))
    assert (
        "Temperature 0, greedy: “young” leads with 100 %" in page.locator(".xp-line").inner_text()
    )
    heat.press("ArrowRight")
    agrees(page, make(temperature=0.1))
    for _ in range(20):
        heat.press("ArrowRight")
    agrees(page, make(temperature=1))


def test_equal_scores_share_the_lead_and_have_no_slope_at_zero(show):
    view = make([3.0, 3.0, 1.0], temperature=0)
    page = show(view)
    agrees(page, view)
    said = page.locator(".xp-line").inner_text()
    assert "“young” and “group” lead with 50 % each" in said


def test_draws_are_python_s_and_use_the_same_numbers_at_every_temperature(show):
    page = show(make(seed=5))
    press(page, "Draw 20 words")
    press(page, "Draw 20 words")
    agrees(page, make(seed=5, drawn=40))
    assert f"In 40 draws “young” came {make(seed=5, drawn=40).counts()[0]} times." in (
        page.locator(".xp-line").inner_text()
    )
    page.get_by_role("slider", name="Temperature T").press("End")
    agrees(page, make(seed=5, drawn=40, temperature=4.0))
    press(page, "Forget the draws")
    agrees(page, make(seed=5, temperature=4.0))
    assert page.get_by_role("button", name="Forget the draws").is_disabled()


def test_draws_end_at_the_limit(show):
    page = show(make(drawn=990))
    page.get_by_role("button", name="Draw 20 words").press("Enter")
    agrees(page, make(drawn=1000))
    assert page.get_by_role("button", name="Draw 20 words").is_disabled()


def test_raising_all_scores_changes_nothing_else(show):
    page = show(make())
    before = page.locator(".xp-figures").inner_text(), page.locator(".xp-line").inner_text()
    for raise_by in (1, 2, 3):
        press(page, "All scores + 1")
        agrees(page, make([z + raise_by for z in SCORES]))
    assert page.get_by_role("button", name="All scores + 1").is_disabled()
    after = page.locator(".xp-figures").inner_text(), page.locator(".xp-line").inner_text()
    assert after == before


def test_choosing_a_word_by_keyboard_and_reset(show):
    page = show(make())
    page.get_by_role("button", name="group", exact=True).press("Enter")
    agrees(page, make(selected=1))
    score(page, "young").press("ArrowDown")
    press(page, "Draw 20 words")
    press(page, "Reset")
    agrees(page, make())


def test_arithmetic_is_python_s(show):
    view = make()
    page = show(view)
    load(page, view)
    for scores, heat, selected in itertools.product((SCORES, FAR), HEATS, (0, 2)):
        expected = make(scores, temperature=heat, selected=selected, seed=2**32 - 1, drawn=1000)
        shares, slopes, entropy, counts = page.evaluate(
            "([z, T, i, seed]) => { const p = module.tempered(z, T);"
            "return [p, module.slopes(z, T, i), module.entropy(p), module.draw(p, seed, 1000)] }",
            [scores, heat, selected, 2**32 - 1],
        )
        np.testing.assert_allclose(shares, expected.shares(), atol=1e-12)
        np.testing.assert_allclose(slopes, expected.slopes(), atol=1e-12)
        assert entropy == pytest.approx(expected.entropy(), abs=1e-12)
        assert counts == expected.counts()


def test_a_rounded_sum_draws_the_last_word_with_a_share(show):
    page = show(make())
    load(page, make())
    assert page.evaluate("module.draw([1e-9, 1e-9, 0], 1, 50)") == [0, 50, 0]


def test_words_are_never_markup(show):
    evil = "<img src=x onerror=document.title='hit'>"
    page = show(widgets.SoftmaxTemperature([evil, "b"], [1, 2], context=evil))
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    assert evil in page.locator(".xp-word").first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(drawn=40), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.xp-word, .xp-slope, .xp-score')]"
        ".every(e => e.scrollWidth <= e.clientWidth + 1)"
    ), "a word or number is cut off"
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []

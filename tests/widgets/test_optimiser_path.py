"""The optimiser's path: its rules are PyTorch's, and the page computes what Python computes."""

import re

import numpy as np
import pytest
import torch

from minillm import widgets
from minillm.widgets.optimiser_path import RULES, SURFACES, surface
from tests.widgets.test_widgets_browser import AXE, document

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
OPTIMISERS = {
    "gradient descent": lambda p: torch.optim.SGD(p, 0.02),
    "momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.8),
    "RMSProp": lambda p: torch.optim.RMSprop(p, 0.02, alpha=0.8),
    "Adam": lambda p: torch.optim.Adam(p, 0.02, betas=(0.8, 0.999)),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.02, betas=(0.8, 0.999), weight_decay=0.7),
}


def make(**changes):
    settings = {"rate": 0.02, "memory": 0.8, "ratio": 12.0, "decay": 0.7, "start": (-1.4, 1.2)}
    return widgets.OptimiserPath(**settings | changes)


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("point", [(-1.3, 0.7), (0.4, -1.1)])
def test_slopes_are_those_of_the_height(name, point):
    _, *slope = surface(name, 7.0, *point)
    h = 1e-6
    for i in (0, 1):
        step = np.eye(2)[i] * h
        higher, lower = (surface(name, 7.0, *(np.array(point) + s))[0] for s in (step, -step))
        assert slope[i] == pytest.approx((higher - lower) / (2 * h), abs=1e-6)


@pytest.mark.parametrize("name", SURFACES)
def test_the_lowest_point_has_height_zero(name):
    side = np.linspace(-2, 2, 401)
    heights = [surface(name, 5.0, x, y)[0] for x in side for y in side]
    assert 0 <= min(heights) < 1e-3


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("rule", RULES)
def test_paths_are_those_of_torch(name, rule):
    view = make(surface=name, rule=rule)
    point = torch.tensor(view.start, dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMISERS[rule]([point])
    path = [point.detach().clone()]
    for _ in range(60):
        _, *slope = surface(name, view.ratio, *point.tolist())
        point.grad = torch.tensor(slope, dtype=torch.float64)
        optimizer.step()
        path.append(point.detach().clone())
    np.testing.assert_allclose(view.path(steps=60), torch.stack(path).numpy(), rtol=1e-9)


def test_descent_diverges_beyond_two_over_the_curvature():
    below, above = (make(rule="gradient descent", rate=f * 2 / 12) for f in (0.99, 1.01))
    assert below.heights()[-1] < 0.1 < above.heights()[-1]


def test_the_fallback_says_which_rules_diverge():
    rows = {row[0]: row for row in make(rate=1.0, ratio=50).fallback().rows}
    assert rows["gradient descent"][2] == "diverges"
    assert float(rows["Adam"][2]) < 1e3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surface": "hill"}, "surface is 'hill', but the choices are 'valley'"),
        ({"rule": "adam"}, "rule is 'adam', but the choices are"),
        ({"rate": 3.0}, "rate is 3.0, but must lie between 0.001 and 2.0"),
        ({"start": (0, 2.5)}, "a coordinate of start is 2.5, but must lie between -2.0 and 2.0"),
        ({"steps": 301}, "steps is 301, but must lie between 0 and 300"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000: open_page(
        document({"path": view}, theme), width=width
    )


def figures(page):
    """What the page says in figures: name → value."""
    rows = page.locator("#path .xp-figures p").all()
    return {
        row.locator("span").inner_text(): number(row.locator("strong").inner_text()) for row in rows
    }


def number(text):
    whole = re.fullmatch(r"([\d.]+)(?: · 10([⁻⁰-⁹¹²³]+))?", text)
    return float(whole[1]) * 10.0 ** int((whole[2] or "⁰").translate(RAISED))


def press(page, name):
    page.locator("#path").get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(rule="AdamW", steps=40), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("rule", RULES)
def test_the_page_walks_the_path_that_python_walks(show, name, rule):
    view = make(surface=name, rule=rule)
    page = show(view)
    for button in ("10 steps", "10 steps", "10 steps", "1 step"):
        press(page, button)
    assert figures(page)["steps"] == 31
    assert figures(page)["loss"] == pytest.approx(view.heights(steps=31)[-1], rel=0.05)
    x, y = view.path(steps=31)[-1]
    said = page.locator("#path .xp-line").inner_text().replace("−", "-")
    assert f"({x:.2f}, {y:.2f})".replace("-0.00", "0.00") in said.replace("-0.00", "0.00")


def test_the_keyboard_moves_the_start_takes_steps_and_changes_the_rule(show):
    page = show(make(rule="gradient descent"))
    handle = page.locator("#path .xp-handle")
    handle.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    assert handle.get_attribute("aria-label").replace("−", "-") == "start, at -0.70, 1.10"
    page.locator("#path").get_by_role("button", name="10 steps").focus()
    page.keyboard.press("Enter")
    moved = {"start": (-0.7, 1.1)}
    expected = make(rule="gradient descent", **moved).heights(steps=10)[-1]
    assert figures(page)["loss"] == pytest.approx(expected, rel=0.05)
    page.locator("#path").get_by_role("radio", name="gradient descent").focus()
    page.keyboard.press("ArrowRight")
    expected = make(rule="momentum", **moved).heights(steps=10)[-1]
    assert figures(page)["loss"] == pytest.approx(expected, rel=0.05)


def test_sliders_change_the_path_and_the_limit_is_named(show):
    page = show(make(rule="momentum", memory=0.5, ratio=10.0))
    assert "bears rates below 0.3." in page.locator("#path .xp-line").inner_text()
    rate = page.locator("#path").get_by_role("slider", name="Learning rate")
    rate.focus()
    page.keyboard.press("End")
    press(page, "100 steps")
    assert "diverges" in page.locator("#path .xp-line").inner_text()
    assert page.locator("#path").get_by_role("slider", name="Weight decay").count() == 0
    page.locator("#path").get_by_label("Surface").select_option("two hollows")
    assert "bears" not in page.locator("#path .xp-line").inner_text()  # no parabola, no limit


def test_a_click_sets_the_start_and_reset_brings_everything_back(show):
    page = show(make(rule="Adam", steps=5))
    before = figures(page)
    box = page.locator("#path .xp-plane svg").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"])
    label = page.locator("#path .xp-handle").get_attribute("aria-label").replace("−", "-")
    assert [float(n) for n in re.findall(r"-?[\d.]+", label)] == pytest.approx([1, -1], abs=0.03)
    page.locator("#path").get_by_label("Surface").select_option("bend")
    press(page, "Reset")
    assert figures(page) == before


def test_a_kept_path_stays_while_another_rule_is_chosen(show):
    page = show(make(rule="gradient descent", steps=20))
    press(page, "Keep to compare")
    page.locator("#path").get_by_role("radio", name="Adam", exact=True).check(force=True)
    told = figures(page)
    kept = make(rule="gradient descent").heights(steps=20)[-1]
    assert told["loss of the kept path (gradient descent)"] == pytest.approx(kept, rel=0.05)
    assert told["loss"] == pytest.approx(make(rule="Adam").heights(steps=20)[-1], rel=0.05)

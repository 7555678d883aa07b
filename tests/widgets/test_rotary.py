"""The rotary pairs: Python against `Rope` and `rotate`, the page against Python, no kernel."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from minillm import Rope, rotate, widgets
from minillm.weights.transforms import unpermute
from minillm.widgets import rotary

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
HALF, INTER, REORDERED = rotary.LAYOUTS


def turned(vector, position, theta):
    x = torch.tensor(vector, dtype=torch.float64)[None, None, None]
    return rotate(x, Rope(8, theta)(torch.tensor([position])))[0, 0, 0]


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n", "theta"), [(0, 0, 100.0), (7, 30, 100.0), (40, 3, 10_000.0)])
def test_score_is_that_of_the_package(m, n, theta):
    desk = widgets.RotaryPairs(m=m, n=n, theta=theta)
    q, k = turned(rotary.QUERY, m, theta), turned(rotary.KEY, n, theta)
    assert desk.score() == pytest.approx((q @ k).item(), abs=1e-5)
    parts = (q * k).unflatten(0, (2, 4)).sum(0)
    np.testing.assert_allclose(desk.contributions(), parts, atol=1e-5)


def test_score_depends_on_the_distance_only():
    for layout in rotary.LAYOUTS:
        here, there = (
            widgets.RotaryPairs(m=m, n=n, layout=layout).score() for m, n in ((9, 2), (38, 31))
        )
        assert here == pytest.approx(there)
        assert here != pytest.approx(widgets.RotaryPairs(m=2, n=9, layout=layout).score())


def test_layouts_agree_only_if_the_coordinates_are_reordered():
    scores = {name: widgets.RotaryPairs(layout=name).score() for name in rotary.LAYOUTS}
    assert scores[HALF] == scores[REORDERED]
    assert abs(scores[HALF] - scores[INTER]) > 0.1
    # read as interleaved, then brought into half-split order as our loader does it
    fixed = [unpermute(1)(torch.tensor(v)[:, None])[0][:, 0] for v in (rotary.QUERY, rotary.KEY)]
    assert widgets.RotaryPairs(*fixed).score() == pytest.approx(scores[INTER], abs=1e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="the key has 7 numbers, the dials show 8"):
        widgets.RotaryPairs(key=range(7))
    with pytest.raises(ValueError, match="m is 41"):
        widgets.RotaryPairs(m=41)
    with pytest.raises(ValueError, match="layout is 'both'"):
        widgets.RotaryPairs(layout="both")


@pytest.mark.parametrize("layout", rotary.LAYOUTS)
def test_fallback_tells_the_pairs(layout):
    desk = widgets.RotaryPairs(layout=layout)
    content, _ = desk._repr_mimebundle_()
    fallback = desk.fallback()
    assert f"{desk.score():.2f}" in fallback.sentence
    assert fallback.rows[1][0] == ("1 and 5" if layout == HALF else "2 and 3")
    assert sum(float(row[2]) for row in fallback.rows) == pytest.approx(desk.score(), abs=0.03)
    assert content["text/plain"].startswith(fallback.sentence)


# The page -------------------------------------------------------------------------------------


@pytest.fixture
def page(open_page):
    """A saved page with the explorable."""
    html = widgets.standalone_page(widgets.RotaryPairs(), title="Rotary")
    page = open_page(html, mounted=0, width=390)  # it mounts without the runtime of the book
    page.wait_for_selector(".xp-dial")
    return page


def shown(page):
    parts = [numbers(text)[0] for text in page.locator(".xp-part").all_inner_texts()]
    return numbers(page.locator(".xp-sums").inner_text())[0], parts


def grip(page, letter):
    return page.locator(".xp-token-grip", has_text=letter)


def agrees(page, **controls):
    desk = widgets.RotaryPairs(**controls)
    score, parts = shown(page)
    assert score == pytest.approx(desk.score(), abs=0.0051)
    np.testing.assert_allclose(parts, desk.contributions(), atol=0.0051)
    assert f"Query at {desk.m}, key at {desk.n}" in page.locator(".xp-line").inner_text()


def test_arrow_keys_move_the_positions(page):
    agrees(page, m=6, n=2)
    grip(page, "q").press("ArrowUp")
    grip(page, "q").press("Shift+ArrowRight")
    grip(page, "k").press("ArrowLeft")
    agrees(page, m=12, n=1)
    grip(page, "k").press("Shift+ArrowLeft")
    agrees(page, m=12, n=0)
    assert grip(page, "k").get_attribute("aria-valuenow") == "0"


def test_locked_positions_keep_distance_and_score(page):
    before = shown(page)
    page.get_by_label("keep the distance").check()
    for _ in range(9):
        grip(page, "k").press("Shift+ArrowRight")
    agrees(page, m=40, n=36)
    assert shown(page) == before
    for _ in range(9):
        grip(page, "q").press("Shift+ArrowLeft")
    agrees(page, m=4, n=0)
    assert shown(page) == before


def test_dragging_stops_at_the_end_and_reset_brings_back(page):
    box = page.locator(".xp-ruler").bounding_box()
    grip(page, "q").hover()
    page.mouse.down()
    page.mouse.move(box["x"] + 2 * box["width"], box["y"], steps=4)
    page.mouse.up()
    agrees(page, m=40, n=2)
    page.get_by_role("button", name="Reset").click()
    agrees(page, m=6, n=2)


def test_theta_and_layout_follow_python(page):
    page.get_by_label("θ, base of the frequencies").press("End")
    agrees(page, theta=10_000.0)
    for layout in (INTER, REORDERED):
        page.get_by_role("radio", name=layout, exact=True).check(force=True)
        agrees(page, theta=10_000.0, layout=layout)
    names = page.locator(".xp-dial strong").all_inner_texts()
    assert names[1] == "coordinates 2 and 3"


def test_curve_is_the_score_at_every_distance_and_the_mark_lies_on_it(page):
    path = page.locator(".xp-score-line").get_attribute("d").removeprefix("M").split("L")
    points = np.array([numbers(point.replace(",", " ")) for point in path])
    scores = [
        widgets.RotaryPairs(m=max(d, 0), n=max(-d, 0)).score() for d in range(-40, 41)
    ]  # distance by distance, from the left
    assert np.corrcoef(points[:, 1], scores)[0, 1] < -0.9999  # up is small in an SVG
    mark = page.locator(".xp-score-mark")
    here = [float(mark.get_attribute(name)) for name in ("cx", "cy")]
    np.testing.assert_allclose(points[40 + 4], here, atol=0.06)


def test_arithmetic_is_python_s(page):
    desk = widgets.RotaryPairs()
    page.evaluate(
        "async text => { window.module = await import(URL.createObjectURL("
        "new Blob([text], {type: 'text/javascript'}))) }",
        desk._esm,
    )
    for m, theta, layout in itertools.product((0, 13, 40), (1.0, 50.0), rotary.LAYOUTS):
        found = page.evaluate(
            "args => module.contributions(...args)",
            [desk.data["query"], desk.data["key"], m - 20, theta, layout],
        )
        expected = widgets.RotaryPairs(m=m, n=20, theta=theta, layout=layout).contributions()
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_the_page_and_has_no_serious_accessibility_fault(page, width, theme):
    back, front = {"light": ("#ffffff", "#222832"), "dark": ("#14181e", "#ced6dd")}[theme]
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.add_style_tag(content=f"html {{ background: {back}; color: {front} }}")  # the book's
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".xp-dial").count() == 4
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []

"""A difference of low rank: the numbers against torch's decomposition, the page against them."""

import re

import pytest
import torch

from minillm import widgets
from tests.widgets.test_widgets_browser import AXE, document, load

torch.manual_seed(0)
WIDE, SQUARE = torch.randn(6, 20), torch.randn(12, 3) @ torch.randn(3, 12) + torch.eye(12)
MEASURED = {4: 0.75, 0: 0.5}


def make(**how):
    return widgets.RankExplorer({"wide": WIDE, "square": SQUARE}, MEASURED, **how)


def cut(matrix, rank):
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, :rank] * s[:rank] @ v[:rank]


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "matrix"), [("wide", WIDE), ("square", SQUARE)])
def test_kept_is_the_squared_length_of_the_nearest_matrix(name, matrix):
    view = make()
    for rank in range(min(matrix.shape) + 1):
        left = (matrix - cut(matrix, rank)).square().sum() / matrix.square().sum()
        assert view.kept(name, rank) == pytest.approx(1 - left.item(), abs=1e-5)
        assert view.numbers(name, rank) == rank * sum(matrix.shape)


@pytest.mark.parametrize(
    ("given", "how", "message"),
    [
        ({}, {}, "the number of matrices is 0, but must lie between 1 and 4"),
        (dict.fromkeys("abcde", SQUARE), {}, "the number of matrices is 5"),
        ({"a": torch.ones(3)}, {}, r"'a' has the shape \(3,\), not \(m, n\)"),
        ({"a": torch.ones(1, 3)}, {}, r"'a' has the shape \(1, 3\)"),
        ({"a": torch.ones(2, 513)}, {}, r"'a' has the shape \(2, 513\)"),
        ({"a": torch.zeros(2, 2)}, {}, "'a' has entries that are not finite, or nothing but zero"),
        ({"a": torch.full((2, 2), torch.nan)}, {}, "'a' has entries that are not finite"),
        ({"a": SQUARE}, {"rank": 13}, "rank is 13, but must lie between 0 and 12"),
        ({"a": SQUARE}, {"measured": {-1: 0.5}}, "rank -1 with 0.5 measured"),
        ({"a": SQUARE}, {"measured": {1: torch.inf}}, "rank 1 with inf measured"),
        ({"a": torch.randn(300, 300)}, {}, "the limit is 150,000"),
    ],
)
def test_bad_input_is_named(given, how, message):
    with pytest.raises(ValueError, match=message):
        widgets.RankExplorer(given, **how)


def test_an_unknown_matrix_or_rank_is_refused():
    with pytest.raises(ValueError, match="matrix is 'x', but the choices are 'wide', 'square'"):
        make().kept("x", 1)
    with pytest.raises(ValueError, match="rank is 7, but must lie between 0 and 6"):
        make().kept("wide", 7)


def test_fallback_tells_what_some_ranks_keep():
    fallback = make(measure="of the answers").fallback()
    assert "wide, 6 × 20 = 120 numbers" in fallback.sentence
    assert fallback.header[-1] == "of the answers"
    assert [row[0] for row in fallback.rows] == ["0", "1", "2", "4"]
    assert [row[3] for row in fallback.rows] == ["0.500", "", "", "0.750"]
    assert fallback.rows[2][1:3] == ("52", f"{make().kept('wide', 2):.0%}")


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000, **how: open_page(
        document({"rank": view}, theme), width=width, **how
    )


def agrees(page, view, name, matrix, rank):
    full = min(matrix.shape)
    said = page.locator(".xp-line").inner_text()
    numbers, all_ = view.numbers(name, rank), matrix.numel()
    assert said.startswith(f"Rank {rank} of {full}: A and B have {numbers} numbers")
    assert ("no fewer than" in said) == (numbers >= all_)
    share = float(re.search(r"keep at best (?:more than )?([\d.]+) %", said)[1])
    assert share == pytest.approx(100 * view.kept(name, rank), abs=0.51)
    assert (f"{MEASURED.get(rank, 9):.3f} right" in said) == (rank in MEASURED)
    looks = page.locator(".xp-spectrum rect").evaluate_all("all => all.map(e => e.classList[0])")
    assert looks == ["xp-in"] * rank + ["xp-out"] * (full - rank)


def test_ranks_and_matrices_by_keyboard(show):
    view = make(rank=2)
    page = show(view)
    agrees(page, view, "wide", WIDE, 2)
    move = page.get_by_role("slider", name="Rank r")
    move.press("Home")
    for rank in range(7):
        agrees(page, view, "wide", WIDE, rank)
        move.press("ArrowRight")
    page.get_by_role("radio", name="wide").press("ArrowRight")
    agrees(page, view, "square", SQUARE, 6)
    move.press("End")
    agrees(page, view, "square", SQUARE, 12)
    page.get_by_role("radio", name="square").press("ArrowLeft")
    agrees(page, view, "wide", WIDE, 6)  # a rank that this one has not is cut to its largest
    move.press("ArrowLeft")
    agrees(page, view, "wide", WIDE, 5)


@pytest.mark.parametrize(("place", "matrix"), [(0, WIDE), (1, SQUARE)])
def test_the_page_multiplies_out_what_torch_took_apart(show, place, matrix):
    view = make()
    page = show(view)
    load(page, view)
    for rank in (0, 1, 3, min(matrix.shape)):
        found = page.evaluate(
            "([one, rank]) => [...module.nearest(module.decomposition(one), rank)]",
            [view.data["matrices"][place], rank],
        )
        wanted = cut(matrix, rank)
        error = (torch.tensor(found).view_as(wanted) - wanted).square().mean().sqrt()
        assert error < 0.015 * matrix.square().mean().sqrt()  # the vectors have eight bits


def test_the_pictures_show_the_matrices(show):
    view = make()
    page = show(view)
    page.get_by_role("slider", name="Rank r").press("End")
    pixels = page.evaluate(
        "[...document.querySelectorAll('canvas')].map(c => "
        "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data])"
    )
    whole, near, left = (torch.tensor(p).view(6, 20, 4) for p in pixels)
    assert torch.equal(whole, near)
    assert int(left[..., 3].max()) == 0  # nothing is left at full rank
    blue, seen = whole[..., 2] > whole[..., 0], whole[..., 3] > 30
    assert torch.equal(blue[seen], (WIDE > 0)[seen])
    strength, size = whole[..., 3].flatten().float(), WIDE.abs().flatten()
    assert torch.corrcoef(torch.stack((strength, size)))[0, 1] > 0.98


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


def test_names_are_never_markup(show):
    evil = "<img src=x onerror=document.title='hit'>"
    page = show(widgets.RankExplorer({evil: SQUARE, "b": WIDE}, {1: 0.5}, measure=evil))
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    page.get_by_role("slider", name="Rank r").press("Home")
    page.get_by_role("slider", name="Rank r").press("ArrowRight")
    assert evil in page.locator(".xp-line").inner_text()


def test_without_javascript_the_fallback_stays(show):
    view = make()
    page = show(view, javascript=False)
    said = page.locator(".widget-fallback").inner_text()
    assert re.sub(r"\s+", " ", view.fallback().sentence) in re.sub(r"\s+", " ", said)

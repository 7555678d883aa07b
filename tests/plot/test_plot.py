"""Figures: what is drawn, with which words and numbers; never pixels."""

import io
import re
import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from minillm import plot
from minillm.plot.style import page_ramp, show_token
from minillm.training.history import History, Record

WORDS = ["The", " cat", "$5", "\n"]
DARK_PAPER, DARK_INK = "#14181e", "#ced6dd"  # what a dark page puts in the place of paper and ink


@pytest.fixture(autouse=True)
def _book_style():
    mpl.use("agg")
    with mpl.rc_context():
        plot.use_book_style()
        yield
    plt.close("all")


def run(n=60, every=20):
    return History(
        Record(
            step=step, tokens=step, loss=4.0 / step, lr=0.1, grad_norm=1.0, seconds=1.0,
            val_loss=5.0 / step if step % every == 0 else None,
        )
        for step in range(1, n + 1)
    )  # fmt: skip


def tick_words(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def written(ax):
    return [text.get_text() for text in ax.texts]


def drawn(figure):
    """Draw as SVG, so that what only fails when drawn fails here; return the source."""
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()


# --- style
def luminance(rgb):
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", plot.COLORS)
@pytest.mark.parametrize("paper", [plot.PAPER, DARK_PAPER])
def test_line_colours_are_visible_on_both_pages(color, paper):
    assert contrast(to_rgb(color), to_rgb(paper)) >= 3


def test_line_colours_are_no_page_colours_and_all_different():
    assert len({*plot.COLORS, plot.PAPER, plot.INK, plot.GRID}) == len(plot.COLORS) + 3


@pytest.mark.parametrize("ramp", [page_ramp(), page_ramp(plot.COLORS[1], 0.65)])
@pytest.mark.parametrize(
    ("paper", "ink"), [(plot.PAPER, plot.INK), (DARK_PAPER, DARK_INK)], ids=["light", "dark"]
)
def test_ink_can_be_read_on_every_step_of_a_heat_map(ramp, paper, ink):
    for value in np.linspace(0, 1, 11):
        *rgb, alpha = ramp(value)
        cell = np.array(rgb) * alpha + np.array(to_rgb(paper)) * (1 - alpha)
        assert contrast(cell, to_rgb(ink)) >= 4.5


def test_the_style_of_a_figure():
    figure, ax = plt.subplots()
    assert figure.get_size_inches().tolist() == [7.0, 3.6]
    colours = (figure.get_facecolor(), ax.get_facecolor(), ax.spines["left"].get_edgecolor())
    assert tuple(map(to_hex, colours)) == (plot.PAPER, plot.PAPER, plot.INK)
    assert min(mpl.rcParams["font.size"], mpl.rcParams["legend.fontsize"]) >= 9


def test_svg_is_the_same_each_time_has_no_date_and_only_known_colours():
    def draw():
        figure = plot.history(run(), baselines={"bigram": 2.5}).figure
        plot.bars(["a"], [1.0], errors=0.1, ax=figure.add_subplot(3, 3, 9))
        return drawn(figure)

    first = draw()
    assert first == draw()
    assert "<dc:date>" not in first
    assert "<text" in first  # words stay words
    known = {plot.PAPER, plot.INK, plot.GRID, *plot.COLORS}
    assert set(re.findall(r"#[0-9a-f]{6}", first)) <= known


def test_a_notebook_gets_svg_without_a_date(monkeypatch):
    asked = []
    fake = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    inline = SimpleNamespace(
        set_matplotlib_formats=lambda *formats, **options: asked.append((formats, options))
    )
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "matplotlib_inline.backend_inline", inline)
    plot.use_book_style()
    assert asked == [(("svg",), {"metadata": {"Date": None}})]


def test_the_package_alone_does_not_load_matplotlib():
    code = "import sys, minillm; assert 'matplotlib' not in sys.modules, 'loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tokens_are_made_visible():
    assert show_token(" a\tb\n") == "␣a⇥b⏎"


# --- maps
def test_attention_draws_queries_down_and_keys_across():
    weights = torch.rand(4, 4, requires_grad=True)
    ax = plot.attention(weights, WORDS)
    image = ax.images[0]
    np.testing.assert_allclose(image.get_array(), weights.detach().numpy(), rtol=1e-6)
    assert image.get_clim() == pytest.approx((0.0, weights.max().item()))
    assert tick_words(ax.yaxis) == tick_words(ax.xaxis) == ["The", "␣cat", "$5", "⏎"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("key (looked at)", "query (looks)")
    assert written(ax)[4] == f"{weights[1, 0]:.2f}"  # row by row
    assert ax.texts[4].get_position() == (0, 1)
    assert "$5" in drawn(ax.figure)


def test_cross_attention_has_two_sets_of_words():
    ax = plot.attention(np.eye(2, 3), ["a", "b"], ["x", "y", "z"])
    assert (tick_words(ax.yaxis), tick_words(ax.xaxis)) == (["a", "b"], ["x", "y", "z"])


def test_large_maps_have_no_numbers_and_nan_cells_none():
    assert not plot.attention(np.eye(9), list("abcdefghi")).texts
    assert written(plot.attention([[1.0, np.nan], [0.5, 0.5]], ["a", "b"])) == [
        "1.00",
        "0.50",
        "0.50",
    ]


def test_a_map_without_any_weight_can_be_drawn():
    drawn(plot.attention(np.zeros((2, 2)), ["a", "b"]).figure)


def test_attention_grid_has_one_map_a_head_on_one_scale():
    weights = torch.rand(5, 4, 4)
    figure = plot.attention_grid(weights, WORDS, n_columns=3)
    assert isinstance(figure, Figure)
    maps = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left") for ax in maps] == [f"head {i}" for i in range(5)]
    assert {ax.images[0].get_clim() for ax in maps} == {(0.0, 1.0)}
    for ax, expected in zip(maps, weights, strict=True):
        np.testing.assert_allclose(ax.images[0].get_array(), expected, rtol=1e-6)
    assert [bool(tick_words(ax.yaxis)) for ax in maps] == [True, False, False, True, False]
    assert [bool(tick_words(ax.xaxis)) for ax in maps] == [False, False, True, True, True]
    drawn(figure)


def test_confusion_shows_counts_and_colours_shares():
    ax = plot.confusion([[90, 10], [1, 4]], ["keep", "remove"])
    assert written(ax) == ["90", "10", "1", "4"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.9, 0.1], [0.2, 0.8]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    plot.confusion([[0, 0], [1, 4]], ["a", "b"])  # a class that never occurs


# --- curves
def test_history_draws_each_column_and_labels_the_baselines():
    ax = plot.history(run(), baselines={"bigram": 2.5, "5-gram": 1.524})
    training, validation, *rulers = ax.lines
    assert (len(training.get_xdata()), validation.get_xdata().tolist()) == (60, [20, 40, 60])
    assert validation.get_ydata().tolist() == [5 / 20, 5 / 40, 5 / 60]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["training", "validation"]
    assert [line.get_ydata()[0] for line in rulers] == [2.5, 1.524]
    assert written(ax) == ["bigram 2.50", "5-gram 1.52"]
    assert [text.xy for text in ax.texts] == [(1.0, 2.5), (1.0, 1.524)]
    assert {text.xycoords for text in ax.texts} == {("axes fraction", "data")}  # right edge
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("updates", "loss (nats per token)")


def test_history_leaves_out_what_was_not_measured():
    ax = plot.history(run(every=1000))
    assert [line.get_label() for line in ax.lines] == ["training"]
    assert plot.history(run(), columns=["lr"]).get_ylabel() == ""
    with pytest.raises(ValueError, match=r"'val_loss'.*was measured in History\(60 records\)"):
        plot.history(run(every=1000), columns=["val_loss"])
    with pytest.raises(ValueError, match="'accuracy' is no column"):
        plot.history(run(), columns=["accuracy"])


def test_runs_are_told_apart():
    ax = plot.runs({f"run {i}": run() for i in range(8)})
    looks = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    assert len(looks) == len(ax.lines) == 8
    assert ax.lines[0].get_xydata().tolist() == [[20, 5 / 20], [40, 5 / 40], [60, 5 / 60]]
    assert ax.get_ylabel() == "validation loss (nats per token)"
    with pytest.raises(ValueError, match="'b' never measured 'val_loss'"):
        plot.runs({"a": run(), "b": run(every=1000)})


def test_reliability_has_a_point_a_used_bin():
    ax = plot.reliability([0.62, 0.68, 0.91, 0.99, 1.0], [1, 0, 1, 1, 1], label="counts")
    diagonal, line = ax.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(line.get_xydata(), [[0.65, 0.5], [2.9 / 3, 1.0]])
    sizes = ax.collections[0].get_sizes()
    assert sizes[1] > sizes[0]
    plot.reliability([0.5], [True], label="second", ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["counts", "second"]
    assert len(ax.lines) == 3


# --- bars and words
def test_bars_are_in_order_from_the_top_with_their_values():
    ax = plot.bars(
        ["a", "b"], torch.tensor([0.5, 0.25]), errors=torch.tensor([0.02, 0.1]), number="{:.2f}"
    )
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.25]
    assert written(ax) == ["0.50", "0.25"]
    assert tick_words(ax.yaxis) == ["a", "b"]
    assert ax.yaxis_inverted()


def test_distribution_shows_the_most_probable_first():
    ax = plot.distribution(WORDS, torch.tensor([0.1, 0.6, 0.05, 0.25]), n=3)
    assert tick_words(ax.yaxis) == ["␣cat", "⏎", "The"]
    assert written(ax) == ["60.0%", "25.0%", "10.0%"]


def test_tensors_with_a_gradient_and_of_half_precision_are_drawn():
    p = torch.tensor([0.25, 0.5, 0.25], dtype=torch.bfloat16, requires_grad=True)
    assert plot.distribution(["a", "b", "c"], p).patches[0].get_width() == 0.5
    assert plot.bars(["a", "b", "c"], p).patches[0].get_width() == 0.25
    plot.surprisal(["a", "b", "c"], -p.log2())
    plot.reliability(p, p > 0.3)


def test_surprisal_colours_by_bits_and_wraps_lines():
    words = ["word"] + [" word"] * 20
    bits = np.arange(21.0)
    ax = plot.surprisal(words, bits)
    assert written(ax) == ["word"] + ["␣word"] * 20
    alphas = [patch.get_facecolor()[3] for patch in ax.patches]
    assert alphas == sorted(alphas)
    assert (alphas[0], alphas[-1]) == pytest.approx((0.0, 0.65), abs=0.01)
    right = [patch.get_x() + patch.get_width() for patch in ax.patches]
    assert max(right) <= 60
    assert {patch.get_y() for patch in ax.patches} == {0, 1}
    drawn(ax.figure)


def test_given_axes_are_drawn_on_and_no_figure_is_made():
    _, ax = plt.subplots()
    before = plt.get_fignums()
    for draw in (
        lambda: plot.attention(np.eye(2), ["a", "b"], ax=ax),
        lambda: plot.confusion(np.eye(2), ["a", "b"], ax=ax),
        lambda: plot.history(run(), ax=ax),
        lambda: plot.runs({"a": run()}, ax=ax),
        lambda: plot.bars(["a"], [1], ax=ax),
        lambda: plot.distribution(["a"], [1], ax=ax),
        lambda: plot.surprisal(["a"], [1], ax=ax),
        lambda: plot.reliability([0.5], [1], ax=ax),
    ):
        assert draw() is ax
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.attention(np.eye(3), ["a", "b"]), r"\(3, 3\), the labels ask for \(2, 2\)"),
        (lambda: plot.attention_grid(np.eye(2), ["a", "b"]), r"\(2, 2\).*\('any', 2, 2\)"),
        (lambda: plot.attention_grid(np.ones((2, 1, 1)), ["a"], titles=["x"]), "1 titles for 2"),
        (lambda: plot.confusion(np.eye(3), ["a"]), r"matrix has shape \(3, 3\)"),
        (lambda: plot.bars(["a"], [1, 2]), r"1 labels for values of shape \(2,\)"),
        (lambda: plot.distribution(["a"], [1, 2]), r"1 tokens for probabilities of shape \(2,\)"),
        (lambda: plot.surprisal(["a"], [1, 2]), r"1 tokens for bits of shape \(2,\)"),
        (lambda: plot.surprisal([], []), "0 tokens"),
        (lambda: plot.reliability([0.5], [1, 0]), r"\(1,\), correct \(2,\)"),
        (lambda: plot.reliability([1.5], [1]), "1.5"),
    ],
)
def test_things_that_do_not_fit_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()

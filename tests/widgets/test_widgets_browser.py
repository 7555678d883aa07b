"""The explorables in a real browser, mounted by the page's own runtime, without a kernel.

What the page shows must be what Python computes from the same data.
"""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from ipywidgets.embed import dependency_state

from minillm import widgets

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
VERSES = [
    verse.split()
    for verse in ("the cat sat down", "the dog sat", "the cat ran", "a dog ran off", "the cat sat")
]
TOKENS = ["The", " cat", " sat", " on", " it"]
COLOURS = {"light": ("#ffffff", "#222832"), "dark": ("#14181e", "#ced6dd")}


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def make_maps(seed, layers=3, heads=2):
    scores = np.random.default_rng(seed).normal(size=(layers, heads, 5, 5)) * 2
    return softmax(np.where(np.tri(5, dtype=bool), scores, -np.inf))


def make_runs():
    steps = list(range(0, 101, 10))
    return [
        {
            "name": f"{name} {rate}",
            "settings": {"optimiser": name, "rate": rate},
            "steps": steps,
            "val_loss": [4 - speed * float(rate) * step / 50 for step in steps],
            "note": f"Note of {name}.",
        }
        for name, speed in (("SGD", 0.5), ("Adam", 1.0))
        for rate in ("1", "1.5")
    ]


def make_desk():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 200)
    p = 1 / (1 + np.exp(-(rng.normal(size=200) + 2 * labels - 1)))
    return widgets.ThresholdDesk(
        {"words": p, "network": p**2},
        labels,
        [f"text {i}" for i in range(200)],
        temperatures={"network": 2.5},
        low=0.3,
        high=0.7,
    )


def make_all():
    return {
        "ngram": widgets.NGramExplorer.from_sequences(
            VERSES, min_bigram=1, min_trigram=1, written=["the"]
        ),
        "soft": widgets.SoftDictionary(),
        "attention": widgets.AttentionExplorer(
            {"The cat sat on it": (TOKENS, make_maps(1)), "another": (TOKENS, make_maps(2))},
            {(0, 0): "previous token", (2, 1): "first token"},
            {"loss change": np.linspace(-1, 1, 6).reshape(3, 2)},
            head=(1, 0),
        ),
        "twelve": widgets.AttentionExplorer({"twelve heads": (TOKENS, make_maps(3, heads=12))}),
        "runs": widgets.RunExplorer(make_runs(), {"bigram": 3.1, "trigram": 2.4}),
        "block": widgets.RunExplorer(make_runs(), {"bigram": 3.1}, mode="switches"),
        "guess": widgets.RunExplorer(make_runs(), predict=True),
        "desk": make_desk(),
    }


def document(shown, theme):
    """A page as MyST-NB and the book's extension write it."""
    back, front = COLOURS[theme]
    static = ROOT / "web" / "static"
    state = {"state": dependency_state(list(shown.values()), drop_defaults=False)}
    saved = json.dumps(state).replace("</", "<\\/")
    cells = []
    for name, widget in shown.items():
        content, _ = widget._repr_mimebundle_()
        view = json.dumps(content["application/vnd.jupyter.widget-view+json"])
        cells.append(
            f'<div class="output" id="{name}"><script type="application/vnd.jupyter.widget-view'
            f'+json">{view}</script><div class="widget-fallback">{content["text/html"]}</div></div>'
        )
    return (
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><title>Explorables</title>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>html{{color-scheme:{theme};--pst-color-background:{back};"
        f"--pst-color-text-base:{front};background:{back};color:{front}}}"
        "body{margin:0 auto;max-width:44rem;padding:0 1rem;font-family:sans-serif}"
        f"{(static / 'book.css').read_text()}</style></head><body><main><h1>Page</h1>"
        f"{''.join(cells)}</main>"
        '<script type="application/vnd.jupyter.widget-state+json">'
        f"{saved}</script>"
        f"<script>{(static / 'anywidget-static.js').read_text()}</script></body></html>"
    )


@pytest.fixture(scope="module")
def shown():
    return make_all()


@pytest.fixture
def show(open_page, shown):
    """Open a page with the named explorables."""

    def visit(*names, theme="light", **how):
        views = {name: shown[name] for name in names}
        return open_page(document(views, theme), mounted=len(names), **how)

    return visit


def line(page, name):
    return page.locator(f"#{name} .xp-line").inner_text()


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


def cells(page, selector):
    return [numbers(row.inner_text()) for row in page.locator(selector).all()]


# Every explorable -----------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_the_page_and_has_no_serious_accessibility_fault(show, shown, theme, width):
    page = show(*shown, theme=theme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.anywidget-static')]"
        ".every(e => e.scrollWidth <= e.clientWidth)"
    )
    assert AXE.exists(), "axe-core is not installed: run `make book` or `npm ci` once"
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [f["id"] for f in found if f["impact"] in ("serious", "critical")]
    assert serious == []


def test_fallback_gives_way_and_stays_without_javascript(show, shown):
    page = show(*shown)
    assert page.locator(".widget-fallback:visible").count() == 0
    for name in shown:
        assert line(page, name)
    page = show(*shown, javascript=False)
    for name, widget in shown.items():
        text = page.locator(f"#{name} .widget-fallback").inner_text()
        assert widget.fallback().sentence in text


def test_texts_from_data_are_never_markup(chromium, tmp_path):
    evil = "<img src=x onerror=document.title='hit'>"
    shown = {
        "desk": widgets.ThresholdDesk({evil: [0.9, 0.1]}, [0, 1], [evil, evil], names=(evil, evil)),
        "runs": widgets.RunExplorer([make_runs()[0] | {"name": evil, "note": evil}], {evil: 1.0}),
        "maps": widgets.AttentionExplorer({evil: ([evil, "b"], [[[[1, 0], [1, 0]]]])}),
    }
    file = tmp_path / "evil.html"
    file.write_text(document(shown, "light"), encoding="utf-8")
    page = chromium.new_page()
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('[data-mounted]').length === 3")
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    page.close()


# Finish the sentence --------------------------------------------------------------------------


def words(page):
    return page.locator("#ngram .xp-token").all_inner_texts()


def test_bars_are_the_mixture_that_python_computes(show, shown):
    page = show("ngram")
    model = shown["ngram"]
    probabilities = model.distribution(["the"])
    order = np.argsort(-probabilities, kind="stable")[:8]
    shown_rows = page.locator("#ngram .explorable tbody tr:visible").all()
    names = [row.locator("button").inner_text() for row in shown_rows]
    expected = [model.data["tokens"][i] for i in order if probabilities[i] > 0]
    assert [name.replace("⏹ end", "</s>") for name in names] == expected
    mixed = [numbers(row.locator("td").last.inner_text())[0] for row in shown_rows]
    np.testing.assert_allclose(mixed, 100 * probabilities[order][: len(mixed)], atol=0.51)


def test_writing_by_button_table_and_keyboard_costs_what_python_says(show, shown):
    page = show("ngram")
    page.get_by_role("button", name="Most likely").click()
    page.locator("#ngram .xp-word").nth(1).press("Enter")
    page.get_by_label("Your own word").fill("Dog")
    page.get_by_label("Your own word").press("Enter")
    written = words(page)
    assert written[:2] == ["the", "cat"]
    assert written[-1] == "dog"
    total = numbers(page.locator("#ngram .xp-sums").inner_text())[0]
    assert total == pytest.approx(shown["ngram"].bits(written), abs=0.051)


def test_unknown_word_is_named_and_not_written(show):
    page = show("ngram")
    page.get_by_label("Your own word").fill("zebra")
    page.get_by_label("Your own word").press("Enter")
    assert "“zebra” is not among" in line(page, "ngram")
    assert words(page) == ["the"]


def test_share_one_falls_silent_after_an_unseen_pair(show):
    page = show("ngram")
    page.get_by_label("Your own word").fill("off")
    page.get_by_label("Your own word").press("Enter")
    page.get_by_label("Share of the longest context").press("End")
    assert "Silent" in line(page, "ngram")
    assert page.get_by_role("button", name="Draw").is_disabled()
    page.get_by_label("Share of the longest context").press("ArrowLeft")
    assert not page.get_by_role("button", name="Draw").is_disabled()


def test_draws_repeat_after_reset_and_end_with_the_end(show):
    page = show("ngram")

    def drawn():
        page.locator("#ngram").get_by_role("button", name="Reset").click()
        button = page.get_by_role("button", name="Draw")
        while button.is_enabled() and len(words(page)) < 12:
            button.click()
        return words(page)

    assert drawn() == drawn()


def load(page, widget):
    """Import the widget's module in the page, as the runtime does."""
    page.evaluate(
        "async text => { window.module = await import(URL.createObjectURL("
        "new Blob([text], {type: 'text/javascript'}))) }",
        widget._esm,
    )


def test_ngram_arithmetic_is_python_s(show, shown):
    page = show("ngram")
    model = shown["ngram"]
    load(page, model)
    contexts = ([], ["the"], ["the", "cat"], ["off", "cat"])
    for context, order, mix in itertools.product(contexts, (1, 2, 3), (0.0, 0.4, 1.0)):
        found = page.evaluate(
            "([data, words, order, mix]) => { const d = new module.NGrams(data)"
            ".distribution(words, order, mix); return d && [...d] }",
            [model.data, context, order, mix],
        )
        expected = model.distribution(context, order, mix)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(found, expected, atol=1e-12)


def test_draws_follow_the_tempered_distribution(show, shown):
    page = show("ngram")
    load(page, shown["ngram"])
    counts = page.evaluate(
        "([data, n]) => { const g = new module.NGrams(data); const counts = [0, 0, 0];"
        "for (let i = 0; i < n; i++) counts[g.draw([0.2, 0, 0.8], 2, (i + 0.5) / n)]++;"
        "return counts }",
        [shown["ngram"].data, 3000],
    )
    assert counts == [1000, 0, 2000]  # sqrt(0.2) : sqrt(0.8) is 1 : 2


# A soft dictionary ----------------------------------------------------------------------------


def soft_table(page):
    return cells(page, "#soft .explorable tbody tr")


def test_arrow_keys_move_the_query_and_weights_follow_python(show):
    page = show("soft")
    handle = page.locator("#soft .xp-handle").last
    handle.press("ArrowLeft")
    handle.press("Shift+ArrowDown")
    page.get_by_label("Scores ×").press("End")
    expected = widgets.SoftDictionary(query=(0.9, 0.4), scale=8.0)
    table = np.array(soft_table(page))
    np.testing.assert_allclose(table[:, 1], expected.scores(), atol=0.0051)
    np.testing.assert_allclose(table[:, 2], 100 * expected.weights(), atol=0.051)
    mixed = numbers(page.locator("#soft .xp-mix").inner_text())
    np.testing.assert_allclose(mixed, expected.answer(), atol=0.51)


def test_dragging_stops_at_the_edge_and_reset_brings_back(show):
    page = show("soft")
    before = soft_table(page)
    handle = page.locator("#soft .xp-handle").first
    handle.hover()
    box = page.locator("#soft .xp-plane svg").bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + 2 * box["width"], box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert numbers(handle.get_attribute("aria-label"))[1:] == [2.0, 0.0]
    page.locator("#soft").get_by_role("button", name="Reset").click()
    assert soft_table(page) == before


def test_a_longer_query_keeps_its_direction(show):
    page = show("soft")
    for _ in range(5):
        page.get_by_role("button", name="Query × 1.5").click()
    x, y = numbers(page.locator("#soft .xp-handle").last.get_attribute("aria-label"))
    assert (x, y / x) == (2.0, pytest.approx(0.9, abs=0.01))


# Attention ------------------------------------------------------------------------------------


def told(widget, sentence, head, token):
    row = widget.weights(sentence, head)[token]
    best = int(row.argmax())
    return f"head {head[0]}.{head[1]}: “{TOKENS[token]}” looks at “{TOKENS[best]}”", row[best]


def check_line(page, expected):
    text, weight = expected
    said = line(page, "attention").replace("\xa0", " ")
    assert said.startswith(text)
    assert numbers(said.removeprefix(text))[0] == pytest.approx(100 * weight, abs=0.51)


def test_arrow_keys_choose_heads_and_the_line_says_where_the_token_looks(show, shown):
    page = show("attention")
    widget, text = shown["attention"], "The cat sat on it"
    check_line(page, told(widget, text, (1, 0), 4))
    page.locator("#attention [aria-selected=true] button").press("ArrowRight")
    check_line(page, told(widget, text, (1, 1), 4))
    page.keyboard.press("ArrowDown")
    check_line(page, told(widget, text, (2, 1), 4))
    page.keyboard.press("ArrowDown")
    check_line(page, told(widget, text, (2, 1), 4))
    assert "first token" in page.locator("#attention .xp-maps").inner_text()


def test_tokens_answer_to_focus_and_hover(show, shown):
    page = show("attention")
    widget, text = shown["attention"], "The cat sat on it"
    page.locator("#attention .xp-query").nth(2).focus()
    check_line(page, told(widget, text, (1, 0), 2))
    page.locator("#attention .xp-query").nth(3).hover()
    check_line(page, told(widget, text, (1, 0), 3))
    page.locator("#attention .xp-title").hover()
    check_line(page, told(widget, text, (1, 0), 2))


def test_other_sentence_and_score_shading(show, shown):
    page = show("attention")
    page.get_by_role("combobox", name="Sentence").select_option("another")
    check_line(page, told(shown["attention"], "another", (1, 0), 4))
    page.get_by_label("Shade the grid by").select_option("loss change")
    first = page.locator("#attention [role=gridcell] button").first
    assert first.get_attribute("aria-label") == "head 0.0, loss change -1"


def test_heads_can_be_walked_in_the_order_of_a_measure_by_keyboard(show, shown):
    page = show("attention")
    widget, text = shown["attention"], "The cat sat on it"
    assert page.locator("#attention .xp-ranked").is_hidden()
    page.get_by_label("Shade the grid by").select_option("loss change")
    scores = dict(
        zip(map(tuple, widget.data["heads"]), widget.data["scores"]["loss change"], strict=True)
    )
    order = sorted(scores, key=lambda head: -scores[head])
    slider = page.get_by_label("All heads, largest first")
    assert slider.get_attribute("aria-valuetext") == f"{order.index((1, 0)) + 1} of 6"
    slider.press("Home")
    check_line(page, told(widget, text, order[0], 4))
    slider.press("ArrowRight")
    check_line(page, told(widget, text, order[1], 4))
    assert "loss change 0.60" in page.locator("#attention .xp-sums").inner_text()
    buttons = page.get_by_role("group", name="Largest loss change").get_by_role("button")
    assert [numbers(text)[1] for text in buttons.all_inner_texts()] == [
        pytest.approx(scores[head], abs=0.005) for head in order
    ]
    buttons.nth(3).press("Enter")
    check_line(page, told(widget, text, order[3], 4))
    assert buttons.nth(3).get_attribute("aria-pressed") == "true"


def test_leaving_out_the_first_token_scales_the_rest(show, shown):
    page = show("attention")
    page.get_by_label("leave out the first token").check()
    row = shown["attention"].weights("The cat sat on it", (1, 0))[4][1:]
    shares = page.locator("#attention .xp-key-share").all_inner_texts()[1:]
    found = [numbers(share)[0] if share else 0.0 for share in shares]
    np.testing.assert_allclose(found, 100 * row / row.sum(), atol=0.51)


def test_maps_are_unpacked_exactly(show, shown):
    page = show("attention")
    widget = shown["attention"]
    load(page, widget)
    for sentence in widget.data["sentences"]:
        found = page.evaluate("s => module.readMaps(s, 6)", sentence)
        expected = [widget.weights(sentence["text"], tuple(head)) for head in widget.data["heads"]]
        np.testing.assert_allclose(found, expected, atol=1e-12)


# Runs -----------------------------------------------------------------------------------------


def test_filters_choose_runs_and_the_table_ranks_them(show, shown):
    page = show("runs")
    finals = sorted(shown["runs"].finals().values())
    assert [row[-2] for row in cells(page, "#runs .explorable tbody tr")] == [
        round(x, 3) for x in finals
    ]
    assert page.locator("#runs .xp-chart path").count() == 4
    page.locator("#runs").get_by_role("button", name="Adam", exact=True).press("Space")
    assert page.locator("#runs .xp-chart path").count() == 2
    assert "2 runs. The best is “SGD 1.5” ends at 2.500, better than bigram." in line(page, "runs")
    page.locator("#runs").get_by_role("button", name="SGD", exact=True).click()
    assert line(page, "runs") == "No stored run has these settings."


def test_switches_show_one_run_and_its_diagnosis(show):
    page = show("block")
    assert "“SGD 1” ends at 3.000, better than bigram. Note of SGD." in line(page, "block")
    page.locator("#block").get_by_label("Adam").check()
    page.locator("#block").get_by_label("1.5").check()
    assert "“Adam 1.5” ends at 1.000, better than bigram. Note of Adam." in line(page, "block")


def test_the_end_stays_hidden_until_the_guess_is_made(show):
    page = show("guess")
    box = page.locator("#guess")
    assert "?" in box.locator(".explorable tbody").inner_text()
    assert "3.000" not in box.inner_text()
    hidden = box.locator(".xp-chart path").get_attribute("d")
    for _ in range(4):
        box.locator(".xp-guess").press("Shift+ArrowDown")
    box.get_by_role("button", name="Reveal the end").click()
    assert "You said 3.80; “SGD 1” ended at 3.000, 0.80 lower." in line(page, "guess")
    assert len(box.locator(".xp-chart path").get_attribute("d")) > len(hidden)


# The moderator's desk -------------------------------------------------------------------------


def same_desk(shown, **changes):
    desk = shown["desk"]
    before = {name: getattr(desk, name) for name in changes}
    for name, value in changes.items():
        setattr(desk, name, value)
    result = desk.decide()
    for name, value in before.items():
        setattr(desk, name, value)
    return result


def check_desk(page, expected):
    harmful, harmless = cells(page, "#desk .explorable tbody tr")
    names = ("kept", "asked", "removed")
    assert harmful == [expected[f"{name}_1"] for name in names]
    assert harmless == [expected[f"{name}_0"] for name in names]
    cost = numbers(page.locator("#desk .xp-figures").inner_text())[0]
    assert cost == pytest.approx(expected["cost"], abs=0.00051)


def test_thresholds_costs_and_models_give_python_s_numbers(show, shown):
    page = show("desk")
    check_desk(page, same_desk(shown))
    page.locator("#desk .xp-grip-low").press("Shift+ArrowRight")
    page.get_by_label("Remove from", exact=True).press("ArrowLeft")
    check_desk(page, same_desk(shown, low=0.35, high=0.69))
    page.get_by_label("Miss costs").fill("12.5")
    costs = {"wrong": 1.0, "miss": 12.5, "look": 0.3}
    check_desk(page, same_desk(shown, low=0.35, high=0.69, costs=costs))
    page.get_by_label("Model").select_option("network")
    page.get_by_label("calibrate").check()
    changes = {"low": 0.35, "high": 0.69, "costs": costs, "model": "network", "calibrate": True}
    check_desk(page, same_desk(shown, **changes))


def test_thresholds_push_each_other_and_never_cross(show):
    page = show("desk")
    page.get_by_label("Keep below", exact=True).press("End")
    assert page.locator("#desk .xp-grip-high").get_attribute("aria-valuenow") == "1"
    page.get_by_label("Remove from", exact=True).press("Home")
    assert page.locator("#desk .xp-grip-low").get_attribute("aria-valuenow") == "0"


def test_a_price_that_is_no_number_is_marked_and_changes_nothing(show, shown):
    page = show("desk")
    field = page.get_by_label("Miss costs")
    field.fill("-3")
    assert field.get_attribute("aria-invalid") == "true"
    check_desk(page, same_desk(shown))


@pytest.mark.parametrize(
    ("button", "band"), [("Cheapest single threshold", False), ("Cheapest with people", True)]
)
def test_cheapest_thresholds_are_those_of_a_full_search(show, shown, button, band):
    page = show("desk")
    page.get_by_role("button", name=button).click()
    grid = np.arange(101) / 100
    desk = shown["desk"]
    p, labels = desk._probabilities("words", False), desk._labels
    pairs = [(a, b) for i, a in enumerate(grid) for b in (grid[i:] if band else [a])]
    costs = [
        (
            ((p >= b) & (labels == 0)).sum()
            + 5 * ((p < a) & (labels == 1)).sum()
            + 0.3 * ((p >= a) & (p < b)).sum()
        )
        / len(p)
        for a, b in pairs
    ]
    shown_cost = numbers(page.locator("#desk .xp-figures").inner_text())[0]
    assert shown_cost == pytest.approx(min(costs), abs=0.00051)


def test_worst_mistakes_are_listed(show, shown):
    page = show("desk")
    desk = shown["desk"]
    p = desk._probabilities("words", False)
    wrong = np.where((desk._labels == 0) & (p >= 0.7))[0]
    worst = wrong[np.argsort(-p[wrong], kind="stable")][:3]
    items = page.locator("#desk .xp-mistakes > div").last.locator("li").all_inner_texts()
    assert items == [f"{p[i]:.2f} text {i}" for i in worst]

"""Beam search as a tree: the steps against `beam_search`, the page against the steps."""

import math
import re
from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, ModelConfig, Restrained, beam_search, widgets
from minillm.inference.beam import BeamStep, beam_steps
from tests.widgets.test_widgets_browser import AXE, document, load

VOCAB = 30


def decode(ids):
    return "".join(f" w{i}" for i in ids)


def model(seed=0):
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=VOCAB, context_length=16, d_model=16, n_layers=1, n_heads=2)
    lm = CausalLM(config).eval()
    with torch.no_grad():
        for weights in lm.parameters():
            weights.mul_(8)  # distributions with something to choose
    return lm


PROMPT = torch.tensor([[1, 2, 3]])


def search(seed=0, steps=5, n_beams=3, n_dropped=3):
    how = {"max_new_tokens": steps}
    lm = model(seed)
    told = beam_steps(lm, PROMPT, n_beams=n_beams, n_dropped=n_dropped, **how)
    return told, beam_steps(lm, PROMPT, n_beams=1, n_dropped=0, **how)


def make(seed=0, **how):
    return widgets.BeamTree(*search(seed), decode, prompt="She saw", **how)


def falls_out():
    """A search that drops the greedy text before its end, found among a few models."""
    for seed in range(40):
        view = make(seed)
        if not next(n for n in view.nodes(5) if n["greedy"])["kept"]:
            return seed
    raise AssertionError("greedy is kept in all of the searches")


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_beams", [1, 3, VOCAB + 5])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_what_is_kept_are_the_hypotheses_of_beam_search(seed, n_beams, steps):
    told, _ = search(seed, steps, n_beams)
    last = told[-1]
    found = beam_search(
        model(seed), PROMPT, max_new_tokens=steps, n_beams=n_beams, length_penalty=0
    )
    assert [tuple(h.tokens.tolist()) for h in found] == last.texts[: last.kept]
    for h, total in zip(found, last.totals, strict=False):
        assert h.log_prob == pytest.approx(total, abs=1e-6)


def test_sums_are_those_of_the_model_and_nothing_better_was_left_out():
    lm, (told, _) = model(), search()
    parents = {(): 0.0}
    for step in told:
        candidates = {}
        for text, total in parents.items():
            tokens = torch.cat([PROMPT, torch.tensor([text], dtype=torch.long)], 1)
            log_p = lm(tokens)[0, -1].log_softmax(-1).tolist()
            candidates |= {(*text, i): (total + p, p) for i, p in enumerate(log_p)}
        best = sorted(candidates, key=lambda t: -candidates[t][0])[: len(step.texts)]
        assert step.texts == best
        for text, total, last in zip(step.texts, step.totals, step.log_probs, strict=True):
            assert (total, last) == pytest.approx(candidates[text], abs=1e-4)
        parents = dict(zip(step.texts[: step.kept], step.totals, strict=False))


def test_forbidden_tokens_are_no_candidates():
    lm = Restrained(
        model(), lambda z, _: torch.where(torch.arange(VOCAB) < 2, z, torch.tensor(-math.inf))
    )
    told = beam_steps(lm, PROMPT, max_new_tokens=2, n_beams=3)
    assert [len(step.texts) for step in told] == [2, 4]
    assert [step.kept for step in told] == [2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_beams": 0}, "n_beams=0"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"n_dropped": -1}, "n_dropped=-1 must be >= 0"),
        ({"tokens": torch.tensor([[1], [2]])}, "needs one prompt"),
        ({"max_new_tokens": 14}, "16"),
    ],
)
def test_bad_input_of_the_search_is_named(change, message):
    given = {"tokens": PROMPT, "max_new_tokens": 2, "n_beams": 2} | change
    with pytest.raises(ValueError, match=message):
        beam_steps(model(), given.pop("tokens"), **given)


def test_the_greedy_text_is_in_every_step():
    for seed in range(8):
        view, (_, alone) = make(seed), search(seed)
        for t in range(1, 6):
            (node,) = [n for n in view.nodes(t) if n["greedy"]]
            assert node["text"] == decode(alone[t - 1].texts[0])
            assert node["total"] == pytest.approx(alone[t - 1].totals[0], abs=1e-4)
    view = make(falls_out())
    assert len(view.nodes(5)) in (6, 7)


def test_parents_are_the_beginnings():
    view = make()
    for t in range(2, 6):
        for node in view.nodes(t):
            before = view.nodes(t - 1)[node["parent"]]
            assert before["text"] + node["token"] == node["text"]
            assert before["total"] + node["log_prob"] == pytest.approx(node["total"], abs=2e-4)
    assert {node["parent"] for node in view.nodes(1)} == {-1}


ONE = BeamStep([(3,), (4,)], [-0.5, -1.5], [-0.5, -1.5], kept=1)


@pytest.mark.parametrize(
    ("steps", "greedy", "how", "message"),
    [
        ([], [], {}, "the number of steps is 0, but must lie between 1 and 8"),
        ([ONE] * 9, [ONE] * 9, {}, "the number of steps is 9"),
        ([ONE], [ONE, ONE], {}, "got 1 steps of the search, but 2 greedy ones"),
        ([ONE], [ONE], {"step": 2}, "step is 2, but must lie between 1 and 1"),
        (
            [ONE, BeamStep([(9, 1)], [-1.0], [-1.0], 1)],
            [ONE, BeamStep([(3, 1)], [-1.0], [-1.0], 1)],
            {},
            r"the candidate \[9, 1\] does not grow from a beam",
        ),
        ([replace(ONE, kept=0, texts=[(i,) for i in range(13)], log_probs=[-1.0] * 13,
                  totals=[-1.0] * 13)], [ONE], {}, "the number of candidates is 13"),
    ],
)  # fmt: skip
def test_bad_input_is_named(steps, greedy, how, message):
    with pytest.raises(ValueError, match=message):
        widgets.BeamTree(steps, greedy, decode, **how)


def test_fallback_tells_what_was_kept():
    view = make()
    fallback = view.fallback()
    assert "with 3 beams and 5 steps after “She saw”" in fallback.sentence
    assert view.nodes(5)[0]["text"].strip() in fallback.sentence
    assert len(fallback.rows) == 5
    assert fallback.rows[0][1].count("|") == 2


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000, **how: open_page(
        document({"tree": view}, theme), width=width, **how
    )


def told(x):
    return f"{x:.2f}".replace("-", "−")


def agrees(page, view, step):
    """Table, tree and line show the step."""
    nodes = view.nodes(step)
    rows = page.locator(".xp-steps tbody tr").all()
    assert len(rows) == len(nodes)
    for row, node in zip(rows, nodes, strict=True):
        text, last, total, fate = row.locator("th, td").all_inner_texts()
        assert text == ("◆ " if node["greedy"] else "") + f"“{node['text'].strip()}”"
        assert (last, total) == (told(node["log_prob"]), told(node["total"]))
        assert fate == ("kept" if node["kept"] else "dropped")
    boxes = page.locator(".xp-tree g")
    assert boxes.count() == sum(len(view.nodes(t)) for t in range(1, step + 1))
    assert page.locator(".xp-edge.xp-greedy").count() == step
    alive = {i for i, node in enumerate(nodes) if node["kept"]}
    for t in range(step, 0, -1):
        looks = page.locator(".xp-tree g").evaluate_all(
            "(all, [from, to]) => all.slice(from, to).map(g => g.getAttribute('class'))",
            [sum(len(view.nodes(s)) for s in range(1, u)) for u in (t, t + 1)],
        )
        for i, (node, look) in enumerate(zip(view.nodes(t), looks, strict=True)):
            kept = "xp-alive" if i in alive else "xp-dead"
            assert look == (kept if node["kept"] else "xp-dropped")
        alive = {view.nodes(t)[i]["parent"] for i in alive}
    said = page.locator(".xp-line").inner_text()
    assert said.startswith(f"Step {step}:")
    assert told(nodes[0]["total"]) in said
    greedy = next(node for node in nodes if node["greedy"])
    if greedy is not nodes[0]:
        assert told(greedy["total"]) in said
        assert ("is not among the kept" in said) == (not greedy["kept"])


def test_steps_go_on_by_button_slider_and_keyboard(show):
    view = make(falls_out())
    page = show(view)
    agrees(page, view, 1)
    assert page.get_by_role("button", name="Back").is_disabled()
    for step in range(2, 6):
        page.get_by_role("button", name="Next step").press("Enter")
        agrees(page, view, step)
    assert page.get_by_role("button", name="Next step").is_disabled()
    page.get_by_role("slider", name="Step").press("ArrowLeft")
    agrees(page, view, 4)
    page.get_by_role("button", name="Back").click()
    agrees(page, view, 3)
    page.get_by_role("slider", name="Step").press("End")
    assert page.get_by_role("slider", name="Step").get_attribute("aria-valuetext") == "5 of 5"
    page.get_by_role("button", name="Reset").press("Space")
    agrees(page, view, 1)


def test_kept_and_dropped_differ_by_more_than_colour(show):
    page = show(make(), width=1000)
    looks = {
        name: page.locator(f".xp-tree g.{name} rect").first.evaluate(
            "e => [getComputedStyle(e).strokeDasharray, getComputedStyle(e).strokeWidth]"
        )
        for name in ("xp-alive", "xp-dropped")
    }
    assert looks["xp-alive"] == ["none", "2.5px"]
    assert looks["xp-dropped"] == ["4px, 3px", "1px"]


def test_living_are_the_ancestors(show):
    view = make()
    page = show(view)
    load(page, view)
    found = page.evaluate(
        "steps => module.living(steps).map(s => [...s].sort())", view.data["steps"]
    )
    alive = {0, 1, 2}
    for t in range(5, 0, -1):
        assert set(found[t - 1]) == alive
        alive = {view.nodes(t)[i]["parent"] for i in alive}


def test_tokens_are_never_markup(show):
    evil = "<img src=x onerror=document.title='hit'>"
    page = show(widgets.BeamTree([ONE], [ONE], lambda _: evil, prompt=evil))
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    assert evil in page.locator(".xp-steps tbody th").first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(falls_out(), step=5), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.xp-tree g')].every(g => {"
        " const box = g.querySelector('rect').getBoundingClientRect();"
        " return [...g.querySelectorAll('text')].every(t => {"
        " const r = t.getBoundingClientRect();"
        " return r.left >= box.left - 1 && r.right <= box.right + 1; }); })"
    ), "a text leaves its box"
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


def test_the_tree_follows_the_width(show):
    page = show(make(), width=1000)
    wide = page.locator(".xp-tree svg").bounding_box()["width"]
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function(
        "document.querySelector('.xp-tree svg').getBoundingClientRect().width < 370"
    )
    assert wide > 500


def test_without_javascript_the_fallback_stays(show):
    view = make()
    page = show(view, javascript=False)
    said = page.locator(".widget-fallback").inner_text()
    assert re.sub(r"\s+", " ", view.fallback().sentence) in re.sub(r"\s+", " ", said)

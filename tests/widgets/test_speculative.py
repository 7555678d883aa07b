"""Speculative decoding step by step: the rounds against the texts, the page against the rounds."""

import re

import pytest
import torch

from minillm import CausalLM, ModelConfig, Sampling, widgets
from minillm.inference.speculative import Round, Speculation, speculative_generate
from tests.widgets.test_widgets_browser import AXE, document

VOCAB = 12
PROMPT = torch.tensor([[1, 2]])


def decode(ids):
    return "".join(f" w{i}" for i in ids)


def model(seed, size=1.0):
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=VOCAB, context_length=40, d_model=16, n_layers=1, n_heads=2)
    lm = CausalLM(config).eval()
    with torch.no_grad():
        for weights in lm.parameters():
            weights.mul_(size)
    return lm


def written(k, seed=0, new=20):
    return speculative_generate(
        model(0, 6),
        model(1, 3),
        PROMPT,
        max_new_tokens=new,
        k=k,
        sampling=Sampling(),
        generator=torch.Generator().manual_seed(seed),
    )


RUNS = {"2 proposals": written(2), "5 proposals": written(5)}


def make(**how):
    return widgets.SpeculativeSteps(RUNS, decode, prompt="It was", **how)


# Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_rounds_add_up_to_the_text(k, seed):
    run = written(k, seed)
    added = torch.cat([one.added for one in run.rounds])
    assert torch.equal(run.tokens[0], torch.cat((PROMPT[0], added)))
    assert run.calls == len(run.rounds)
    assert run.accepted + run.calls == len(added)
    for one in run.rounds:
        stays = (one.chances * one.q < one.p).tolist()
        assert stays[: one.kept] == [True] * one.kept
        assert one.kept == len(stays) or not stays[one.kept]
    refusals = sum(one.kept < len(one.proposed) for one in run.rounds)
    assert run.judged == run.accepted + refusals


def test_both_probabilities_are_those_of_the_models():
    run, text = written(3), PROMPT
    for one in run.rounds:
        k = len(one.proposed)
        known = torch.cat((text, one.proposed[None]), 1)
        for lm, told in ((model(0, 6), one.p), (model(1, 3), one.q)):
            with torch.no_grad():
                rows = lm(known)[0, -k - 1 : -1].softmax(-1)
            torch.testing.assert_close(rows[torch.arange(k), one.proposed], told)
        text = torch.cat((text, one.added[None]), 1)


def test_what_the_page_gets_are_the_rounds():
    view = make()
    for name, run in RUNS.items():
        for told, one in zip(view.rounds(name), run.rounds, strict=True):
            assert [item["token"] for item in told["proposed"]] == [
                decode([i]) for i in one.proposed.tolist()
            ]
            for key, values in (("q", one.q), ("p", one.p), ("drawn", one.chances)):
                assert [item[key] for item in told["proposed"]] == pytest.approx(
                    values.tolist(), abs=5e-5
                )
            assert (told["kept"], told["own"]) == (one.kept, decode(one.own.tolist()))
        assert view.steps(name) == 2 * run.calls + run.judged


ROUND = Round(*(torch.zeros(2, dtype=torch.long), *torch.ones(3, 2)), 0, torch.tensor([0]))
LONG = Round(*(torch.zeros(13, dtype=torch.long), *torch.ones(3, 13)), 0, torch.tensor([0]))
TEXT = torch.tensor([[0]])


@pytest.mark.parametrize(
    ("runs", "how", "message"),
    [
        ({}, {}, "the number of runs is 0, but must lie between 1 and 6"),
        (dict.fromkeys("abcdefg", Speculation(TEXT, (ROUND,))), {}, "the number of runs is 7"),
        ({"a": Speculation(TEXT, ())}, {}, "the number of passes of 'a' is 0"),
        ({"a": Speculation(TEXT, (ROUND,) * 61)}, {}, "the number of passes of 'a' is 61"),
        ({"a": Speculation(TEXT, (LONG,))}, {}, "the number of proposals of 'a' is 13"),
        ({"a": Speculation(TEXT, (ROUND,))}, {"step": 4}, "step is 4, .* between 1 and 3"),
    ],
)
def test_bad_input_is_named(runs, how, message):
    with pytest.raises(ValueError, match=message):
        widgets.SpeculativeSteps(runs, decode, **how)


def test_the_rounds_of_an_unknown_run_are_refused():
    with pytest.raises(ValueError, match="run is 'x', but the choices are '2 proposals'"):
        make().rounds("x")


def test_fallback_counts_each_run():
    fallback = make().fallback()
    assert "after “It was”" in fallback.sentence
    for row, (name, run) in zip(fallback.rows, RUNS.items(), strict=True):
        counts = run.calls, run.tokens.shape[1] - 2, run.judged, run.accepted
        assert row == (name, *map(str, counts))


# The page, with no kernel ---------------------------------------------------------------------


@pytest.fixture
def show(open_page):
    """Open a page with one view."""
    return lambda view, theme="light", width=1000, **how: open_page(
        document({"steps": view}, theme), width=width, **how
    )


def walk(view, run):
    """Each step as it should be: pass, judged, whether it has ended, text, kept, sums."""
    text, judged, kept = [], 0, 0
    for number, one in enumerate(view.rounds(run)):
        tokens = [item["token"] for item in one["proposed"]]
        most = min(one["kept"] + 1, len(tokens))
        for j in range(most + 1):
            stay = min(j, one["kept"])
            yield {
                "pass": number,
                "fates": [
                    ("stays" if i < one["kept"] else "refused")
                    if i < j
                    else ("lost" if j > one["kept"] else "open")
                    for i in range(len(tokens))
                ],
                "text": text + tokens,
                "sums": (len(text) + stay, number, kept + stay, judged + j),
            }
        text = [*text, *tokens[: one["kept"]], one["own"]]
        judged, kept = judged + most, kept + one["kept"]
        yield {"pass": number, "text": text, "sums": (len(text), number + 1, kept, judged)}


def agrees(page, view, run, wanted):
    assert (
        page.locator(".xp-piece").evaluate_all(
            "all => all.filter(e => e.closest('.xp-written')).map(e => e.textContent)"
        )
        == (wanted["text"])
    )
    one = view.rounds(run)[wanted["pass"]]
    rows = [
        row.locator("th, td").all_inner_texts() for row in page.locator(".xp-steps tbody tr").all()
    ]
    assert len(rows) == len(one["proposed"]) + 1
    for row, item, fate in zip(rows, one["proposed"], wanted.get("fates", []), strict=False):
        assert row[0] == f"“{item['token']}”".replace(" ", "\u00a0")
        assert row[5].split("\u00a0")[1] == fate
        judged = fate in ("stays", "refused")
        ratio = "≥ 1" if item["p"] >= item["q"] else f"{item['p'] / item['q']:.2f}"
        assert row[3:5] == ([ratio, f"{item['drawn']:.2f}"] if judged else ["", ""])
    tokens, passes, kept, judged = wanted["sums"]
    said = page.locator(".xp-line").inner_text()
    assert re.search(rf"So far {tokens} tokens? in {passes} pass(es)?;", said)
    assert f"{kept} of {judged} judged proposals stayed" in said
    if "fates" not in wanted:
        assert rows[-1][0] == f"“{one['own']}”".replace(" ", "\u00a0")
        refused = one["kept"] < len(one["proposed"])
        assert ("(p − q)₊" in said) == refused


def test_each_step_by_keyboard(show):
    view = make()
    page = show(view)
    steps = list(walk(view, "2 proposals"))
    assert len(steps) == view.steps("2 proposals")
    for step in steps:
        agrees(page, view, "2 proposals", step)
        page.get_by_role("slider", name="Step").press("ArrowRight")
    assert page.get_by_role("button", name="Next step").is_disabled()
    page.get_by_role("button", name="Reset").press("Enter")
    agrees(page, view, "2 proposals", steps[0])
    assert page.get_by_role("button", name="Back").is_disabled()


def test_runs_and_passes(show):
    view = make()
    page = show(view)
    page.get_by_role("radio", name="2 proposals").press("ArrowRight")
    steps = list(walk(view, "5 proposals"))
    agrees(page, view, "5 proposals", steps[0])
    firsts = [i for i, step in enumerate(steps) if i and step["pass"] > steps[i - 1]["pass"]]
    for i in firsts:
        page.get_by_role("button", name="Next pass").press("Enter")
        agrees(page, view, "5 proposals", steps[i])
    page.get_by_role("button", name="Next pass").click()
    agrees(page, view, "5 proposals", steps[-1])
    boxes = page.locator(".xp-passes rect")
    assert boxes.count() == sum(len(one["proposed"]) + 1 for one in view.rounds("5 proposals"))
    wanted = []
    for one in RUNS["5 proposals"].rounds:
        behind = len(one.proposed) - one.kept - 1
        refused = ["xp-refused", *["xp-lost"] * behind] if behind >= 0 else []
        wanted += ["xp-stays"] * one.kept + ["xp-own", *refused]
    assert boxes.evaluate_all("all => all.map(e => e.getAttribute('class'))") == wanted
    assert page.locator(".xp-passes .xp-own").count() == RUNS["5 proposals"].calls
    assert page.locator(".xp-passes .xp-stays").count() == RUNS["5 proposals"].accepted
    page.get_by_role("button", name="Back").click()
    agrees(page, view, "5 proposals", steps[-2])


def test_tokens_are_never_markup(show):
    evil = "<img src=x onerror=document.title='hit'>"
    page = show(widgets.SpeculativeSteps(RUNS, lambda _: evil, prompt=evil))
    assert (page.title(), page.locator("img").count()) == ("Explorables", 0)
    assert evil in page.locator(".xp-written").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_has_no_serious_accessibility_fault(show, theme, width):
    page = show(make(step=4), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.locator(".explorable").evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 1, "a part leaves the frame"
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


def test_fates_differ_by_more_than_colour(show):
    page = show(make())
    page.get_by_role("slider", name="Step").press("End")
    looks = {
        name: page.locator(f".xp-passes rect.{name}").first.evaluate(
            "e => { const s = getComputedStyle(e);"
            " return [s.fill === 'none', s.strokeWidth, s.strokeDasharray]; }"
        )
        for name in ("xp-stays", "xp-own", "xp-refused")
    }
    assert len({tuple(look) for look in looks.values()}) == 3


def test_without_javascript_the_fallback_stays(show):
    view = make()
    page = show(view, javascript=False)
    said = page.locator(".widget-fallback").inner_text()
    assert re.sub(r"\s+", " ", view.fallback().sentence) in re.sub(r"\s+", " ", said)

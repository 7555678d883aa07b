"""The playground in a real browser, from a file, with no other host: what it shows and writes."""

import base64
import re
import time

import pytest
import torch
from playwright.sync_api import expect

import minillm
from minillm import ablate_heads, widgets
from minillm.widgets.base import MAX_STATE
from tests.widgets.test_widgets_browser import AXE, document, numbers

TEXT = "Omar wanted a kite. He"
SECONDS = 60_000
GREEDY = minillm.Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def nano():
    return minillm.load("story-gpt-nano")


def playground(nano, **how):
    how = {"text": TEXT, "name": "story-gpt-nano", "examples": ["Once Keiko lost her"]} | how
    return widgets.Playground(nano.model, nano.tokenizer, **how)


@pytest.fixture(scope="module")
def greedy(nano):
    return document({"view": playground(nano, sampling=GREEDY)}, "light")


@pytest.fixture
def show(open_page, greedy):
    def visit(html=None, *, ready=True, **how):
        page = open_page(html or greedy, **how)
        page.set_default_timeout(SECONDS)
        if ready:
            page.wait_for_selector(".pg[data-ready]", timeout=SECONDS)
        return page

    return visit


def area(page):
    return page.get_by_label("Your text")


def bars(page):
    rows = page.locator(".pg-next tbody tr:visible").all()
    return [(row.locator("button").inner_text(), numbers(row.inner_text())) for row in rows]


def expected_rows(nano, text, **sampling):
    """The eight likeliest tokens as Python has them: piece, own share, share that is drawn."""
    start = nano.tokenizer.special["<|endoftext|>"]
    with torch.no_grad():
        logits = nano.model(torch.tensor([[start, *nano.tokenizer.encode(text)]]))[0, -1]
    shares = minillm.apply_filters(logits, minillm.Sampling(**sampling)).softmax(-1)
    best = logits.topk(8).indices
    names = [nano.tokenizer.decode([i]).replace(" ", "·") for i in best.tolist()]
    return names, logits.softmax(-1)[best].tolist(), shares[best].tolist()


def check_bars(page, names, own, drawn):
    """The bars become what Python has; the page redraws them some time after a change."""
    end = time.monotonic() + SECONDS / 1000
    while (wrong := wrong_bars(page, names, own, drawn)) and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert wrong == []


def wrong_bars(page, names, own, drawn):
    rows, wrong = bars(page), []
    if len(rows) != len(names):
        return [f"{len(rows)} rows, not {len(names)}"]
    for (piece, found), name, p, q in zip(rows, names, own, drawn, strict=True):
        right = piece == name
        if p >= 0.001:
            right &= found[0] == pytest.approx(100 * p, abs=0.51 if p >= 0.0995 else 0.051)
        if q >= 0.001 and p >= 0.001:
            right &= found[1] == pytest.approx(100 * q, abs=0.51 if q >= 0.0995 else 0.051)
        wrong += [] if right else [(piece, found, name, 100 * p, 100 * q)]
    return wrong


def settled(page):
    page.wait_for_function("!document.querySelector('.pg').textContent.includes('Writing.')")
    return area(page).input_value()


# Text and the next token ----------------------------------------------------------------------


def test_bars_follow_what_is_typed(show, nano):
    page = show(document({"view": playground(nano)}, "light"))
    check_bars(page, *expected_rows(nano, TEXT))
    assert page.locator(".pg").get_attribute("data-worker") == "true"
    area(page).press_sequentially(" lost")
    check_bars(page, *expected_rows(nano, TEXT + " lost"))
    area(page).fill("🙂 שלום עולם")
    check_bars(page, *expected_rows(nano, "🙂 שלום עולם"))
    area(page).fill("")
    check_bars(page, *expected_rows(nano, ""))
    page.get_by_label("Begin with").select_option("Once Keiko lost her")
    check_bars(page, *expected_rows(nano, "Once Keiko lost her"))


def test_sliders_change_what_is_drawn(show, nano):
    page = show(document({"view": playground(nano, text="Omar")}, "light"))
    page.get_by_label("Temperature").press("End")
    check_bars(page, *expected_rows(nano, "Omar", temperature=2.0))
    page.get_by_label("Top-k").press("ArrowRight")
    page.get_by_label("Top-k").press("ArrowRight")
    page.get_by_label("Top-k").press("ArrowRight")
    check_bars(page, *expected_rows(nano, "Omar", temperature=2.0, top_k=3))
    expect(page.locator(".pg .xp-line")).to_contain_text("3 tokens can be drawn")
    page.get_by_label("Top-k").press("Home")
    for _ in range(6):
        page.get_by_label("Top-p").press("ArrowLeft")
    check_bars(page, *expected_rows(nano, "Omar", temperature=2.0, top_p=0.7))


def test_it_writes_what_minillm_writes(show, nano):
    page = show()
    page.get_by_label("Pace").select_option("as fast as it can")
    page.get_by_role("button", name="Write on").press("Enter")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    page.get_by_role("button", name="Write on").wait_for()
    start = nano.tokenizer.special["<|endoftext|>"]
    ids = torch.tensor([[start, *nano.tokenizer.encode(TEXT)]])
    out = minillm.generate(nano.model, ids, max_new_tokens=200, stop=[start])[0].tolist()[1:]
    story = nano.tokenizer.decode(out[: out.index(start)] if start in out else out)
    assert len(story) > 200
    assert settled(page) == story
    assert "tokens in" in page.locator(".pg .xp-line").inner_text()
    assert float(page.locator(".pg").get_attribute("data-speed")) > 10


def test_a_story_longer_than_the_context_goes_on_as_minillm_does(show, nano):
    text = " ".join([TEXT, "wanted it."] * 27)
    start = nano.tokenizer.special["<|endoftext|>"]
    ids = [start, *nano.tokenizer.encode(text)]
    assert 240 < len(ids) <= 256
    out = minillm.generate(nano.model, torch.tensor([ids]), max_new_tokens=24)[0].tolist()
    assert start not in out[1:]
    page = show(document({"view": playground(nano, text=text, sampling=GREEDY)}, "light"))
    for _ in range(24):
        before = area(page).input_value()
        page.get_by_role("button", name="One token").click()
        expect(area(page)).not_to_have_value(before)
    assert area(page).input_value() == nano.tokenizer.decode(out[1:])
    assert page.locator(".pg-token").count() < 160
    assert "longer than the model can read" in page.locator(".pg").inner_text()


def test_one_token_back_and_the_choice_of_another(show, nano):
    page = show()
    count = page.locator(".pg-token").count()
    second = bars(page)[1][0]
    page.get_by_role("button", name="Append").nth(1).press("Enter")
    expect(page.locator(".pg-token")).to_have_count(count + 1)
    assert area(page).input_value() == TEXT + second.replace("·", " ")
    assert "pg-written" in page.locator(".pg-token").last.get_attribute("class")
    page.get_by_role("button", name="Take one back").press("Enter")
    expect(area(page)).to_have_value(TEXT)
    page.get_by_role("button", name="Take one back").press("Enter")
    expect(area(page)).to_have_value("Omar wanted a kite.")
    expect(page.locator(".pg-token")).to_have_count(count - 1)


def test_typing_stops_the_writing(show):
    page = show()
    page.get_by_label("Pace").select_option("slow")
    page.get_by_role("button", name="Write on").click()
    page.wait_for_function(f"document.querySelector('textarea').value.length > {len(TEXT) + 4}")
    area(page).press_sequentially("Keiko")
    page.get_by_role("button", name="Write on").wait_for()
    text = area(page).input_value()
    assert text.startswith(TEXT)
    assert text.endswith("Keiko")
    page.wait_for_timeout(600)
    assert area(page).input_value() == text
    expect(page.locator(".pg-token").last).not_to_have_class(re.compile("pg-written"))


# Views into the model -------------------------------------------------------------------------


def test_keyboard_goes_through_tokens_heads_and_tabs(show, nano):
    page = show()
    line = page.locator(".pg .xp-line")
    page.locator(".pg-token[aria-pressed=true]").press("Home")
    expect(page.locator(".pg-token").first).to_have_attribute("aria-pressed", "true")
    expect(line).to_contain_text("Layer 0, head 0: “start” looks at “start” with 100 %")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pg-token").nth(1)).to_be_focused()
    page.locator(".pg-head[aria-pressed=true]").press("ArrowDown")
    expect(line).to_contain_text("Layer 1, head 0")
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("Layer 1, head 1")
    page.get_by_role("tab", name="Attention").press("ArrowRight")
    expect(page.get_by_role("tab", name="Layer by layer")).to_be_focused()
    expect(page.locator(".pg-lens")).to_be_visible()
    expect(line).to_contain_text("comes first after")
    assert page.locator(".pg-lens tbody tr").count() == 5
    stops = page.locator(".pg-tokens button:not([tabindex='-1'])").count()
    assert stops == 1, "one stop of the Tab key for all tokens"


def test_attention_row_is_that_of_minillm(show, nano):
    page = show()
    start = nano.tokenizer.special["<|endoftext|>"]
    ids = torch.tensor([[start, *nano.tokenizer.encode(TEXT)]])
    row = minillm.attention_maps(nano.model, ids)[2, 0, 3, -1]
    page.get_by_role("button", name="head 2.3").click()
    expect(page.locator(".pg .xp-line")).to_contain_text("Layer 2, head 3")
    rows = page.locator(".pg-attention table tr").all_inner_texts()
    best = row.topk(6)
    for text, place, weight in zip(rows, best.indices.tolist(), best.values.tolist(), strict=True):
        found = numbers(text)
        assert found[0] == place
        assert found[-1] == pytest.approx(100 * weight, abs=0.51)


def test_a_head_off_changes_bars_text_and_cost(show, nano):
    page = show(document({"view": playground(nano)}, "light"))
    page.get_by_role("tab", name="Switch parts off").click()
    page.get_by_role("button", name="head 1 of layer 0").press("Space")
    with ablate_heads(nano.model, {(0, 1): 0.0}):
        check_bars(page, *expected_rows(nano, TEXT))
    expect(page.locator(".pg .xp-line")).to_contain_text("With 1 part off the text costs")
    expect(page.get_by_text("Parts of the model are off.")).to_be_visible()
    page.get_by_role("button", name="the whole layer 3").click()
    expect(page.locator(".pg .xp-line")).to_contain_text("With 3 parts off")
    page.get_by_role("button", name="Everything on").first.click()
    check_bars(page, *expected_rows(nano, TEXT))
    expect(page.get_by_text("Parts of the model are off.")).to_be_hidden()


def test_tour_lights_each_part_and_draws_at_its_end(show, nano):
    page = show()
    page.get_by_role("tab", name="One token's way").click()
    lit = []
    for step in range(1, 9):
        expect(page.locator(".pg-tour .pg-label")).to_contain_text(f"{step} of 8")
        lit += [page.locator(".pg-now").first.get_attribute("data-part")]
        if step == 1:
            number = nano.tokenizer.encode(TEXT)[-1]
            assert f"“ He”, number {number} of 2,048" in page.locator(
                ".pg-step"
            ).inner_text().replace("\xa0", " ")
        page.locator(".pg-tour .xp-strong").press("Enter")
    parts = "embedding position norm heads residual ffn logits sampling"
    assert lit == parts.split()
    expect(page.locator(".pg-tour .pg-label")).to_contain_text("1 of 8")
    expect(area(page)).not_to_have_value(TEXT)


# Form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_the_page_and_has_no_serious_accessibility_fault(show, nano, theme, width):
    views = {"view": playground(nano), "small": playground(nano, size="small")}
    page = show(document(views, theme), mounted=2, width=width)
    page.add_script_tag(path=str(AXE))
    for name in ["Attention", "Layer by layer", "Switch parts off", "One token's way"]:
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [f for f in found if f["impact"] in ("serious", "critical")]
        assert [(f["id"], f["nodes"][0]["html"]) for f in serious] == [], name


def test_small_loads_when_it_is_used(show, nano):
    page = show(document({"view": playground(nano, size="small")}, "light"), ready=False)
    page.wait_for_timeout(300)
    assert page.locator(".pg[data-ready]").count() == 0
    check_bars(page, *(row[:5] for row in expected_rows(nano, TEXT)))
    area(page).press_sequentially(" lost")
    check_bars(page, *(row[:5] for row in expected_rows(nano, TEXT + " lost")))
    assert page.get_by_role("tab").count() == 0


def test_without_javascript_a_picture_and_a_sentence_remain(show, greedy):
    page = show(greedy, ready=False, javascript=False)
    assert "runs where there is JavaScript" in page.locator(".widget-fallback").inner_text()
    assert page.get_by_role("img", name="The likeliest next tokens as bars.").is_visible()


# Bad input ------------------------------------------------------------------------------------


def test_fifty_thousand_characters(show):
    page = show()
    area(page).fill("lost " * 10_000)
    expect(page.locator(".pg")).to_contain_text("it sees the last 256 tokens")
    assert page.locator(".pg-token").count() == 256
    area(page).fill(TEXT)
    expect(page.locator(".pg")).not_to_contain_text("it sees the last")


def test_no_worker_and_no_storage(chromium, greedy, tmp_path, nano):
    file = tmp_path / "page.html"
    file.write_text(greedy, encoding="utf-8")
    page = chromium.new_page()
    page.add_init_script(
        "delete window.Worker;"
        "for (const name of ['localStorage', 'sessionStorage', 'indexedDB', 'caches'])"
        "Object.defineProperty(window, name, {get() { throw new Error('no storage'); }});"
    )
    page.goto(file.as_uri())
    page.wait_for_selector(".pg[data-ready]", timeout=SECONDS)
    assert page.locator(".pg").get_attribute("data-worker") == "false"
    check_bars(page, *expected_rows(nano, TEXT, top_k=1))
    page.close()


@pytest.mark.parametrize("keep", [1000, 0])
def test_a_damaged_model_is_told_in_a_sentence(show, nano, keep):
    view = playground(nano)
    view.weights = view.weights[: -1000 if keep else 0]
    page = show(document({"view": view}, "light"), ready=False)
    told = "cut off" if keep else "holds no weights"
    expect(page.get_by_role("alert")).to_contain_text(told)
    area(page).fill("The page still takes text")
    expect(page.get_by_role("alert")).to_contain_text(told)
    expect(page.locator(".pg .xp-line")).to_have_text("The model is not running.")


def test_letters_that_are_not_in_the_alphabet(show):
    config = minillm.ModelConfig(vocab_size=6, context_length=8, d_model=8, n_layers=1, n_heads=2)
    tokenizer = minillm.CharTokenizer("sea shell")
    view = widgets.Playground(minillm.CausalLM(config), tokenizer, text="sea")
    page = show(document({"view": view}, "light"))
    area(page).fill("seq")
    expect(page.get_by_role("alert")).to_contain_text("no “q”: it knows 6 characters")
    page.get_by_role("button", name="One token").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert area(page).input_value() == "seq"
    area(page).fill("")
    expect(page.get_by_role("alert")).to_contain_text("There is no text yet")
    area(page).fill("shell")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="One token").click()
    expect(page.locator(".pg-token")).to_have_count(6)


def test_a_page_holds_the_weights_once(greedy, nano):
    held = base64.b64encode(playground(nano).weights).decode()
    assert greedy.count(held) == 1
    assert len(greedy) - len(held) < 2 * MAX_STATE

"""Byte-pair encoding, merge by merge: the page cuts as the package does, without a kernel."""

import pytest

from minillm import BPETokenizer, widgets
from minillm.tokenizer import SMOLLM2_PATTERN
from minillm.widgets.merges import longest_pieces
from tests.widgets.test_widgets_browser import AXE, document

RHYME = (
    "she sells sea shells by the sea shore and the females saw female whales under a scale of "
    "tales while males and their sales went further than anybody had ever thought possible "
) * 3
MIXED = "naïve 你好\u3000her's\n\n  42 \x1c é\ufeffx \u2009🙂 females !\ufeff! ?\u0085?"
CUTTERS = {
    "rhyme": BPETokenizer.train(RHYME, 256 + 40),
    "digits": BPETokenizer.train(
        "你好 1998 1999 你好 naïve " * 3 + RHYME, 296, pattern=SMOLLM2_PATTERN
    ),
}


def make(text="she sells females", n_merges=3):
    return widgets.MergeExplorer(CUTTERS, text, n_merges=n_merges, limit=40)


def visible(pieces):
    """Tokens as the page writes them."""
    shown = []
    for piece in pieces:
        try:
            text = piece.decode()
            shown.append(text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥"))
        except UnicodeDecodeError:
            shown.append(f"⟨{piece.hex(' ').upper()}⟩")
    return shown


@pytest.fixture
def show(open_page):
    """Open a page with one explorable."""
    return lambda widget, theme="light", **how: open_page(
        document({"merges": widget}, theme), **how
    )


def tokens(page):
    return page.locator(".xp-cut li").all_inner_texts()


def line(page):
    return page.locator(".xp-line").inner_text()


# Python ----------------------------------------------------------------------------------------


def test_all_merges_cut_as_the_tokenizer_does():
    for name, cutter in CUTTERS.items():
        view = make(MIXED, 40)
        view.vocabulary = name
        assert view.pieces() == [cutter.tokens[i] for i in cutter.encode(MIXED)]
        view.merges = 0
        assert view.pieces() == [bytes([byte]) for byte in MIXED.encode()]


def test_longest_piece_differs_from_merges_in_their_order():
    view = make("females", 40)
    in_order = view.pieces()
    view.rule = "longest"
    assert b"".join(view.pieces()) == b"".join(in_order) == b"females"
    known = {b"fem", b"female", b"ales", b"s"}
    assert longest_pieces(b"females?", known) == [b"female", b"s", b"?"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizers": {}}, "0 tokenizers"),
        ({"limit": 41}, "has 40 merges, limit is 41"),
        ({"text": "x" * 161}, "161 characters, the limit is 160"),
        ({"n_merges": 41}, "n_merges is 41"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"tokenizers": CUTTERS, "text": "she", "n_merges": 0, "limit": 40} | change
    with pytest.raises(ValueError, match=message):
        widgets.MergeExplorer(given.pop("tokenizers"), given.pop("text"), **given)


def test_fallback_tells_the_cut_and_leaves_the_state_alone():
    view = make()
    table = view.fallback()
    assert view.merges == 3
    assert table.rows[0][:2] == ("0", str(len("she sells females")))
    assert "she sells females" in table.sentence


# In the page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CUTTERS))
@pytest.mark.parametrize("n", [0, 3, 17, 40])
@pytest.mark.parametrize("rule", ["merges", "longest"])
def test_the_page_cuts_as_python_does(show, name, n, rule):
    view = make(n_merges=n)
    view.text, view.vocabulary, view.rule = MIXED.replace("\n", " "), name, rule
    expected = visible(view.pieces())
    assert tokens(show(view)) == expected
    assert f"{len(expected)} tokens" in line(show(view))


def test_words_are_cut_where_python_cuts_them(show):
    view = make()
    page = show(view)
    page.evaluate(
        "async text => { window.module = await import(URL.createObjectURL("
        "new Blob([text], {type: 'text/javascript'}))) }",
        view._esm,
    )
    for packed, cutter in zip(view.data["vocabularies"], CUTTERS.values(), strict=True):
        words = page.evaluate(
            "([packed, text]) => module.byMerges(text, module.read(packed), 0).words",
            [packed, MIXED],
        )
        assert [len(word) for word in words] == [len(w.encode()) for w in cutter.split(MIXED)]


def test_typing_and_the_keyboard_drive_it(show):
    view = make(n_merges=0)
    page = show(view)
    field = page.get_by_label("Your text")
    field.fill("the sea")
    view.text = "the sea"
    assert tokens(page) == visible(view.pieces())
    page.get_by_label("Merges known").press("ArrowRight")
    page.get_by_label("Merges known").press("ArrowRight")
    view.merges = 2
    assert tokens(page) == visible(view.pieces())
    page.get_by_label("Merges known").press("End")
    view.merges = 40
    assert tokens(page) == visible(view.pieces())
    page.get_by_label("rhyme").press("ArrowRight")
    view.vocabulary = "digits"
    assert tokens(page) == visible(view.pieces())
    field.fill("")
    assert tokens(page) == []
    assert "0 tokens for 0 characters" in line(page)


def test_next_joins_the_framed_pair_and_undo_takes_it_back(show):
    view = make("she sells sea shells", 0)
    page = show(view)
    while page.get_by_role("button", name="Next merge here").is_enabled():
        before, framed = tokens(page), page.locator(".xp-lit").all_inner_texts()
        page.get_by_role("button", name="Next merge here").press("Enter")
        after = tokens(page)
        assert len(after) == len(before) - len(framed) / 2
        assert framed[0] + framed[1] in after
        page.get_by_role("button", name="Undo one").press("Enter")
        assert tokens(page) == before
        page.get_by_role("button", name="Next merge here").press("Enter")
    view.merges = 40
    assert tokens(page) == visible(view.pieces())
    assert "No further merge" in line(page)
    page.get_by_role("button", name="None").click()
    view.merges = 0
    assert tokens(page) == visible(view.pieces())
    assert page.get_by_role("button", name="Undo one").is_disabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_fits_and_is_accessible(show, theme, width):
    page = show(make("<b>she</b> sells " + 4 * "females ", 5), theme=theme, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".xp-cut b").count() == 0
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []


def test_without_javascript_the_fallback_stays(show):
    view = make()
    page = show(view, javascript=False)
    assert view.fallback().sentence in page.locator(".widget-fallback").inner_text()

"""The Python half of the explorables: data in, checked, packed, and told in words."""

import base64
import importlib
import json
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

from minillm import BPETokenizer, CausalLM, CharTokenizer, ModelConfig, Sampling, widgets
from minillm.inference.beam import BeamStep
from minillm.inference.speculative import Round, Speculation
from minillm.widgets import base, pack
from minillm.widgets.ngram import count_grams

VERSES = [s.split() for s in ("the cat sat", "the dog sat", "the cat ran", "a dog ran off")]
HALF = [[1.0, 0.0], [0.25, 0.75]]
STEP = BeamStep([(3,), (4,)], [-0.5, -1.5], [-0.5, -1.5], kept=1)
IDS, TWO = torch.tensor([3, 4]), torch.tensor([0.5, 0.25])
ROUND = Round(IDS, TWO, TWO, TWO, 2, IDS[:1])
RUN = {"name": "a", "settings": {"rate": "0.1"}, "steps": [0, 5, 9], "val_loss": [3.0, 2.5, 2.0]}


def ngrams(**controls):
    return widgets.NGramExplorer.from_sequences(VERSES, min_bigram=1, min_trigram=1, **controls)


def playground(tokenizer=None, **how):
    tokenizer = tokenizer or CharTokenizer("sea shell")
    sizes = {"context_length": 8, "d_model": 8, "n_layers": 1, "n_heads": 2}
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **sizes)
    return widgets.Playground(CausalLM(config), tokenizer, **how)


def make_all():
    return [
        ngrams(written=["the"]),
        widgets.BeamTree([STEP], [STEP], str, prompt="to"),
        widgets.ModelSize(),
        widgets.RankExplorer({"W": [[3.0, 0.0], [0.0, 1.0]]}, {1: 0.5}),
        widgets.Sampler({"to": [2.0, 1.0, 0.0]}, str, top_k=2),
        widgets.SoftDictionary(),
        widgets.SoftmaxTemperature(["mat", "moon"], [2.0, 1.0], context="on the"),
        widgets.SpeculativeSteps({"k = 2": Speculation(IDS[None], (ROUND,))}, str),
        widgets.AttentionExplorer({"to be": (["to", " be"], [[HALF]])}, {(0, 0): "previous"}),
        widgets.RunExplorer([RUN], {"bigram": 2.2}),
        widgets.ThresholdDesk({"words": [0.1, 0.9]}, [0, 1], ["fine", "not fine"]),
        playground(text="sea"),
    ]


# The package around them ----------------------------------------------------------------------


def test_importing_minillm_leaves_anywidget_alone():
    code = "import sys, minillm; sys.exit('anywidget' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_anywidget_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    for name in [name for name in sys.modules if name.startswith("minillm.widgets")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r'pip install "minillm\[widgets\]"'):
        importlib.import_module("minillm.widgets")


@pytest.mark.parametrize("widget", make_all(), ids=lambda widget: type(widget).__name__)
def test_each_module_is_one_text_that_fetches_nothing(widget):
    text = widget._esm + widget._css
    assert not re.search(r"^\s*import\b", widget._esm, re.MULTILINE)
    assert "innerHTML" not in text
    assert text.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert widget._esm.count("export default { render }") == 1


@pytest.mark.parametrize("widget", make_all(), ids=lambda widget: type(widget).__name__)
def test_bundle_carries_words_for_readers_without_javascript(widget):
    content, _ = widget._repr_mimebundle_()
    assert content["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    fallback = widget.fallback()
    assert content["text/plain"].startswith(fallback.sentence)
    assert "explorable-fallback" in content["text/html"]
    for row in fallback.rows:
        assert all(cell in content["text/plain"] for cell in row)
        assert len(row) == len(fallback.header)


def test_fallback_is_shown_under_ipywidgets_7_too(monkeypatch):
    """There every widget displays itself, and IPython asks that method before all others."""
    asked = []

    def display(self):
        asked.append(self)

    monkeypatch.setattr(base.anywidget.AnyWidget, "_ipython_display_", display, raising=False)
    shown = DisplayFormatter()
    shown.ipython_display_formatter.enabled = True
    content, _ = shown.format(ngrams(written=["the"]))
    assert asked == []
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(content)
    assert "explorable-fallback" in content["text/html"]


def test_fallback_escapes_what_the_data_say():
    html = base.Fallback("a < b", ("<i>",), [("<script>",)]).html()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_too_much_data_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match=r"150,0\d\d characters .* limit is 150,000"):
        widgets.Explorable({"text": "x" * base.MAX_STATE})


# Packing --------------------------------------------------------------------------------------


def unpack_varints(text):
    numbers, number, shift = [], 0, 0
    for byte in base64.b64decode(text):
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers, number, shift = [*numbers, number], 0, 0
    return numbers


@given(st.lists(st.integers(0, 2**40)))
def test_varints_come_back(numbers):
    assert unpack_varints(pack.pack_varints(numbers)) == numbers


@given(st.lists(st.integers(0, 65535)))
def test_uints_come_back(numbers):
    raw = base64.b64decode(pack.pack_uints(numbers, 16))
    assert np.frombuffer(raw, "<u2").tolist() == numbers


def test_packing_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"-1\.\.256 do not fit into 8 bits"):
        pack.pack_uints([-1, 256], 8)
    with pytest.raises(ValueError, match="cannot pack -3"):
        pack.pack_varints([-3])


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 1.0],
        np.array([0.5, 1.0]),
        torch.tensor([0.5, 1.0]),
        torch.tensor([0.5, 1.0], dtype=torch.bfloat16),
    ],
)
def test_lists_arrays_and_tensors_are_read_alike(values):
    assert pack.as_array(values).tolist() == [0.5, 1.0]


# N-grams --------------------------------------------------------------------------------------


def test_counts_are_those_of_plain_counting():
    tokens, counts = count_grams(VERSES, 100)
    padded = [["<s>", "<s>", *verse, "</s>"] for verse in VERSES]
    for size, counter in enumerate(counts):
        expected = Counter(
            tuple(row[end - size : end + 1]) for row in padded for end in range(2, len(row))
        )
        assert {tuple(tokens[i] for i in gram): n for gram, n in counter.items()} == expected


def test_rare_words_and_rare_pairs_are_left_out():
    tokens, counts = count_grams(VERSES, 2)
    assert len(tokens) == 4
    assert all(max(gram) < 4 for counter in counts for gram in counter)
    scarce = widgets.NGramExplorer.from_sequences(VERSES, min_bigram=2, min_trigram=99)
    assert scarce.probability("cat", ["the"], order=2, mix=1.0) == 1.0
    assert scarce.distribution(["the", "cat"], order=3, mix=1.0) is None


@pytest.mark.parametrize("context", [[], ["the"], ["the", "cat"], ["off", "the"]])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_distributions_sum_to_one(context, order):
    assert ngrams().distribution(context, order, 0.6).sum() == pytest.approx(1)


def test_mixture_is_interpolation():
    model = ngrams()
    one, two = (model.probability("cat", ["the"], order, 1.0) for order in (1, 2))
    assert (one, two) == (pytest.approx(2 / 17), pytest.approx(2 / 3))
    assert model.probability("cat", ["the"], 2, 0.25) == pytest.approx(0.25 * two + 0.75 * one)


def test_unseen_context_is_silent_alone_and_leaves_the_word_to_shorter_ones():
    model = ngrams()
    assert model.distribution(["cat", "dog"], 3, 1.0) is None
    assert model.bits(["cat"]) > 0
    expected = model.distribution(["dog"], 2, 0.5)
    np.testing.assert_allclose(model.distribution(["cat", "dog"], 3, 0.5), expected)


def test_bits_add_up_and_impossible_words_cost_infinity():
    model = ngrams(mix=1.0, order=2)
    assert model.bits(["the", "cat"]) == pytest.approx(-math.log2(3 / 4 * 2 / 3))
    assert model.bits(["cat"]) == math.inf


def test_ngram_state_is_what_was_counted():
    model = ngrams()
    numbers = unpack_varints(model.data["unigram"])
    assert sum(numbers) == sum(len(verse) + 1 for verse in VERSES)
    assert len(numbers) == len(model.data["tokens"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unigram": [1]}, "got 2 tokens, but 1 unigram counts"),
        ({"bigrams": {(0, 2): 1}}, "outside the 2 that there are"),
        ({"trigrams": {(0, 1): 1}}, "has 2 numbers in a table of 3 words"),
        ({"written": ["c"]}, "'c', but the choices are 'a', 'b'"),
        ({"mix": 1.5}, "mix is 1.5, but must lie between 0.0 and 1.0"),
        ({"order": 4}, "order is 4"),
    ],
)
def test_ngrams_refuse(change, message):
    good = {"tokens": ["a", "b"], "unigram": [1, 1], "bigrams": {}, "trigrams": {}}
    with pytest.raises(ValueError, match=message):
        widgets.NGramExplorer(**good | change)


# Soft dictionary ------------------------------------------------------------------------------


def test_soft_dictionary_is_attention_for_one_query():
    desk = widgets.SoftDictionary(query=(0.5, -1.0), scale=2.0)
    keys = torch.tensor(desk.arrows, dtype=torch.float64)
    query = torch.tensor([0.5, -1.0], dtype=torch.float64)
    np.testing.assert_allclose(desk.weights(), torch.softmax(2 * keys @ query, 0).numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": [(0, 0)]}, "got 1 keys, but there are 5 values"),
        ({"query": (0, 3)}, "a coordinate is 3, the plane ends at 2.0"),
        ({"scale": 9}, "scale is 9, but must lie between 0.0 and 8.0"),
    ],
)
def test_soft_dictionary_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        widgets.SoftDictionary(**change)


# Attention ------------------------------------------------------------------------------------


def test_causal_maps_travel_as_a_triangle_and_others_whole():
    causal = widgets.AttentionExplorer({"x": (["a", "b"], [[HALF]])})
    assert base64.b64decode(causal.data["sentences"][0]["maps"]) == bytes([255, 64, 191])
    both = widgets.AttentionExplorer({"x": (["a", "b"], [[[[0.5, 0.5], [0.25, 0.75]]]])})
    assert len(base64.b64decode(both.data["sentences"][0]["maps"])) == 4


def test_selected_heads_and_scores_keep_their_order():
    chosen = {(3, 1): HALF, (0, 2): torch.tensor(HALF)}
    view = widgets.AttentionExplorer(
        {"x": (["a", "b"], chosen)}, {(3, 1): "sink"}, {"loss": {(0, 2): 0.5, (3, 1): -1}}
    )
    assert view.data["heads"] == [[0, 2], [3, 1]]
    assert (view.data["labels"], view.data["scores"]) == (["", "sink"], {"loss": [0.5, -1.0]})


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({}, "got 0 sentences"),
        ({"x": (["a"], [[HALF]])}, "'x' has 1 tokens, but head 0.0 is 2 x 2"),
        ({"x": (["a", "b"], HALF)}, "2 dimensions, expected 4"),
        ({"x": (["a", "b"], [[[[1, 0], [0.5, 0.1]]]])}, "row 1 of head 0.0 sums to 0.600"),
        ({"x": (["a", "b"], [[HALF]]), "y": (["a", "b"], [[HALF, HALF]])}, "has 2 heads, others 1"),
    ],
)
def test_attention_refuses(maps, message):
    with pytest.raises(ValueError, match=message):
        widgets.AttentionExplorer(maps)


def test_attention_refuses_scores_and_heads_that_do_not_fit():
    maps = {"x": (["a", "b"], [[HALF, HALF]])}
    with pytest.raises(ValueError, match=r"covers 1 heads of 2; \(0, 1\) is missing"):
        widgets.AttentionExplorer(maps, scores={"loss": [[0.1]]})
    with pytest.raises(ValueError, match=r"head is '5\.0'"):
        widgets.AttentionExplorer(maps, head=(5, 0))
    with pytest.raises(ValueError, match="token is 2, but must lie between 0 and 1"):
        widgets.AttentionExplorer(maps, token=2)


# Runs -----------------------------------------------------------------------------------------


def test_broken_runs_become_gaps_and_come_last():
    broken = RUN | {"name": "b", "val_loss": torch.tensor([3.0, math.inf, math.nan])}
    view = widgets.RunExplorer([broken, RUN], {"bigram": 2.2})
    assert view.finals() == {"b": None, "a": 2.0}
    json.dumps(view.data, allow_nan=False)
    ranking = [row[0] for row in view.fallback().rows]
    assert ranking == ["a", "bigram (baseline)", "b"]


def test_switches_start_with_one_value_each_and_filters_with_all():
    other = RUN | {"name": "b", "settings": {"rate": "0.2"}}
    assert widgets.RunExplorer([RUN, other], mode="switches").chosen == {"rate": ["0.1"]}
    assert widgets.RunExplorer([RUN, other]).chosen == {"rate": ["0.1", "0.2"]}


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "got 0 runs"),
        ([RUN | {"steps": [0, 1]}], "'a' has 2 steps, but 3 losses"),
        ([RUN | {"steps": [0] * 201, "val_loss": [1.0] * 201}], "201 points, the limit is 200"),
        ([RUN, RUN | {"settings": {"size": 1}}], r"\['size'\], others \['rate'\]"),
        ([RUN, RUN], "2 runs share 1 different name"),
        ([RUN, RUN | {"name": "b"}], "2 runs share 1 different settings"),
        ([{"name": "a"}], "run 'a' has no 'settings'"),
    ],
)
def test_runs_refuse(runs, message):
    with pytest.raises(ValueError, match=message):
        widgets.RunExplorer(runs, mode="switches")


# The moderator's desk -------------------------------------------------------------------------


def test_desk_counts_and_costs():
    desk = widgets.ThresholdDesk(
        {"m": [0.1, 0.2, 0.5, 0.6, 0.9, 0.95]}, [0, 1, 0, 1, 0, 1], low=0.3, high=0.8
    )
    result = desk.decide()
    names = ("kept_0", "kept_1", "asked_0", "asked_1", "removed_0", "removed_1")
    assert [result[name] for name in names] == [1] * 6
    assert result["cost"] == pytest.approx((1 * 1 + 5 * 1 + 0.3 * 2) / 6)
    assert result["asked"] == pytest.approx(1 / 3)


def test_temperature_moves_probabilities_towards_a_half_and_keeps_their_ends():
    desk = widgets.ThresholdDesk({"m": [0.0, 0.2, 1.0]}, [0, 0, 1], temperatures={"m": 2.0})
    p = torch.tensor(desk._probabilities("m", False)[1])
    expected = [0.0, torch.sigmoid(torch.logit(p) / 2).item(), 1.0]
    np.testing.assert_allclose(desk._probabilities("m", True), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 2]}, "labels go from 0 to 2"),
        ({"labels": [0]}, "'m' has 2 probabilities for 1 labels"),
        ({"texts": ["a"]}, "got 1 texts, but 2 labels"),
        ({"probabilities": {"m": [0.1, 1.5]}}, "highest probability of 'm' is 1.5"),
        ({"probabilities": {}}, "got 0 models and 2 labels"),
        ({"low": 0.8}, "low is 0.8, above high, which is 0.5"),
        ({"temperatures": {"n": 2.0}}, "a temperature is 'n', but the choices are 'm'"),
        ({"temperatures": {"m": 0.0}}, "temperature of 'm' is 0"),
        ({"costs": {"wrong": 1.0}}, r"costs are named \['wrong'\]"),
    ],
)
def test_desk_refuses(change, message):
    good = {"probabilities": {"m": [0.1, 0.9]}, "labels": [0, 1]}
    with pytest.raises(ValueError, match=message):
        widgets.ThresholdDesk(**good | change)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named(bad):
    weights = [[[[bad, 0.0], [0.5, 0.5]]]]
    with pytest.raises(ValueError, match=r"head 0.0 of 'x' has weights that are not finite"):
        widgets.AttentionExplorer({"x": (["a", "b"], weights)})
    with pytest.raises(ValueError, match=r"score 'harm' of head \(0, 0\) is"):
        widgets.AttentionExplorer({"x": (["a", "b"], [[HALF]])}, scores={"harm": {(0, 0): bad}})


# A model in the page --------------------------------------------------------------------------


def test_playground_carries_what_it_was_given():
    tokenizer = BPETokenizer.train("the cat sat on the mat", 270, special=["<|endoftext|>", "<s>"])
    sampling = Sampling(temperature=0.5, top_k=3, top_p=0.9)
    view = playground(tokenizer, text="the", sampling=sampling, examples=["a cat"])
    assert (view.temperature, view.top_k, view.top_p) == (0.5, 3, 0.9)
    assert (view.text, view.data["examples"]) == ("the", ["a cat"])
    assert b'"start": "269"' not in view.weights
    assert f'"start": "{tokenizer.special["<|endoftext|>"]}"'.encode() in view.weights
    assert b'"start": "null"' in playground(tokenizer, start=None).weights
    other = playground(tokenizer, start="<s>").weights
    assert f'"start": "{tokenizer.special["<s>"]}"'.encode() in other


def test_playground_expects_what_the_model_says():
    view = playground(text="sea", size="small")
    with torch.no_grad():
        p = view._model(torch.tensor([view._tokenizer.encode("sea")]))[0, -1].softmax(-1)
    assert [i for i, *_ in view.candidates()] == p.argsort(descending=True).tolist()
    assert view.data["first"] == view.candidates()
    assert playground(text="").candidates() == []
    assert len(playground(text="sea" * 9).candidates()) == 6, "the last tokens that it can read"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"start": "<s>"}, r"start='<s>' is no special token; there are \[\]"),
        ({"size": "huge"}, "size is 'huge', but the choices are 'full', 'small'"),
        ({"sampling": Sampling(min_p=0.1)}, "min_p=0.1, but the page has no slider"),
        (
            {"tokenizer": BPETokenizer.train("a b", 258, pattern=r"\s|\S")},
            "cuts text by the patterns",
        ),
    ],
)
def test_what_the_page_cannot_show_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        playground(**how)


def test_other_models_are_refused():
    tokenizer = CharTokenizer("sea shell")
    sizes = {"context_length": 8, "d_model": 8, "n_layers": 1, "n_heads": 2}
    config = ModelConfig(vocab_size=7, **sizes)
    with pytest.raises(ValueError, match="the tokenizer has 6 ids, the model 7"):
        widgets.Playground(CausalLM(config), tokenizer)
    with pytest.raises(ValueError, match="runs a CausalLM, not a Transformer"):
        widgets.Playground(CausalLM(config).transformer, tokenizer)
    changed = CausalLM(replace(config, vocab_size=6))
    changed.transformer.blocks[0].attention.q_proj = torch.nn.Linear(8, 8, bias=False)
    changed.transformer.blocks[0].attention.extra = torch.nn.Linear(8, 8)
    with pytest.raises(ValueError, match="other weights than its config names"):
        widgets.Playground(changed, tokenizer)


def test_a_model_too_large_for_a_page_is_refused(monkeypatch):
    monkeypatch.setattr("minillm.widgets.playground.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match=r"the model takes \d,\d{3} bytes, the page 1,000"):
        playground()

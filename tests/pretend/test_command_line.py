"""The command line trains and writes on the pretend accelerator as it does on the CPU."""

import json
from dataclasses import replace

import pytest

from minillm import CausalLM, ChatTemplate
from minillm.cli import commands, main
from minillm.runs.toml import to_toml
from minillm.tokenizer import BPETokenizer
from minillm.weights.load import Loaded
from tests.conftest import LLAMA, randomise
from tests.pretend import device

TEXT = "the cat sat on the mat and the dog sat on the log. " * 40


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command and return what it printed."""

    def call(*arguments):
        assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return call


@pytest.fixture
def trained(tmp_path, run):
    """Train as a file says, in two halves, on a device; return the folder."""

    def train(where):
        (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
        folder, path = tmp_path / f"run-{where}", tmp_path / f"{where}.toml"
        tables = {
            "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.1},
            "train": {"steps": 4, "batch_size": 2, "eval_every": 2, "eval_batches": 1},
            "data": {"files": [str(tmp_path / "text.txt")], "context_length": 32},
            "run": {
                "folder": str(folder),
                "checkpoint_every": 2,
                "prompt": "the",
                "sample_every": 2,
            },
        }
        path.write_text(to_toml(tables), encoding="utf-8")
        run("train", path, "--device", where)
        (folder / "checkpoints" / "step-00000004.pt").unlink()  # as if it had been killed after 2
        run("train", path, "--device", where, "--resume")
        return folder

    return train


def losses(folder):
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_train_resume_and_use_give_what_the_cpu_gives(trained, run, tmp_path):
    folders = {where: trained(where) for where in ("cpu", device.NAME)}
    assert losses(folders[device.NAME]) == pytest.approx(losses(folders["cpu"]), rel=1e-4)
    said = {}
    for where in folders:
        model = folders["cpu"]  # the same weights for both
        options = ("--device", where)
        written = run("generate", model, "the cat", "--temperature", "1", *options)
        streamed = run("generate", model, "the cat", "--stream", "--max-new-tokens", "5", *options)
        scored = run("perplexity", model, tmp_path / "text.txt", "--length", "32", *options)
        page = tmp_path / f"{where}.html"
        run("attention", model, "the cat sat", "--out", page, *options)
        said[where] = written, streamed, scored, page.read_text(encoding="utf-8")
    assert said[device.NAME] == said["cpu"]


def test_auto_takes_the_best_device(trained):
    assert losses(trained("auto"))


def test_chat_answers(tmp_path, run, monkeypatch):
    tokenizer = BPETokenizer.train(TEXT, 280, special=("<|im_start|>", "<|im_end|>"))
    config = replace(LLAMA, vocab_size=tokenizer.vocab_size, context_length=128)

    def load(_name, device):
        model = randomise(CausalLM(config)).to(device)
        return Loaded(model=model, config=config, tokenizer=tokenizer, chat_template=ChatTemplate())

    monkeypatch.setattr(commands, "load", load)
    answers = []
    for where in ("cpu", device.NAME):
        lines = iter(["the cat", "and the dog", "/quit"])
        monkeypatch.setattr("builtins.input", lambda _prompt, lines=lines: next(lines))
        answers.append(run("chat", "any", "--max-new-tokens", "8", "--device", where))
    assert answers[0] == answers[1]
    assert answers[0].count("\n") > 2

"""`minillm train`, `tokenizer train` and `data`: the folder they leave, and what they refuse."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace

import pytest
import torch

import minillm
from minillm import load
from minillm.cli import main
from minillm.cli import train as training
from minillm.data.windows import TokenWindows
from minillm.files import write_whole
from minillm.hub import packages as hub
from minillm.nn.classifier import SequenceClassifier
from minillm.nn.config import BERT_BASE, ModelConfig
from minillm.nn.models import CausalLM, MaskedLM
from minillm.runs.config import read_run_config
from minillm.runs.run import TrainingRun
from minillm.runs.toml import change as set_value
from minillm.runs.toml import to_toml
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.training.checkpoint.file import list_checkpoints
from minillm.training.history import History
from minillm.training.trainer import Trainer
from minillm.weights import model_folder
from minillm.weights.model_folder import save_model, shipped

TEXT = "the cat sat on the mat and the dog sat on the log. " * 40
SMALL = {"vocab_size": 300, "context_length": 8, "d_model": 16, "n_layers": 1, "n_heads": 2}


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return {
        "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "dropout": 0.1},
        "train": {"steps": 6, "batch_size": 2, "eval_every": 2, "eval_batches": 1},
        "data": {"files": [str(tmp_path / "text.txt")], "tokenizer": "char", "context_length": 8},
        "run": {"folder": str(tmp_path / "run"), "device": "cpu", "checkpoint_every": 2},
    }


@pytest.fixture
def minillm_train(tables, tmp_path, capsys):
    def run(*arguments, **changes):
        for section, values in changes.items():
            tables.setdefault(section, {}).update(values)
        path = tmp_path / "config.toml"
        path.write_text(to_toml(tables), encoding="utf-8")
        code = main(["train", str(path), *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def test_what_train_leaves_is_a_model(minillm_train, tmp_path, capsys):
    code, out, _ = minillm_train(run={"prompt": "the cat", "sample_every": 3, "tensorboard": True})
    assert code == 0
    assert re.findall(r"^step (\d): the cat", out, re.M) == ["3", "6"]
    assert "6 updates, loss" in out
    folder = tmp_path / "run"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "README.md", "checkpoints", "config.json", "config.toml", "history.jsonl",
        "model.safetensors", "tensorboard", "tokenizer.json",
    }  # fmt: skip
    assert [p.name[-5:] for p in list_checkpoints(folder / "checkpoints")] == ["04.pt", "06.pt"]
    assert len(History.from_jsonl(folder / "history.jsonl")) == 6
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "trained for 6 of\n6 updates on 96 tokens" in card
    assert "text.txt; 10% of each held back" in card
    loaded = load(folder)
    assert isinstance(loaded.tokenizer, CharTokenizer)
    assert loaded.tokenizer.alphabet == "".join(sorted(set(TEXT)))
    again = TrainingRun(read_run_config(folder / "config.toml"), resume=True)
    for ours, theirs in zip(loaded.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert main(["generate", str(folder), "the cat", "--max-new-tokens", "5"]) == 0
    assert len(capsys.readouterr().out) == len("the cat") + 5 + 1
    assert main(["perplexity", str(folder), str(tmp_path / "text.txt")]) == 0
    assert main(["inspect", str(folder)]) == 0
    assert "has no chat template" in error_of(["chat", str(folder)], capsys)


def error_of(arguments, capsys):
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_the_seed_decides_and_the_folder_does_not(minillm_train, tmp_path):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(weights))
        folder = str(tmp_path / name)
        assert minillm_train(run={"folder": folder}, train={"seed": seed})[0] == 0
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_set_and_device_change_the_config_and_its_copy(minillm_train, tmp_path):
    changes = [
        "--set",
        "train.lr=1e-2",
        "--set",
        "train.steps = 4",
        "--set",
        "data.tokenizer=bytes",
    ]
    assert minillm_train(*changes, "--device", "cpu", run={"device": "nowhere"})[0] == 0
    config = read_run_config(tmp_path / "run" / "config.toml")
    assert (config.train.lr, config.train.steps, config.run.device) == (0.01, 4, "cpu")
    assert load(tmp_path / "run").config.vocab_size == 256


def test_presets_and_trained_tokenizers(minillm_train, tmp_path, capsys):
    out = str(tmp_path / "bpe.json")
    text = str(tmp_path / "text.txt")
    arguments = ["tokenizer", "train", text, "--vocab-size", "270", "--out", out]
    assert main([*arguments, "--special", "<|endoftext|>"]) == 0
    assert re.search(r"bpe.json: 270 tokens, \d\.\d\d bytes", capsys.readouterr().out)
    model = {"preset": "smollm2-135m", "n_kv_heads": 1}
    assert minillm_train(model=model, data={"tokenizer": out}, run={"weights": "float16"})[0] == 0
    loaded = load(tmp_path / "run")
    assert (loaded.config.ffn, loaded.config.position) == ("swiglu", "rope")
    assert (loaded.config.vocab_size, loaded.config.context_length) == (270, 8)
    assert loaded.stop == (269,)
    trained = {"tokenizer": "bpe", "vocab_size": 260}
    assert minillm_train(data=trained, run={"folder": str(tmp_path / "b")})[0] == 0
    assert load(tmp_path / "b").tokenizer.vocab_size == 260


def test_resume_gives_the_uninterrupted_run(minillm_train, tmp_path, monkeypatch):
    assert minillm_train(run={"folder": str(tmp_path / "whole")})[0] == 0
    step = Trainer.train_step

    def interrupted(self):
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background
    monkeypatch.setattr(Trainer, "train_step", interrupted)
    code, _, err = minillm_train(run={"folder": str(tmp_path / "run")})
    assert code == 130
    last = err.rstrip("\n").splitlines()[-1]
    assert last.startswith("minillm: stopped after step 3 of 6, saved ")
    assert last.endswith("step-00000003.pt; --resume goes on")
    assert signal.getsignal(signal.SIGINT) is before
    assert len(History.from_jsonl(tmp_path / "run" / "history.jsonl")) == 3
    monkeypatch.setattr(Trainer, "train_step", step)
    code, out, _ = minillm_train("--resume", run={"sample_every": 5})  # [run] may change
    assert code == 0
    assert "going on after step 3" in out
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "run")]
    assert files[0].read_bytes() == files[1].read_bytes()
    histories = [History.from_jsonl(file.parent / "history.jsonl") for file in files]
    without_time = [[replace(r, seconds=0) for r in history] for history in histories]
    assert without_time[0] == without_time[1]


def test_ctrl_c_does_not_write_a_checkpoint_twice(minillm_train, monkeypatch):
    step, save, saved = Trainer.train_step, Trainer.save, []

    def interrupted(self):
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    monkeypatch.setattr(Trainer, "save", lambda self, p: (saved.append(self.step), save(self, p)))
    code, _, err = minillm_train()
    assert code == 130
    assert "stopped after step 4 of 6" in err
    assert saved == [2, 4]


def test_a_second_ctrl_c_does_not_wait():
    interrupt = training.Interrupt(None)
    interrupt.ask(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        interrupt.ask(signal.SIGINT, None)


def test_a_run_ends_early_when_it_no_longer_improves(minillm_train, tmp_path):
    code, out, _ = minillm_train(
        run={"patience": 1}, train={"steps": 60, "lr": 1e-12, "eval_every": 1}
    )
    assert code == 0
    steps = len(History.from_jsonl(tmp_path / "run" / "history.jsonl"))
    assert 3 <= steps < 60
    assert f"{steps} updates" in out


def test_a_loss_that_is_no_number_stops_the_run(minillm_train, tmp_path, monkeypatch):
    batch = TokenWindows.batch
    model = []
    monkeypatch.setattr(training.Interrupt, "__init__", lambda self, run: (
        setattr(self, "asked", False), model.append(run.model))[0])  # fmt: skip

    def poisoned(self, step, size, **options):
        if step == 3 and not isinstance(self, minillm.SequentialWindows):
            with torch.no_grad():
                next(model[0].parameters()).fill_(float("nan"))
        return batch(self, step, size, **options)

    monkeypatch.setattr(TokenWindows, "batch", poisoned)
    code, _, err = minillm_train()
    assert code == 1
    last = err.rstrip("\n").splitlines()[-1]
    assert last.startswith("minillm: step 4: loss=nan")
    assert last.endswith(
        "the last good checkpoint is " + str(tmp_path / "run/checkpoints/") + "/step-00000002.pt"
    )
    assert "Traceback" not in err


MISTAKES = [
    ({"model": {"d_modle": 3}}, "unknown key 'd_modle' in [model]; did you mean 'd_model'?"),
    ({"train": {"step": 3}}, "unknown key 'step' in [train]; did you mean 'steps'?"),
    ({"modell": {"d_model": 3}}, "unknown table 'modell' in "),
    ({"train": {"lr": "fast"}}, "[train] lr='fast' must be a number"),
    ({"train": {"steps": 2.5}}, "[train] steps=2.5 must be a whole number"),
    ({"train": {"steps": True}}, "[train] steps=True must be a whole number"),
    ({"train": {"betas": [0.9]}}, "[train] betas=[0.9] must be a list of 2 values, each a number"),
    ({"train": {"lr": -1.0}}, "[train] lr=-1.0 must be > 0"),
    ({"train": {"lr": float("nan")}}, "[train] lr=nan must be a number"),
    ({"model": {"n_heads": 3}}, "[model] d_model=16 is not a multiple of n_heads=3"),
    ({"model": {"preset": "gpt3"}}, "[model] preset='gpt3' must be one of 'gpt2-small', 'smoll"),
    ({"model": {"causal": False}}, "[model] needs causal=true"),
    ({"model": {"vocab_size": 3}}, "[model] vocab_size=3, but the data need 14"),
    ({"model": {"context_length": 4}}, "[model] context_length=4, but the data need 8"),
    ({"data": {"corpus": "python-docs"}}, "[data] give corpus or files"),
    ({"data": {"tokenizer": "bpe"}}, "[data] vocab_size belongs to tokenizer=\"bpe\""),
    ({"data": {"tokenizer": "bpe", "vocab_size": 200}}, "vocab_size=200 is below 256"),
    ({"data": {"tokenizer": "word"}}, "tokenizer 'word' is neither char, bytes, bpe nor a file"),
    ({"data": {"context_length": 5000}}, "the corpus has 1836 tokens, a window of length 5000"),
    ({"data": {"context_length": 1000}}, "for validation the corpus has 204 tokens, a window"),
    ({"run": {"folder": ""}}, "[run] folder='' must name a folder"),
    ({"run": {"keep": 0}}, "[run] keep=0 must be >= 1"),
    ({"run": {"device": "gpu"}}, "device 'gpu' cannot be used here: "),
    ({"run": {"prompt": "The"}}, "[run] prompt: character 'T' (U+0054) at position 0 is not in"),
    ({"run": {"prompt": "the cat sat"}}, "[run] prompt has 11 tokens, context_length=8"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes_are_one_line_and_leave_no_folder(minillm_train, tmp_path, changes, message):
    code, _, err = minillm_train(**changes)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lr=3", "'lr=3' is not of the form table.key=value"),
        ("train.lr", "'train.lr' is not of the form"),
        ("train.lrr=1", "unknown key 'lrr' in [train]; did you mean 'lr'?"),
        ("train.lr=a b", "[train] lr='a b' must be a number"),
    ],
)
def test_wrong_changes_are_named(minillm_train, change, message):
    code, _, err = minillm_train("--set", change)
    assert code == 1
    assert message in err


def test_texts_that_cannot_be_read(minillm_train, tmp_path):
    text = tmp_path / "text.txt"
    for content, message in (
        (b"", "text.txt is empty"),
        (b" \n", "text.txt is empty"),
        (b"abc\xff", "text.txt is not UTF-8: byte 3 is invalid"),
    ):
        text.write_bytes(content)
        code, _, err = minillm_train()
        assert code == 1
        assert message in err
    text.unlink()
    assert "No such file" in minillm_train()[2]


def test_the_config_must_be_toml(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text("steps = ", encoding="utf-8")
    assert "config.toml is not a TOML file" in error_of(["train", str(path)], capsys)
    path.write_text("train = 3", encoding="utf-8")
    assert "must be a table, [train]" in error_of(["train", str(path)], capsys)
    path.write_text("", encoding="utf-8")
    assert "[train] needs the key 'steps'" in error_of(["train", str(path)], capsys)
    assert "No such file" in error_of(["train", str(tmp_path / "x.toml")], capsys)


def test_folders_are_not_mixed_up(minillm_train, tmp_path):
    assert "holds no run that could be resumed" in minillm_train("--resume")[2]
    assert minillm_train()[0] == 0
    before = (tmp_path / "run" / "config.toml").read_bytes()
    assert "is not empty; --resume goes on" in minillm_train()[2]
    assert "there [train] lr=0.0003, here lr=0.1" in minillm_train("--resume", train={"lr": 0.1})[2]
    assert (tmp_path / "run" / "config.toml").read_bytes() == before
    (tmp_path / "file").touch()
    assert "is a file" in minillm_train(run={"folder": str(tmp_path / "file")})[2]


def test_a_checkpoint_of_another_model_is_refused(minillm_train, tmp_path):
    assert minillm_train()[0] == 0
    wide = {"folder": str(tmp_path / "wide")}
    assert minillm_train(run=wide, model={"d_model": 32})[0] == 0
    for path in list_checkpoints(tmp_path / "wide" / "checkpoints"):
        shutil.copy(path, tmp_path / "run" / "checkpoints")
    changes = {"run": {"folder": str(tmp_path / "run")}, "model": {"d_model": 16}}
    code, _, err = minillm_train("--resume", **changes)
    assert code == 1
    assert "its model config has d_model=32, here d_model=16" in err


def test_killed_before_the_first_checkpoint_it_begins_again(minillm_train, tmp_path):
    assert minillm_train()[0] == 0
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        path.rename(path.with_name(f".{path.name}.tmp"))  # as a kill leaves it
        path.with_name(f".{path.name}.old").mkdir()  # likewise, of a folder
    code, out, _ = minillm_train("--resume")
    assert code == 0
    assert "going on after step 0" in out
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))


# --- texts and tokenizers
def test_data_lists_and_shows(capsys):
    assert main(["data"]) == 0
    assert "python-docs\n" in capsys.readouterr().out
    assert main(["data", "python-docs", "--samples", "2"]) == 0
    out = capsys.readouterr().out
    assert "licence PSF" in out
    assert len(out.split("\n\n")) == 3
    assert main(["data", "chatterbot-dialogues"]) == 0
    assert "licence BSD" in capsys.readouterr().out
    assert "did you mean 'bible-bbe'" in error_of(["data", "bible-bbee"], capsys)


def test_tokenizer_train_names_mistakes(tmp_path, capsys):
    out, text = str(tmp_path / "t.json"), tmp_path / "text.txt"
    text.write_bytes(b"ab\xff")
    end = ["--out", out]
    size = ["--vocab-size", "300"]
    train = ["tokenizer", "train"]
    assert "not UTF-8: byte 2" in error_of([*train, str(text), *size, *end], capsys)
    assert "no corpus is called" in error_of([*train, "python-dox", *size, *end], capsys)
    text.write_text("ab", encoding="utf-8")
    wrong = [*train, str(text), "--vocab-size", "200", *end]
    assert "vocab_size=200 is below 256" in error_of(wrong, capsys)
    assert not os.path.exists(out)


# --- folders of models
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_save_and_load_are_symmetrical(tmp_path, dtype):
    model = CausalLM(ModelConfig(**SMALL, position="sinusoidal", tie_embeddings=False))
    tokenizer = BPETokenizer.train(TEXT, 280)
    save_model(tmp_path / "m", model, tokenizer, "# m", dtype=dtype)
    loaded = load(tmp_path / "m")
    assert (loaded.config, loaded.tokenizer.tokens) == (model.config, tokenizer.tokens)
    assert not loaded.model.training
    for name, ours in model.named_parameters():
        theirs = dict(loaded.model.named_parameters())[name]
        assert theirs.dtype == torch.float32
        assert torch.equal(theirs, ours.to(dtype).float()), name
    tokens = torch.randint(300, (2, 8))
    exact = dtype == torch.float32
    torch.testing.assert_close(
        loaded.model(tokens), model.eval()(tokens), atol=0 if exact else 1e-2, rtol=0
    )


def test_every_class_comes_back(tmp_path):
    config = replace(BERT_BASE, **SMALL)
    for name, model in (("m", MaskedLM(config)), ("t", MaskedLM(config).transformer)):
        save_model(tmp_path / name, model, None, "")
        loaded = load(tmp_path / name)
        assert type(loaded.model) is type(model)
        assert loaded.tokenizer is None
    with pytest.raises(ValueError, match=r"SequenceClassifier has no place in a model folder"):
        save_model(tmp_path / "c", SequenceClassifier(config, 2), None, "")


def test_damaged_folders_are_refused(tmp_path):
    model = CausalLM(ModelConfig(**SMALL))
    folder = tmp_path / "m"
    save_model(folder, model, CharTokenizer("abc"), "")
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"d_modle": 3}, "unknown key 'd_modle' in the config"),
        ({"n_layers": 2}, "missing: transformer.blocks.1"),
        ({"d_ff": 80}, "the model needs"),
        ({"tie_embeddings": False}, "missing: lm_head.weight"),
        ({"model_type": "minillm.Other"}, "is not one of"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=message):
            load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    for content, message in (
        ('{"type": "words"}', "tokenizer of type 'words'"),
        ('{"type": ["bpe"]}', r"tokenizer of type \['bpe'\]"),
        ("[]", "holds no tokenizer"),
        ("{", "holds no tokenizer"),
    ):
        (folder / "tokenizer.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            load(folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1])
    with pytest.raises(ValueError, match="is not a sound safetensors file"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="its training is not finished"):
        load(folder)


def test_what_cannot_be_stored_is_refused(tmp_path):
    model = CausalLM(ModelConfig(**SMALL))
    with pytest.raises(ValueError, match=r"float16 or float32, not torch\.bfloat16"):
        save_model(tmp_path / "m", model, None, "", dtype=torch.bfloat16)
    many = CharTokenizer("".join(map(chr, range(301))))
    with pytest.raises(ValueError, match=r"has 301 tokens, the model vocab_size=300"):
        save_model(tmp_path / "m", model, many, "")
    with torch.no_grad():
        model.transformer.norm.weight.fill_(70_000.0)
    save_model(tmp_path / "wide", model, None, "")
    with pytest.raises(ValueError, match=r"norm\.weight holds a number that torch\.float16 cannot"):
        save_model(tmp_path / "m", model, None, "", dtype=torch.float16)
    assert not (tmp_path / "m").exists()


def test_a_shipped_model_has_a_name(tmp_path, monkeypatch):
    repository, installed = tmp_path / "models", tmp_path / "pretrained"
    monkeypatch.setattr(model_folder, "PLACES", (installed, repository))
    assert shipped() == {}
    model = CausalLM(ModelConfig(**SMALL))
    for place, name in ((repository, "tiny"), (repository, "both"), (installed, "both")):
        save_model(place / name, model, CharTokenizer("abc"), "")
    assert shipped() == {"tiny": repository / "tiny", "both": installed / "both"}
    assert load("tiny").tokenizer.alphabet == "abc"
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        load("tinny")
    with pytest.raises(ValueError, match="no artefact"):
        hub.fetch("tiny")


def test_files_are_whole_or_not_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fails(aside):
        aside.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_preset_gives_its_fields(minillm_train, tmp_path):
    small = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32, "preset": "gpt2-small"}
    code, _, err = minillm_train(model=small)
    assert code == 0, err
    assert load(tmp_path / "run").config.ffn == "gelu_tanh"


def test_a_resume_after_patience_adds_nothing(minillm_train, tmp_path):
    changes = {
        "run": {"patience": 1, "checkpoint_every": 1, "keep": 1},
        "train": {"steps": 60, "lr": 1e-12, "eval_every": 2},
    }
    assert minillm_train(**changes)[0] == 0
    folder = tmp_path / "run"
    ended = len(History.from_jsonl(folder / "history.jsonl"))
    for _ in range(2):
        assert minillm_train("--resume")[0] == 0
        assert len(History.from_jsonl(folder / "history.jsonl")) == ended
    assert list_checkpoints(folder / "checkpoints")[-1].stem.endswith(f"{ended:08d}")


def test_a_resume_may_change_what_does_not_change_the_past(minillm_train, tmp_path):
    assert minillm_train(train={"schedule": "stable", "steps": 6})[0] == 0
    code, _, err = minillm_train("--resume", train={"steps": 12, "eval_batches": 2})
    assert code == 1
    assert "steps=6" in err  # it has had its fall


def test_spaces_of_a_text_are_kept():
    tables = {}
    set_value(tables, "run.prompt=The ")
    set_value(tables, "run.device = cpu ")
    assert tables["run"] == {"prompt": "The ", "device": "cpu"}


def test_sigterm_saves(minillm_train, tmp_path, monkeypatch):
    step = Trainer.train_step

    def asked(self):
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", asked)
    code, _, err = minillm_train()
    assert code == 130
    assert "stopped after step 3" in err
    assert list_checkpoints(tmp_path / "run" / "checkpoints")[-1].stem.endswith("3")

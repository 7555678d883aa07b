"""Models from a hub: a local server that speaks like it, and everything that can go wrong."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from minillm import CausalLM
from minillm.cli import main
from minillm.hub import huggingface as remote
from minillm.hub.cache import HubError
from minillm.hub.huggingface import from_hub
from minillm.weights.load import load
from minillm.weights.safetensors import write_safetensors
from tests.conftest import GPT2, randomise

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 97,
    "n_positions": 64,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 6,
    "n_inner": 80,
}


@dataclass
class FakeHub:
    """What the server answers: files of one model, and lies that a test adds."""

    files: dict[str, bytes] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)  # replaces an entry's values
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # by the end of a path
    cut: dict[str, int] = field(default_factory=dict)  # bytes after which the line is cut
    commit: str = COMMIT
    asked: list[str] = field(default_factory=list)

    def entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
        if name.endswith((".safetensors", ".bin")):
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return entry | self.listed.get(name, {})

    def respond(self, path: str) -> tuple[int, bytes, int]:
        """Status, body, and how long the server claims the body is."""
        self.asked.append(path)
        for end, (status, body) in self.answers.items():
            if path.endswith(end):
                return status, body, len(body)
        if path.startswith("/api/models/tiny/gpt2/revision/"):
            siblings = [self.entry(name) for name in self.files]
            body = json.dumps({"sha": self.commit, "siblings": siblings}).encode()
            return 200, body, len(body)
        match = re.fullmatch(f"/tiny/gpt2/resolve/{self.commit}/(.+)", path)
        if match and match[1] in self.files:
            body = self.files[match[1]]
            return 200, body[: self.cut.get(match[1])], len(body)
        return 404, b"", 0


@pytest.fixture
def model() -> CausalLM:
    return randomise(CausalLM(GPT2))


@pytest.fixture
def hub(tmp_path, monkeypatch, model) -> Iterator[FakeHub]:
    """A running server with a small GPT-2, and an empty cache."""
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = fake.respond(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    write_safetensors(tmp_path / "w", gpt2_names(model))
    fake.files["model.safetensors"] = (tmp_path / "w").read_bytes()
    fake.files["config.json"] = json.dumps(CONFIG).encode()
    fake.files["README.md"] = b"# not needed"
    fake.files["pytorch_model.bin"] = b"cos\nsystem\n(S'exit 3'\ntR."
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def gpt2_names(model: CausalLM) -> dict[str, torch.Tensor]:
    """Our parameters under GPT-2's names."""
    state, result = model.state_dict(), {}
    names = {"embedding.token": "wte", "embedding.position": "wpe", "norm": "ln_f"}
    for i in range(model.config.n_layers):
        pairs = {"attention_norm": "ln_1", "ffn_norm": "ln_2", "attention.o_proj": "attn.c_proj"}
        pairs |= {"ffn.up_proj": "mlp.c_fc", "ffn.down_proj": "mlp.c_proj"}
        names |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}" for ours, theirs in pairs.items()}
        for kind in ("weight", "bias"):
            parts = [state[f"transformer.blocks.{i}.attention.{p}_proj.{kind}"] for p in "qkv"]
            result[f"h.{i}.attn.c_attn.{kind}"] = (
                torch.cat(parts).mT if kind == "weight" else (torch.cat(parts))
            )
    for ours, theirs in names.items():
        weight = state[f"transformer.{ours}.weight"]
        result[f"{theirs}.weight"] = weight.mT if "proj" in ours else weight
        if f"transformer.{ours}.bias" in state:
            result[f"{theirs}.bias"] = state[f"transformer.{ours}.bias"]
    return result


def files(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file())


def test_a_model_by_its_name_on_the_hub(hub, model):
    tokens = torch.tensor([[5, 9, 2, 33]])
    loaded = load("hf:tiny/gpt2")
    assert torch.equal(loaded.model(tokens), model(tokens))
    count = len(hub.asked)
    assert torch.equal(load("hf:tiny/gpt2").model(tokens), model(tokens))
    assert len(hub.asked) == count, "the second time nothing is asked"


def test_only_what_is_needed_is_fetched_and_recorded(hub, tmp_path):
    folder = from_hub("tiny/gpt2", quiet=True)
    assert folder == tmp_path / "cache" / "hub" / "tiny--gpt2" / "main"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "origin.json",
    ]  # fmt: skip
    assert not any(path.endswith((".bin", ".md")) for path in hub.asked)
    record = json.loads((folder / "origin.json").read_text())
    assert record["commit"] == COMMIT
    for name, entry in record["files"].items():
        data = (folder / name).read_bytes()
        assert entry == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_pinned_revision(hub):
    assert from_hub("tiny/gpt2", revision=COMMIT, quiet=True).name == COMMIT
    assert hub.asked[0] == f"/api/models/tiny/gpt2/revision/{COMMIT}?blobs=true"
    load(f"hf:tiny/gpt2@{COMMIT}")
    other = "f" * 40
    with pytest.raises(HubError, match=f"commit {other} was asked for, the hub has {COMMIT}"):
        from_hub("tiny/gpt2", revision=other)


@pytest.mark.usefixtures("hub")
def test_a_damaged_file_in_the_cache_is_fetched_again(model):
    weights = from_hub("tiny/gpt2", quiet=True) / "model.safetensors"
    weights.write_bytes(b"short")
    tokens = torch.tensor([[5, 9]])
    assert torch.equal(load("hf:tiny/gpt2").model(tokens), model(tokens))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}'])
def test_a_damaged_record_counts_as_none(text):
    record = from_hub("tiny/gpt2", quiet=True) / "origin.json"
    record.write_text(text)
    assert json.loads((from_hub("tiny/gpt2", quiet=True) / "origin.json").read_text())["commit"]


def test_shards_and_their_index(hub, tmp_path, model):
    tensors, map_ = gpt2_names(model), {}
    for i, names in enumerate((list(tensors)[::2], list(tensors)[1::2])):
        shard = f"model-0000{i + 1}-of-00002.safetensors"
        write_safetensors(tmp_path / "w", {name: tensors[name] for name in names})
        hub.files[shard] = (tmp_path / "w").read_bytes()
        map_ |= dict.fromkeys(names, shard)
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": map_}).encode()
    del hub.files["model.safetensors"]
    tokens = torch.tensor([[5, 9, 2, 33]])
    assert torch.equal(load("hf:tiny/gpt2").model(tokens), model(tokens))


WRONG = {
    "hash": ({"listed": {"model.safetensors": {"lfs": {"sha256": "0" * 64}}}}, "list says 0000"),
    "hash-small": ({"listed": {"config.json": {"blobId": "0" * 40}}}, "config.json has hash"),
    "cut-off": ({"cut": {"model.safetensors": 1000}}, r"sent 1000 bytes of \d+; try again"),
    "longer": ({"listed": {"config.json": {"size": 3}}}, "bytes of 3; try again"),
    "gone": ({"answers": {"/config.json": (404, b"")}}, "config.json answered 404"),
    "private": ({"answers": {"blobs=true": (401, b"")}}, "answered 401.*no such public model"),
    "broken": ({"answers": {"blobs=true": (503, b"")}}, "answered 503.*try later"),
    "html": ({"answers": {"blobs=true": (200, b"<html>")}}, "answered with no list of files"),
    "list": ({"answers": {"blobs=true": (200, b"[]")}}, "answered with no list of files"),
    "deep": ({"answers": {"blobs=true": (200, b"[" * 99_999)}}, "answered with no list of files"),
    "no-hash": ({"listed": {"config.json": {"blobId": None}}}, "answered with no list of files"),
    "no-size": ({"listed": {"config.json": {"size": -1}}}, "answered with no list of files"),
    "no-commit": ({"commit": "../../etc"}, r"the commit is '../../etc'"),
    "no-config": ({"files": {"model.safetensors": b""}}, "needs config.json and safetensors"),
    "pickle": (
        {"files": {"config.json": b"{}", "pytorch_model.bin": b"x"}},
        "a pickle can run any program.*the hub has config.json, pytorch_model.bin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_and_nothing_is_kept(hub, tmp_path, case):
    lies, message = WRONG[case]
    for name, value in lies.items():
        setattr(hub, name, value)
    with pytest.raises(HubError, match=message):
        from_hub("tiny/gpt2", quiet=True)
    assert files(tmp_path) == []


def test_an_answer_without_end_is_not_read(hub, monkeypatch):
    monkeypatch.setattr(remote, "MAX_ANSWER", 100)
    hub.answers["blobs=true"] = (200, b" " * 1000)
    with pytest.raises(HubError, match="more than 100 bytes"):
        from_hub("tiny/gpt2")


@pytest.mark.usefixtures("hub")
def test_an_unknown_model():
    with pytest.raises(HubError, match=r"answered 404 .*no such public model"):
        load("hf:tiny/gpt3")


@pytest.mark.usefixtures("hub")
def test_without_a_network_the_address_is_named(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"tried http://127.0.0.1:9/api/models/tiny/gpt2.*refused"):
        load("hf:tiny/gpt2")
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(HubError, match="'file:///etc', not a web address"):
        load("hf:tiny/gpt2")


@pytest.mark.usefixtures("hub")
def test_a_full_disk(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match="cannot write to"):
        from_hub("tiny/gpt2", quiet=True)


@pytest.mark.parametrize(
    "name", ["", "a/b/c", "../etc", "a/..", "a b", "a?b", "a/b\n", "hf:é", "a--b"]
)
def test_a_name_that_is_none(name):
    with pytest.raises(ValueError, match="is not the name of a model on the hub"):
        from_hub(name)


@pytest.mark.parametrize("revision", ["", "..", "a/b", "main#"])
def test_a_revision_that_is_none(revision):
    with pytest.raises(ValueError, match="is not a branch, a tag or a commit"):
        from_hub("tiny/gpt2", revision=revision)


@pytest.mark.usefixtures("hub")
def test_the_command_line_fetches_it_too(capsys, tmp_path):
    assert main(["fetch", "hf:tiny/gpt2"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cache' / 'hub' / 'tiny--gpt2' / 'main'}\n"
    assert main(["fetch", "hf:tiny/gpt3"]) == 1


@pytest.mark.usefixtures("hub")
def test_the_bar_ends_full(capsys):
    from_hub("tiny/gpt2")
    assert "tiny--gpt2: 100%" in capsys.readouterr().err

"""Load damaged copies of a small model in little memory; run by `test_fuzz.py` as a process.

Prints a JSON object: kind of file → [refused, loaded]. Any exception but ValueError ends it, and so
does an allocation that the size of the files does not justify, for the process may not grow.
"""

import faulthandler
import json
import random
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository
from minillm import CausalLM
from minillm.tokenizer.alphabet import BYTE_ORDER, to_printable
from minillm.weights.load import Loaded, load
from minillm.weights.safetensors import write_safetensors
from tests.conftest import GPT2, LLAMA, randomise
from tests.hub.test_huggingface import CONFIG, gpt2_names
from tests.weights.test_load import write_gguf

ROOM = 400_000_000  # bytes that the process may grow by; the files have less than one million
SMALL = {"vocab_size": 264, "context_length": 16, "d_model": 16, "n_layers": 2, "n_heads": 2}
PREFERRED = {  # a file that is not looked at while another is there
    "vocab.txt": ("tokenizer.json",),
    "vocab.json": ("tokenizer.json", "vocab.txt"),
    "merges.txt": ("tokenizer.json", "vocab.txt"),
}
ODD: list[Any] = [
    *(None, True, -1, 0, 2.5, 10**9, 10**30, 10**400, -(10**30), 1e308, float("nan"), float("inf")),
    *("", "x", "\ud800", "\0", "../../x", [], [[]], {}, {"a": 1}, [None], "9" * 5000),
]


def folder(path: Path) -> Path:
    """A GPT-2 in two shards with a tokenizer."""
    model = randomise(CausalLM(replace(GPT2, **SMALL, d_ff=24)))
    sizes = {"vocab_size": 264, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = CONFIG | sizes | {"n_inner": 24, "eos_token_id": 263}
    tensors, shards = gpt2_names(model), {}
    for i, names in enumerate((list(tensors)[::2], list(tensors)[1::2])):
        shard = f"model-0000{i + 1}-of-00002.safetensors"
        write_safetensors(path / shard, {name: tensors[name] for name in names})
        shards |= dict.fromkeys(names, shard)
    tokens = [*(to_printable(bytes([byte])) for byte in BYTE_ORDER), "ab", "abab", "<|end|>"]
    tokenizer = {
        "added_tokens": [{"id": 258, "content": "<|end|>"}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": ["a b", ["ab", "ab"]],
        },
    }
    for name, values in {
        "config.json": config,
        "model.safetensors.index.json": {"weight_map": shards},
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"chat_template": "{{ messages }}", "add_prefix_space": False},
        "vocab.json": tokenizer["model"]["vocab"],
    }.items():
        (path / name).write_text(json.dumps(values))
    (path / "merges.txt").write_text("#version: 0.2\na b\nab ab\n")
    (path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ncat\n##s\n")
    return path


def damaged(data: bytes, chance: random.Random, count: int, front: int) -> Iterator[bytes]:
    """Truncated, flipped, overwritten, doubled; mostly in the front, where the lengths are."""
    for _ in range(count):
        broken, end = bytearray(data), chance.choice((front, len(data)))
        at = chance.randrange(min(end, len(data)))
        kind = chance.randrange(5)
        if kind == 0:
            del broken[at:]
        elif kind == 1:
            for _ in range(chance.choice((1, 1, 4))):
                broken[chance.randrange(min(end, len(data)))] ^= 1 << chance.randrange(8)
        elif kind == 2:
            broken[at : at + 8] = chance.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"))
        elif kind == 3:
            broken[at:at] = broken[at : at + chance.randrange(1, 40)]
        else:
            del broken[at : at + chance.randrange(1, 40)]
        yield bytes(broken)


def odd(data: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """JSON that is sound, with one value that is not."""
    for _ in range(count):
        values = json.loads(data)
        node, place = {"top": values}, "top"
        while True:
            inner = node[place]
            if not isinstance(inner, dict | list) or not inner or chance.random() < 0.1:
                break
            node = inner
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            place = chance.choice(keys)
        value = chance.choice(ODD)
        if node.get("top") is values if isinstance(node, dict) else False:
            values = value
        elif isinstance(node, dict) and chance.random() < 0.3:
            node[chance.choice(["x", "\0", *map(str, node)])] = node.pop(place)
        else:
            node[place] = value
        yield json.dumps(values).encode()


def use(loaded: Loaded) -> None:
    """What was loaded must hang together: shapes as in its config, a tokenizer that is total."""
    with torch.device("meta"):
        shapes = {n: p.shape for n, p in CausalLM(loaded.config).named_parameters()}
    assert {n: p.shape for n, p in loaded.model.named_parameters()} == shapes
    ids = [1, 2] if loaded.tokenizer is None else loaded.tokenizer.encode("abab cats 🙂")
    assert all(0 <= i < loaded.config.vocab_size for i in ids)
    with torch.no_grad():
        logits = loaded.model(torch.tensor([ids[: min(4, loaded.config.context_length)] or [0]]))
    assert logits.shape[-1] == loaded.config.vocab_size


def limit() -> None:
    """From now on the process may not grow by more than ROOM."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def attempt(path: Path, file: Path, broken: bytes, counts: list[int]) -> None:
    """One damaged file: refused by a ValueError, or loaded and sound."""
    file.write_bytes(broken)
    try:
        loaded = load(path)
    except ValueError:
        counts[0] += 1
    except BaseException:
        sys.stderr.write(f"{file.name}: {broken[:3000]!r}\n")
        raise
    else:
        use(loaded)
        counts[1] += 1


def main(seed: int, count: int, where: Path) -> None:
    """Damage one file after another."""
    faulthandler.dump_traceback_later(450, exit=True)
    chance, results = random.Random(seed), {}
    config = replace(LLAMA, **SMALL | {"n_heads": 4}, n_kv_heads=2, d_ff=32)
    gguf = write_gguf(where / "a.gguf", randomise(CausalLM(config)))
    hf = where / "hf"
    hf.mkdir()
    folder(hf)
    cases = [(gguf, gguf), *((hf, file) for file in sorted(hf.iterdir()))]
    use(load(gguf))
    use(load(hf))
    limit()
    for path, file in cases:
        data, counts = file.read_bytes(), results.setdefault(file.name, [0, 0])
        aside = {hf / name: (hf / name).read_bytes() for name in PREFERRED.get(file.name, ())}
        for other in aside:
            other.unlink()
        for broken in damaged(data, chance, count, front=9000 if file is gguf else 600):
            attempt(path, file, broken, counts)
        if file.suffix == ".json":
            for broken in odd(data, chance, count):
                attempt(path, file, broken, counts)
        file.write_bytes(data)
        for other, content in aside.items():
            other.write_bytes(content)
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

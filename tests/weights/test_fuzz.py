"""Damaged files of every kind, a thousand of them: refused by a ValueError, or loaded and sound.

What is seen: every truncation; lengths, offsets, types, shapes and names that do not fit the file,
each other or the config; text that is no UTF-8 or no JSON; numbers that are not finite. What cannot
be seen: a flipped bit in a finite weight, or a changed header that still fits, such as another
theta. Against those there is a hash, which `minillm.hub` and `minillm.remote` compare on arrival.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("fuzz_child.py")
LEAST = {  # of 60 damaged files, and for JSON 60 more with an odd value, how many are refused
    "a.gguf": 35,
    "model-00001-of-00002.safetensors": 35,
    "model-00002-of-00002.safetensors": 35,
    "config.json": 80,
    "model.safetensors.index.json": 60,
    "tokenizer.json": 70,
    "tokenizer_config.json": 30,
    "vocab.json": 80,
    "merges.txt": 20,
    "vocab.txt": 5,
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_damaged_files_are_refused_or_sound_in_little_memory(tmp_path, seed):
    done = subprocess.run(
        [sys.executable, CHILD, str(seed), "60", tmp_path],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    assert results.keys() == LEAST.keys()
    for name, (refused, loaded) in results.items():
        assert refused >= LEAST[name], (name, refused)
        assert refused + loaded == (120 if name.endswith(".json") else 60)
        assert loaded > 0 or name == "vocab.json", f"{name}: the damage is too coarse to tell"

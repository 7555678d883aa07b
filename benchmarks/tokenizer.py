"""How fast the tokenizer learns and encodes, beside a plain rescan and the library `tokenizers`.

Everything runs in one process on one thread, in turns, and medians are reported. The rescan counts
every pair of every distinct word again for each merge; it starts from counted words, as ours does,
so what is compared is the search for the next merge and nothing else.
"""

import json
import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import tokenizers
from machine import machine
from tokenizers import models, pre_tokenizers, trainers

import minillm
from minillm.corpora import bible
from minillm.tokenizer import GPT2_PATTERN, BPETokenizer, Splitter
from minillm.tokenizer.alphabet import BYTE_ORDER

OUT = Path(__file__).parent / "results" / "tokenizer.json"
SIZE, VOCABULARY, ROUNDS = 1_000_000, 1_024, 5
Merges = list[tuple[bytes, bytes]]


def rescan(words: Mapping[str, int], vocab_size: int) -> Merges:
    """The textbook's trainer: count all pairs of all distinct words again for every merge."""
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    ids = {byte: i for i, byte in enumerate(BYTE_ORDER)}
    texts = [([ids[byte] for byte in word.encode()], times) for word, times in words.items()]
    merges: Merges = []
    while len(tokens) < vocab_size:
        counts: Counter[tuple[int, int]] = Counter()
        for word, times in texts:
            for pair in pairwise(word):
                counts[pair] += times
        left, right = min(counts, key=lambda pair: (-counts[pair], pair))
        for word, _ in texts:
            i = 0
            while i < len(word) - 1:
                if word[i] == left and word[i + 1] == right:
                    word[i : i + 2] = [len(tokens)]
                i += 1
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    return merges


def train_library(text: str) -> tokenizers.Tokenizer:
    """A byte-level BPE of `tokenizers` with the same pattern and the same size."""
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator([text], trainer)
    return library


def medians(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each job, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(text: str, fresh: str) -> dict[str, Any]:
    """Train on one text, encode another; every result is first found to be the same."""
    ours, library = BPETokenizer.train(text, VOCABULARY), train_library(text)
    if list(ours.merges) != rescan(Counter(Splitter(GPT2_PATTERN)(text)), VOCABULARY):
        raise ValueError("the rescan learnt other merges")
    if ours.encode(fresh) != library.encode(fresh).ids:
        raise ValueError("the library encodes otherwise")

    def cold() -> None:
        BPETokenizer(ours.tokens, ours.merges).encode(fresh)

    training = {
        "minillm": lambda: BPETokenizer.train(text, VOCABULARY),
        "tokenizers": lambda: train_library(text),
        "rescan": lambda: rescan(Counter(Splitter(GPT2_PATTERN)(text)), VOCABULARY),
    }
    encoding = {
        "minillm, first time": cold,
        "minillm, words known": lambda: ours.encode(fresh),
        "tokenizers": lambda: library.encode(fresh),
        "tokenizers, without offsets": lambda: library.encode_batch_fast([fresh]),
    }
    return {"train": medians(training, 3), "encode": medians(encoding, ROUNDS)}


def main() -> None:
    """Measure, print the table, write the JSON."""
    whole = "\n".join(verse.text for verse in bible("bbe").train)
    text, fresh = whole[:SIZE], whole[SIZE : 2 * SIZE]
    seconds, megabytes = measure(text, fresh), len(fresh.encode()) / 1e6
    train, encode = seconds["train"], seconds["encode"]
    print(f"learn {VOCABULARY} tokens from {len(text.encode()) / 1e6:.2f} MB (bible-bbe)")
    for name, value in train.items():
        print(f"  {name:28} {value:8.3f} s {value / train['minillm']:8.1f} x ours")
    print(f"encode the next {megabytes:.2f} MB")
    for name, value in encode.items():
        print(f"  {name:28} {value:8.3f} s {megabytes / value:8.1f} MB/s")
    result = {
        "made_by": "python benchmarks/tokenizer.py",
        "minillm": minillm.__version__, "tokenizers": tokenizers.__version__,
        "machine": f"{machine()}, Python {platform.python_version()}",
        "train_seconds": {name: round(value, 4) for name, value in train.items()},
        "encode_mb_per_second": {name: round(megabytes / v, 2) for name, v in encode.items()},
    }  # fmt: skip
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

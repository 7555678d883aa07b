"""Corpora and tokenizers: what goes into a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from minillm.cli.commands import say
from minillm.corpora.catalogue import CORPORA, corpus_texts, find_corpus, item_text
from minillm.corpora.core import TextCorpus
from minillm.files import read_text, write_whole
from minillm.tokenizer import BPETokenizer

SHOWN = 300  # characters of a sample


def data(options: argparse.Namespace) -> None:
    """Print the card and some text of a corpus, or the names of all.

    Raises:
        ValueError: If there is no such corpus.
    """
    if options.name is None:
        say("".join(f"{name}\n" for name in CORPORA))
        return
    corpus = find_corpus(options.name)
    whole = corpus.train.split("\n\n") if isinstance(corpus, TextCorpus) else corpus.train
    say(f"{corpus.card}\n")
    step = max(1, len(whole) // max(1, options.samples))  # spread over the whole corpus
    for item in whole[::step][: options.samples]:
        text = " ".join(item_text(item).split())
        say(f"\n{text[:SHOWN]}{'…' if len(text) > SHOWN else ''}\n")


def train_tokenizer(options: argparse.Namespace) -> None:
    """Learn a BPE vocabulary and write it to a file.

    Raises:
        ValueError: If the text cannot be read or the vocabulary is too small.
    """
    named = options.text in CORPORA or not Path(options.text).exists()
    text = corpus_texts(options.text).train if named else read_text(options.text)
    tokenizer = BPETokenizer.train(text, options.vocab_size, special=options.special)
    if Path(options.out).is_dir():
        raise ValueError(f"--out {options.out} is a folder; name the file to write")
    write_whole(Path(options.out), tokenizer.save)
    size = len(text.encode()) / len(tokenizer.encode(text))
    say(f"{options.out}: {tokenizer.vocab_size:,} tokens, {size:.2f} bytes of the text each\n")

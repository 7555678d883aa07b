"""What every corpus has: items in three fixed parts and a card that says what is wrong with it.

A unit that must not be torn apart (a topic, a chapter, a country) goes whole into one part, by a
hash of its name; so the division is the same on every machine.

Source: Gebru et al. (2021), arXiv:1803.09010, for the idea of a data card.
Book: chapter "Predicting the next word".
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Item = TypeVar("Item")
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a reader should know about a corpus before trusting a number measured on it."""

    what: str
    origin: str
    licence: str
    size: str
    split: str
    faults: str

    def __str__(self) -> str:
        return "\n".join(f"{name:<8}{text}" for name, text in vars(self).items())


@dataclass(frozen=True)
class Corpus(Generic[Item]):
    """Items in three parts, in the order of the original; `str(corpus.card)` describes them.

    Book: chapter "Predicting the next word".
    """

    train: tuple[Item, ...]
    validation: tuple[Item, ...]
    test: tuple[Item, ...]
    card: Card

    def __len__(self) -> int:
        return len(self.train) + len(self.validation) + len(self.test)


@dataclass(frozen=True)
class TextCorpus:
    """Running text, whole and in three parts."""

    text: str
    train: str
    validation: str
    test: str
    card: Card


def split_of(key: str) -> Split:
    """The part that a unit belongs to, from a hash of its name: 80 %, 10 % and 10 % of all names.

    Example:
        >>> split_of("python/for"), split_of("python/with")
        ('train', 'train')

    Book: chapter "Pretraining".
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    tenth = int.from_bytes(digest, "big") * 10 >> 64
    return "train" if tenth < 8 else "validation" if tenth == 8 else "test"


def distinct(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[Item]:
    """The items without those whose key has occurred before."""
    first: dict[Hashable, Item] = {}
    for item in items:
        first.setdefault(key(item), item)
    return list(first.values())


def parts_by(
    named: Iterable[tuple[str, Item]],
) -> tuple[tuple[Item, ...], tuple[Item, ...], tuple[Item, ...]]:
    """Training, validation and test items, divided by the hash of the name before each."""
    parts: dict[Split, list[Item]] = {"train": [], "validation": [], "test": []}
    for name, item in named:
        parts[split_of(name)].append(item)
    return tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"])


def sizes(parts: Iterable[Sequence[object]]) -> str:
    """The numbers of items in the parts, as a card says them."""
    return ", ".join(f"{len(part):,}" for part in parts)


def optional(module: str, library: str) -> Any:
    """A module of a library that only some corpora need.

    Raises:
        ImportError: If it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'this corpus needs {library}: pip install "minillm[data]"') from error

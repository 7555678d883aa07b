"""The stories of `objectives.py` as words, rows and pairs of passages.

    python experiments/objectives_data.py      # says what there is

Six plots in two styles. The test stories are new texts, about plots and things that training
stories tell of as well.
"""

from __future__ import annotations

import re
from functools import cache

import torch
from torch import Tensor

from minillm import SentencePairs
from minillm.corpora.stories import stories
from minillm.tokenizer.wordpiece import WordPieceTokenizer

LENGTH = 64
PLOTS = ("lost", "borrowed", "lunch", "rescue", "storm", "garden")
STYLES = ("plain", "terse")
ENDS = {"train": (0, 1900), "validation": (1900, 2100), "test": (2100, None)}
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPECIAL = PAD, UNK, CLS, SEP = 0, 1, 2, 3
MASK = 4
CORPUS = [s for s in stories(20_000).train if s.plot in PLOTS and s.style in STYLES]
STORIES = {part: CORPUS[slice(*ends)] for part, ends in ENDS.items()}
TEXTS = {part: [story.text for story in told] for part, told in STORIES.items()}
WORDS = sorted(set(re.findall(r"\w+|[^\w\s]", " ".join(TEXTS["train"]))))
TOKENIZER = WordPieceTokenizer(NAMES + WORDS, lower_case=False, strip_accents=False)
V = TOKENIZER.vocab_size


def words_of(text: str) -> list[int]:
    """The words of a text as ids."""
    return TOKENIZER.encode(text)[1:-1]


def as_text(ids: list[int]) -> str:
    """Words as a text with its usual spaces."""
    text = TOKENIZER.decode(ids)
    text = re.sub(r" ([.,!?:;])", r"\1", text)
    text = re.sub(r" ([-']) ", r"\1", text)
    return re.sub(r'" ([^"]*?) ?"', r'"\1"', text)


def sentences_of(text: str) -> list[list[int]]:
    """The sentences of a text, each as ids."""
    return [words_of(s) for s in re.split(r'(?<=[.!?])\s+(?=[A-Z"])', text)]


@cache
def rows_of(part: str) -> Tensor:
    """All words of a part in rows, [CLS] before each row and [SEP] between stories."""
    stream = [token for text in TEXTS[part] for token in (*words_of(text), SEP)]
    n = len(stream) // (LENGTH - 1)
    rows = torch.tensor(stream[: n * (LENGTH - 1)]).view(n, LENGTH - 1)
    return torch.cat((torch.full((n, 1), CLS), rows), dim=1)


@cache
def sentences(part: str) -> list[list[list[int]]]:
    """The stories of a part as lists of sentences."""
    return [sentences_of(text) for text in TEXTS[part]]


def pairs_of(part: str, seed: int) -> SentencePairs:
    """Pairs of passages: the second follows the first, or comes from another story."""
    return SentencePairs(sentences(part), length=LENGTH, cls=CLS, sep=SEP, pad=PAD, seed=seed)


if __name__ == "__main__":
    for part, told in STORIES.items():
        print(part, len(told), "stories,", len(rows_of(part)), "rows;", V, "words")
    lost = sum(text != as_text(words_of(text)) for text in TEXTS["test"])
    print(lost, "test stories do not come back from their words")

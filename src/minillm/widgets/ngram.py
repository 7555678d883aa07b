"""Finish the sentence: next-word distributions of order 1 to 3, and what a sentence costs.

Counts and their interpolation, after Jelinek and Mercer (1980); a word's cost is
-log2 p bits. Only pairs and triples seen often enough travel with the page, so the
distributions are those of the counts that were kept, not of the whole text; Kneser-Ney is
left to `minillm.ngram`. Book: chapter "Predicting the next word".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import as_array, pack_varints

Gram = tuple[int, ...]
Rows = dict[Gram, list[tuple[int, int]]]
START, END = "<s>", "</s>"


def _rows(counts: Mapping[Gram, int]) -> Rows:
    """Counts grouped by context, contexts and words in rising order."""
    grams = sorted((tuple(map(int, gram)), int(count)) for gram, count in counts.items())
    by_context = groupby(grams, key=lambda item: item[0][:-1])
    return {context: [(gram[-1], n) for gram, n in group] for context, group in by_context}


def _stream(rows: Rows) -> Iterator[int]:
    """The rows as small numbers: neighbours are written as differences."""
    first = 0
    for context, entries in rows.items():
        yield context[0] - first
        first = context[0]
        yield from context[1:]
        yield len(entries)
        previous = 0
        for word, count in entries:
            yield word - previous
            yield count
            previous = word


def count_grams(
    sequences: Iterable[Sequence[str]], vocabulary: int
) -> tuple[list[str], list[Counter[Gram]]]:
    """The commonest words, and the counts of single words, pairs and triples of them.

    Every sequence is read as `<s> <s> words </s>`; what contains another word is not counted.
    """
    texts = [list(sequence) for sequence in sequences]
    common = Counter(word for text in texts for word in text).most_common(vocabulary)
    tokens = [START, END, *sorted(word for word, _ in common)]
    ids = {token: i for i, token in enumerate(tokens)}
    counts: list[Counter[Gram]] = [Counter(), Counter(), Counter()]
    for text in texts:
        row = [0, 0, *(ids.get(word, -1) for word in text), 1]
        for end in range(2, len(row)):
            for size, counter in enumerate(counts):
                gram = tuple(row[end - size : end + 1])
                if min(gram) >= 0:
                    counter[gram] += 1
    return tokens, counts


class NGramExplorer(Explorable):
    """The next word by counting: bars for each order, their mixture, and running bits.

    p_n(w | c) = mix · count(c w) / count(c) + (1 - mix) · p_{n-1}(w | shorter c)

    A context that was never seen leaves the word to the shorter one; with `mix` 1 there is no
    shorter one, and the model is silent.

    Args:
        tokens: the words; `<s>` (start) and `</s>` (end) among them if the counts have them.
        unigram: how often each of the tokens occurs.
        bigrams: count of each pair (i, j) of token numbers.
        trigrams: count of each triple (i, j, k).
        written: words that stand there at first.
        order: the longest context in use, plus one: 1, 2 or 3.
        mix: the share of the longest seen context, from 0 to 1.
        temperature: above 1 flattens what is drawn from, below 1 sharpens it.
        seed: for the button "draw".

    Raises:
        ValueError: If lengths disagree, a number is no token, or a written word is unknown.

    >>> verses = [["the", "cat", "sat"], ["the", "dog", "sat"], ["the", "cat", "ran"]]
    >>> model = NGramExplorer.from_sequences(verses, min_bigram=1, min_trigram=1)
    >>> model.probability("cat", ["the"], order=2, mix=1.0)
    0.6666666666666666

    Book: chapter "Predicting the next word".
    """

    _esm = bundle("ngram.js")
    written: traitlets.List[str] = traitlets.List().tag(sync=True)
    order = traitlets.Int().tag(sync=True)
    mix = traitlets.Float().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    seed = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        tokens: Sequence[str],
        unigram: Any,
        bigrams: Mapping[Gram, int],
        trigrams: Mapping[Gram, int],
        *,
        written: Sequence[str] = (),
        order: int = 3,
        mix: float = 0.7,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        counts = as_array(unigram).astype(int)
        if len(tokens) != len(counts):
            raise ValueError(f"got {len(tokens)} tokens, but {len(counts)} unigram counts")
        for size, table in ((2, bigrams), (3, trigrams)):
            _check(table, size, len(tokens))
        for word in written:
            member("a written word", word, tokens)
        self._tokens = list(tokens)
        self._ids = {token: i for i, token in enumerate(tokens)}
        singles = [(i, n) for i, n in enumerate(counts.tolist()) if n]
        self._tables: list[Rows] = [{(): singles}, _rows(bigrams), _rows(trigrams)]
        super().__init__(
            {
                "tokens": self._tokens,
                "unigram": pack_varints(counts.tolist()),
                "bigrams": pack_varints(_stream(self._tables[1])),
                "trigrams": pack_varints(_stream(self._tables[2])),
            },
            written=list(written),
            order=int(within("order", order, 1, 3)),
            mix=within("mix", mix, 0.0, 1.0),
            temperature=within("temperature", temperature, 0.1, 3.0),
            seed=seed,
        )

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[Sequence[str]],
        *,
        vocabulary: int = 1000,
        min_bigram: int = 5,
        min_trigram: int = 10,
        **controls: Any,
    ) -> NGramExplorer:
        """Count the commonest words of tokenised sentences and keep what is seen often enough.

        Args:
            sequences: one list of words per sentence or verse.
            vocabulary: how many of the commonest words to keep.
            min_bigram: pairs seen less often are dropped.
            min_trigram: triples seen less often are dropped.
            controls: `written`, `order`, `mix`, `temperature` or `seed` of the explorable.
        """
        tokens, counts = count_grams(sequences, vocabulary)
        kept = [
            {gram: n for gram, n in counter.items() if n >= least}
            for counter, least in zip(counts, (1, min_bigram, min_trigram), strict=True)
        ]
        unigram = [kept[0].get((i,), 0) for i in range(len(tokens))]
        return cls(tokens, unigram, kept[1], kept[2], **controls)

    def distribution(
        self, context: Sequence[str], order: int | None = None, mix: float | None = None
    ) -> NDArray[np.float64] | None:
        """Probability of every token after the context; None where the model is silent."""
        order, mix = order or self.order, self.mix if mix is None else mix
        start = [self._ids[START]] * 2 if START in self._ids else []
        history = [*start, *(self._ids[member("a word", word, self._tokens)] for word in context)]
        mixed = self._counted(0, ())
        for size in range(1, order):
            own = self._counted(size, tuple(history[-size:]))
            if own is not None:
                mixed = own if mixed is None else mix * own + (1 - mix) * mixed
            elif mix == 1.0:
                mixed = None
        return mixed

    def probability(
        self, word: str, context: Sequence[str], order: int | None = None, mix: float | None = None
    ) -> float:
        """Probability of one word after the context; 0 where the model is silent."""
        probabilities = self.distribution(context, order, mix)
        return 0.0 if probabilities is None else float(probabilities[self._ids[word]])

    def bits(self, words: Sequence[str]) -> float:
        """Cost of the words, one after the other, in bits: -Σ log2 p."""
        chances = [self.probability(word, words[:i]) for i, word in enumerate(words)]
        return float("inf") if 0.0 in chances else -float(np.log2(chances).sum())

    def _counted(self, size: int, context: Gram) -> NDArray[np.float64] | None:
        entries = self._tables[size].get(context)
        if entries is None:
            return None
        out = np.zeros(len(self._tokens))
        for word, count in entries:
            out[word] = count
        return out / out.sum()

    def fallback(self) -> Fallback:
        """The likeliest next words after what is written."""
        probabilities = self.distribution(self.written)
        best = (
            [] if probabilities is None else np.argsort(-probabilities, kind="stable")[:5].tolist()
        )
        text = " ".join(self.written) or "the start of a sentence"
        sentence = (
            f"Finish the sentence: after “{text}” an n-gram model of order {self.order} gives "
            "every word a probability. The likeliest are listed; each costs -log2 p bits."
        )
        chances = [] if probabilities is None else probabilities[best].tolist()
        rows = [
            (self._tokens[i], f"{100 * p:.1f} %", f"{-np.log2(p):.2f}")
            for i, p in zip(best, chances, strict=True)
            if p > 0
        ]
        return Fallback(sentence, ("next word", "probability", "bits"), rows)


def _check(table: Mapping[Gram, int], size: int, tokens: int) -> None:
    for gram in table:
        if len(gram) != size:
            raise ValueError(f"{gram} has {len(gram)} numbers in a table of {size} words")
        if not 0 <= min(gram) <= max(gram) < tokens:
            raise ValueError(f"{gram} names a token outside the {tokens} that there are")

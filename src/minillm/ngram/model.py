"""Count-based language models: the baseline that every network in this book has to beat.

An n-gram model predicts a token from the n-1 tokens before it, by counting. The n-grams of each
length are one sorted array of integers, (number of the context) · V + token, so a whole text is
scored with a few binary searches and no table of V × V exists anywhere. What to do about what
was never seen is decided in `smoothing`.

Source: Shannon (1948); Chen and Goodman (1999), doi:10.1006/csla.1999.0128.
Book: chapter "Predicting the next word".
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from minillm.ngram.counts import CUT, Level, count_ngrams, find, followers
from minillm.ngram.smoothing import SMOOTHINGS, Evidence, Settings, Smoothing

Corpus = Sequence[int] | Tensor | Sequence[Sequence[int]] | Sequence[Tensor]
"""One text as ids, or several texts that have nothing to do with each other."""


class NGramState:
    """The last n-1 tokens of each text: all that an n-gram model remembers.

    Book: chapter "Predicting the next word".
    """

    def __init__(self, batch: int) -> None:
        self.tokens = torch.zeros(batch, 0, dtype=torch.long)
        self.length = 0

    def __len__(self) -> int:
        return self.length

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` (B,) of the batch, in that order."""
        self.tokens = self.tokens[index.cpu()]


class NGramLM:
    r"""Next-token probabilities from the counts of the last n-1 tokens.

    Near the beginning of a text the model uses the few tokens that are there. With a `boundary`,
    each text of a corpus is read as boundary, text, boundary: the first is a context and never
    predicted, the second is predicted like any token. Without one, texts have no end.
    Before `fit` every token has probability 1/V. Counts are kept on the CPU in float64, and so are
    probabilities; tokens may be on any device, and what a call returns is where its tokens are.

    Args:
        vocab_size: V; every distribution is over exactly these tokens.
        order: n, the length of the longest n-gram.
        smoothing: a key of `SMOOTHINGS`.
        boundary: id of the token that stands between texts, if there is one.
        k: added to each count by "add_k".
        discount: taken from each count by "kneser_ney".
        weights: for "interpolated", the share of each order's own frequencies, order 1 first.

    Raises:
        ValueError: If a number is out of its range, or the smoothing is unknown.

    Example:
        >>> model = NGramLM(3, 2, smoothing="mle").fit([0, 1, 0, 1, 0, 2])
        >>> model.distribution([0])
        tensor([0.0000, 0.6667, 0.3333], dtype=torch.float64)
        >>> model.prob([1], 0), model.entries
        (1.0, (3, 3))

    Source: Chen and Goodman (1999), section 2.
    Book: chapter "Predicting the next word".
    """

    def __init__(
        self,
        vocab_size: int,
        order: int,
        *,
        smoothing: Smoothing = "kneser_ney",
        boundary: int | None = None,
        k: float = 1.0,
        discount: float = 0.75,
        weights: Sequence[float] = (0.99, 0.8, 0.5, 0.3, 0.2),
    ) -> None:
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing {smoothing!r} is not one of {sorted(SMOOTHINGS)}")
        if boundary is not None and not 0 <= boundary < vocab_size:
            raise ValueError(f"boundary={boundary} is outside the vocabulary of {vocab_size}")
        if smoothing == "interpolated" and len(weights) < order:
            raise ValueError(f"order={order} needs as many weights, got {len(weights)}")
        self.settings = Settings(order, vocab_size, k, discount, tuple(weights))
        self.vocab_size, self.order = vocab_size, order
        self.smoothing, self.boundary = smoothing, boundary
        self._levels: list[Level] = []

    @property
    def entries(self) -> tuple[int, ...]:
        """How many different n-grams of length 1, 2, …, n are stored."""
        return tuple(len(level.keys) for level in self._levels)

    def fit(self, corpus: Corpus) -> NGramLM:
        """Count the n-grams of one text or of several; none reaches from one text into the next.

        Raises:
            ValueError: If the corpus is empty or holds an id outside the vocabulary.
        """
        tokens, place = self._flatten(corpus)
        self._levels = count_ngrams(
            tokens,
            place,
            order=self.order,
            vocab_size=self.vocab_size,
            first=0 if self.boundary is None else 1,
            by_left_neighbour=self.smoothing == "kneser_ney",
        )
        return self

    def prob(self, context: Sequence[int] | Tensor, token: int) -> float:
        """P(token | context); of the context only the last n-1 tokens matter."""
        tokens = self._check(torch.tensor([*context, token], dtype=torch.long)[-self.order :])
        return self._score(tokens, torch.arange(len(tokens)) == 0)[-1].item()

    def distribution(self, context: Sequence[int] | Tensor) -> Tensor:
        """P(token | context) of every token: float64, shape (V,), sum 1."""
        tokens = self._check(torch.tensor([*context], dtype=torch.long)[None])
        return self._next(tokens, torch.ones_like(tokens, dtype=torch.bool), last=1)[0, 0]

    def log_probs(self, corpus: Corpus) -> Tensor:
        """Log P of each token given those before it in its text, natural logarithm, float64.

        Shape:
            returns (T,): all texts one after the other; with a boundary, each followed by its end.

        Raises:
            ValueError: If there are no tokens, or an id is outside the vocabulary.
        """
        tokens, place = self._flatten(corpus)
        log_p = self._score(tokens, place == 0).log()
        return log_p if self.boundary is None else log_p[place > 0]

    def perplexity(self, corpus: Corpus) -> float:
        """Exp of the mean of -log P over all tokens, ends of texts included."""
        return (-self.log_probs(corpus).mean()).exp().item()

    def __call__(
        self, tokens: Tensor, *, mask: Tensor | None = None, state: NGramState | None = None
    ) -> Tensor:
        """Log-probabilities of what comes after each token, in the place of a network's logits.

        Args:
            tokens: ids (B, T). A `boundary` is not added: begin a prompt with it.
            mask: (B, S), True = a real token, over everything read so far.
            state: what `new_state` returned; extended in place.

        Shape:
            returns (B, T, V).
        """
        (length, device), tokens = (tokens.shape[1], tokens.device), tokens.cpu()
        if state is not None:
            tokens = torch.cat([state.tokens, tokens], dim=1)
            state.tokens = tokens[:, max(tokens.shape[1] - self.order + 1, 0) :]
            state.length += length
        real = torch.ones_like(tokens, dtype=torch.bool)
        if mask is not None:
            real = mask.cpu()[:, mask.shape[1] - tokens.shape[1] :]
        log_p = self._next(self._check(tokens), real, last=length).log()
        return log_p.to(torch.get_default_dtype()).to(device)

    def new_state(self, batch: int, length: int) -> NGramState:  # noqa: ARG002 - it never grows
        """Return an empty state for `batch` texts; `length` does not matter to an n-gram."""
        return NGramState(batch)

    def _score(self, tokens: Tensor, fresh: Tensor) -> Tensor:
        """P of each token (T,); `fresh` is True for the first token of each text."""
        contexts = self._contexts(tokens, fresh)
        p = torch.full(tokens.shape, 1 / self.vocab_size, dtype=torch.float64)
        for order, level in enumerate(self._levels, start=1):
            child = find(level, contexts[order - 1], tokens)
            count = level.count[child.clamp(min=0)].where(child >= 0, 0)
            p = self._smooth(contexts[order - 1], count, p, order)
        return p

    def _next(self, tokens: Tensor, real: Tensor, *, last: int) -> Tensor:
        """Distributions (B, last, V) after each of the last tokens."""
        beyond = torch.zeros_like(tokens[:, :1]) if tokens.numel() else tokens.new_zeros(1, 1)
        fresh = torch.cat([torch.ones_like(beyond, dtype=torch.bool), ~real], dim=1)
        contexts = self._contexts(torch.cat([tokens, beyond], dim=1), fresh)
        p = torch.full(
            (len(fresh), last, self.vocab_size), 1 / self.vocab_size, dtype=torch.float64
        )
        for order, level in enumerate(self._levels, start=1):
            context = contexts[order - 1][:, -last:, None]
            count = followers(level, context.flatten()).view_as(p)
            p = self._smooth(context, count, p, order)
        return p

    def _contexts(self, tokens: Tensor, fresh: Tensor) -> list[Tensor]:
        """For m = 0 … n-1 the number of the m tokens before each token; shapes as `tokens`."""
        contexts = [torch.zeros_like(tokens)]
        for level in self._levels[:-1]:
            ends_here = find(level, contexts[-1], tokens)
            contexts.append(ends_here.roll(1, dims=-1).masked_fill(fresh, CUT))
        return contexts

    def _smooth(self, context: Tensor, count: Tensor, lower: Tensor, order: int) -> Tensor:
        """One order's probabilities from its counts and the order below."""
        level, seen = self._levels[order - 1], context >= 0
        total = level.total[context.clamp(min=0)].where(seen, 0)
        kinds = level.kinds[context.clamp(min=0)].where(seen, 0)
        evidence = Evidence(count, total, kinds, lower, order)
        return SMOOTHINGS[self.smoothing](evidence, self.settings).where(context != CUT, lower)

    def _flatten(self, corpus: Corpus) -> tuple[Tensor, Tensor]:
        """All texts as one tensor (T,), and the place of each token in its text."""
        one = isinstance(corpus, Tensor) or (len(corpus) > 0 and isinstance(corpus[0], Integral))
        edge = torch.tensor([] if self.boundary is None else [self.boundary], dtype=torch.long)
        rows = [corpus] if one else corpus
        texts = [torch.as_tensor(text, dtype=torch.long, device="cpu") for text in rows]
        if bad := [tuple(text.shape) for text in texts if text.ndim != 1]:
            raise ValueError(f"a text is a row of ids, got one of shape {bad[0]}")
        lengths = torch.tensor([text.numel() for text in texts], dtype=torch.long) + 2 * len(edge)
        if lengths.sum() == 0:
            raise ValueError("the corpus holds no tokens")
        tokens = torch.cat([part for text in texts for part in (edge, text, edge)])
        begins = lengths.cumsum(0) - lengths
        return self._check(tokens), torch.arange(len(tokens)) - begins.repeat_interleave(lengths)

    def _check(self, tokens: Tensor) -> Tensor:
        wrong = tokens[(tokens < 0) | (tokens >= self.vocab_size)]
        if len(wrong):
            raise ValueError(f"token id {wrong[0]} is outside the vocabulary of {self.vocab_size}")
        return tokens

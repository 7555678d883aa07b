"""Against repetition: two rules that look at the text so far, and a model that obeys one.

A filter of `sampling` sees one row of logits; these rules also see what has been written. Both act
on words that the text needs (a name, "the") as on a loop, which chapter "Generating text" measures.

Papers: Keskar et al. (2019), arXiv:1909.05858 (penalty); Paulus et al. (2018), arXiv:1705.04304
(no repeated n-gram).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minillm.protocol import LanguageModel, State

Rule = Callable[[Tensor, Tensor], Tensor]
"""Takes logits (B, V) and the text so far (B, T), returns logits (B, V)."""


def penalise_repeats(logits: Tensor, tokens: Tensor, penalty: float) -> Tensor:
    """Lower the logits of all tokens that the text has already: z / penalty if z > 0, else z · it.

    The result depends on where the zero of the logits lies, which softmax does not.

    Args:
        logits: scores of the next token.
        tokens: the text so far, prompt included.
        penalty: 1 changes nothing; above 1 repetitions become rarer.

    Shape:
        logits: (B, V); tokens: (B, T); output: (B, V).

    Raises:
        ValueError: If the penalty is not positive, or the two have different numbers of rows.

    Example:
        >>> penalise_repeats(torch.tensor([[4.0, 3.0, -1.0]]), torch.tensor([[0, 2, 0]]), 2.0)
        tensor([[ 2.,  3., -2.]])

    Source: Keskar et al. (2019), arXiv:1909.05858, section 4.1.
    Book: chapter "Generating text".
    """
    if not penalty > 0:
        raise ValueError(f"penalty={penalty} must be > 0")
    _check_rows(logits, tokens)
    seen = logits.gather(1, tokens)  # (B, T); a token that stands twice is lowered once
    return logits.scatter(1, tokens, torch.where(seen > 0, seen / penalty, seen * penalty))


def forbid_repeated_ngrams(logits: Tensor, tokens: Tensor, n: int) -> Tensor:
    """Forbid each token that would complete n neighbours which the text has already.

    Args:
        logits: scores of the next token.
        tokens: the text so far, prompt included.
        n: length of what must not come twice; with 1 no token may.

    Shape:
        logits: (B, V); tokens: (B, T); output: (B, V), forbidden tokens at minus infinity.

    Raises:
        ValueError: If n < 1, or the two have different numbers of rows.

    Example:
        >>> forbid_repeated_ngrams(torch.zeros(1, 4), torch.tensor([[2, 3, 1, 2]]), 2)
        tensor([[0., 0., 0., -inf]])

    Source: Paulus et al. (2018), arXiv:1705.04304, section 2.5.
    Book: chapter "Generating text".
    """
    if n < 1:
        raise ValueError(f"n={n} must be >= 1")
    _check_rows(logits, tokens)
    if tokens.shape[1] < n:
        return logits
    grams = tokens.unfold(1, n, 1)  # (B, T - n + 1, n)
    end = tokens[:, tokens.shape[1] - n + 1 :]  # (B, n - 1): what the next token would complete
    again = (grams[..., :-1] == end[:, None]).all(-1)
    times = torch.zeros_like(logits).scatter_add(1, grams[..., -1], again.to(logits.dtype))
    return logits.masked_fill(times > 0, -math.inf)


def _check_rows(logits: Tensor, tokens: Tensor) -> None:
    if logits.shape[:-1] != tokens.shape[:-1] or logits.ndim != 2:
        raise ValueError(
            f"logits (B, V) and tokens (B, T) do not fit: {tuple(logits.shape)}, "
            f"{tuple(tokens.shape)}"
        )


class TextState:
    """The state of another model, and the text that it has read.

    Args:
        state: what the other model's `new_state` returned.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.text: Tensor | None = None

    def __len__(self) -> int:
        return len(self.state)

    def add(self, tokens: Tensor) -> Tensor:
        """Append tokens (B, T) and return all of the text."""
        self.text = tokens if self.text is None else torch.cat((self.text, tokens), dim=1)
        return self.text

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` of the batch, in that order; a row may be repeated (beams)."""
        self.state.reorder(index)
        self.text = None if self.text is None else self.text[index]


class Restrained:
    """A language model under a rule about the text so far; for `generate` and `beam_search`.

    Args:
        model: any language model.
        rule: takes logits and the text so far, returns logits.

    Example:
        >>> from minillm import CausalLM, ModelConfig, generate
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> model = Restrained(CausalLM(config), lambda z, text: forbid_repeated_ngrams(z, text, 1))
        >>> text = generate(model, torch.tensor([[1, 2]]), max_new_tokens=5)[0].tolist()
        >>> len(text) == len(set(text))
        True

    Book: chapter "Generating text".
    """

    def __init__(self, model: LanguageModel, rule: Rule) -> None:
        self.model, self.rule = model, rule
        self.config = getattr(model, "config", None)

    def new_state(self, batch: int, length: int) -> TextState:
        """Return an empty state for `batch` rows and at most `length` tokens."""
        return TextState(self.model.new_state(batch, length))

    def __call__(
        self, tokens: Tensor, *, state: TextState | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Read tokens (B, T) and return the logits after the last of them, (B, 1, V).

        Raises:
            ValueError: If there is padding, which a rule would take for text.
        """
        if mask is not None and not mask.all():
            raise ValueError(f"{int((~mask.bool()).sum())} tokens of padding would count as text")
        inner = None if state is None else state.state
        logits = self.model(tokens, state=inner)[:, -1]
        text = tokens if state is None else state.add(tokens)
        return self.rule(logits, text)[:, None]

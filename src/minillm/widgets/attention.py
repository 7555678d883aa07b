"""The attention heads of a real model: who looks at whom, sentence by sentence.

The maps come from `minillm.capture`. Each weight is stored as a multiple of 1/255, which is
finer than the eye and a quarter of the size of a float. What the maps do not tell (whether
the model needs the head) can be put beside them as `scores`. Book: chapter "Many heads,
masks and maps".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from minillm.widgets.base import MAX_STATE, Explorable, Fallback, bundle, member, within
from minillm.widgets.pack import as_array, pack_uints

Head = tuple[int, int]
Maps = dict[Head, NDArray[np.float64]]
STEPS = 255


def _heads(weights: Any) -> Maps:
    """Maps by (layer, head), from an (L, H, T, T) array or a mapping that is one already."""
    if isinstance(weights, Mapping):
        return {(int(a), int(b)): as_array(w) for (a, b), w in sorted(weights.items())}
    array = as_array(weights)
    if array.ndim != 4:
        raise ValueError(f"weights have {array.ndim} dimensions, expected 4: (L, H, T, T)")
    return {head: array[head] for head in np.ndindex(*array.shape[:2])}


def _check(text: str, tokens: Sequence[str], maps: Maps) -> None:
    size = len(tokens)
    for (layer, head), weights in maps.items():
        if weights.shape != (size, size):
            shape = " x ".join(map(str, weights.shape))
            raise ValueError(f"{text!r} has {size} tokens, but head {layer}.{head} is {shape}")
        if not np.isfinite(weights).all():
            raise ValueError(f"head {layer}.{head} of {text!r} has weights that are not finite")
        sums = weights.sum(-1)
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) > 0.02:
            raise ValueError(
                f"row {worst} of head {layer}.{head} sums to {sums[worst]:.3f}, not to 1"
            )


class AttentionExplorer(Explorable):
    """Choose a sentence, a head and a token; see where the token looks.

    Args:
        maps: for each sentence its tokens and its weights: an (L, H, T, T) array, or a mapping
            from (layer, head) to (T, T) for selected heads. Row t is where token t looks.
        labels: the kind of a head, such as "previous token"; colours the grid.
        scores: named (L, H) arrays, or mappings from (layer, head); shade the grid on demand.
        head: the (layer, head) shown first; the first one there is, if None.
        token: the number of the token whose row is shown first; the last one, if None.
        limit: characters that the maps may take; a page of its own has room for `MAX_PAGE`.

    Raises:
        ValueError: If tokens and maps disagree in length, sentences in their heads, a row does not
            sum to 1, or the maps take more than `limit`.

    >>> half = [[1.0, 0.0], [0.5, 0.5]]
    >>> view = AttentionExplorer({"to be": (["to", " be"], [[half]])})
    >>> view.weights("to be", (0, 0)).round(2).tolist()
    [[1.0, 0.0], [0.5, 0.5]]

    Book: chapter "Many heads, masks and maps".
    """

    _esm = bundle("attention.js")
    sentence = traitlets.Int().tag(sync=True)
    head: traitlets.List[int] = traitlets.List().tag(sync=True)
    token = traitlets.Int().tag(sync=True)
    skip_first = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        maps: Mapping[str, tuple[Sequence[str], Any]],
        labels: Mapping[Head, str] | None = None,
        scores: Mapping[str, Any] | None = None,
        *,
        head: Head | None = None,
        token: int | None = None,
        limit: int = MAX_STATE,
    ) -> None:
        if not maps:
            raise ValueError("got 0 sentences, expected at least 1")
        read = {text: (list(tokens), _heads(weights)) for text, (tokens, weights) in maps.items()}
        self._heads = list(next(iter(read.values()))[1])
        for text, (tokens, by_head) in read.items():
            _check(text, tokens, by_head)
            if list(by_head) != self._heads:
                raise ValueError(f"{text!r} has {len(by_head)} heads, others {len(self._heads)}")
        first = head or self._heads[0]
        member("head", f"{first[0]}.{first[1]}", [f"{a}.{b}" for a, b in self._heads])
        self._read = read
        size = len(next(iter(read.values()))[0])
        super().__init__(
            {
                "sentences": [_sentence(text, *item) for text, item in read.items()],
                "heads": [list(item) for item in self._heads],
                "labels": [(labels or {}).get(item, "") for item in self._heads],
                "scores": {n: self._scores(n, values) for n, values in (scores or {}).items()},
            },
            limit=limit,
            sentence=0,
            head=list(first),
            token=int(within("token", size - 1 if token is None else token, 0, size - 1)),
            skip_first=False,
        )

    def _scores(self, name: str, values: Any) -> list[float]:
        if not isinstance(values, Mapping):
            values = dict(np.ndenumerate(as_array(values)))
        missing = [head for head in self._heads if head not in values]
        if missing:
            raise ValueError(
                f"score {name!r} covers {len(self._heads) - len(missing)} heads of "
                f"{len(self._heads)}; {missing[0]} is missing"
            )
        if bad := [head for head in self._heads if not np.isfinite(float(values[head]))]:
            raise ValueError(f"score {name!r} of head {bad[0]} is {values[bad[0]]}, no number")
        return [round(float(values[head]), 5) for head in self._heads]

    def weights(self, sentence: str, head: Head) -> NDArray[np.float64]:
        """The map as the page shows it: (T, T) in steps of 1/255."""
        return np.round(self._read[sentence][1][head] * STEPS) / STEPS

    def fallback(self) -> Fallback:
        """Where each token of the first sentence looks most, for the first head."""
        text, (tokens, _) = next(iter(self._read.items()))
        layer, head = self.head
        weights = self.weights(text, (layer, head))
        sentence = (
            f"Attention of {len(self._heads)} heads on {len(self._read)} sentences. The table "
            f"shows head {layer}.{head} (layer {layer}, head {head}) on “{text}”: for each "
            "token, the one that it looks at most, and with what weight."
        )
        rows = [
            (f"“{token}”", f"“{tokens[row.argmax()]}”", f"{100 * row.max():.0f} %")
            for token, row in zip(tokens, weights, strict=True)
        ]
        return Fallback(sentence, ("token", "looks at", "weight"), rows)


def _sentence(text: str, tokens: list[str], maps: Maps) -> dict[str, Any]:
    """One sentence for the page; causal maps travel without their empty upper half."""
    stack = np.stack([np.round(weights * STEPS).astype(int) for weights in maps.values()])
    causal = not np.triu(stack, 1).any()
    flat = stack[:, *np.tril_indices(len(tokens))] if causal else stack
    return {"text": text, "tokens": tokens, "causal": causal, "maps": pack_uints(flat.ravel(), 8)}

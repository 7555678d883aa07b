"""A language model that runs in the page: type, see what comes next, look inside, switch parts off.

The weights travel with the explorable; `js/engine/` computes what `CausalLM` computes, in plain
JavaScript and in a Web Worker where there is one. Nothing is sent anywhere. The tests hold the
engine equal to the package: ids, logits to 1e-4, attention, heads and layers taken out, greedy
text. Book: page "Playground".
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import traitlets

from minillm.inference.sampling import Sampling
from minillm.nn.eval_mode import eval_mode
from minillm.nn.models import CausalLM
from minillm.tokenizer import BPETokenizer, CharTokenizer
from minillm.widgets.base import Explorable, Fallback, bundle, join, member, style
from minillm.widgets.model_bytes import model_bytes

ENGINE = join(
    "engine/layers.js",
    "engine/tokenizer.js",
    "engine/model_file.js",
    "engine/transformer.js",
    "engine/engine.js",
)
MAX_BYTES = 32_000_000
END = "<|endoftext|>"
SIZES = ("full", "small")
SHOWN = 8  # candidates for the next token that Python computes
Candidates = list[tuple[int, str, float]]


@dataclass(frozen=True)
class Picture(Fallback):
    """A fallback with a picture: the probabilities of its rows as bars."""

    shares: Sequence[float] = ()

    def html(self) -> str:
        """Sentence, bars and table for a page."""
        height = 22 * len(self.shares)
        bars = "".join(
            f'<rect x="118" y="{22 * i + 3}" width="{180 * p / max(self.shares):.1f}" height="14" '
            'fill="#0072b2"/>'
            f'<text x="110" y="{22 * i + 15}" text-anchor="end" fill="currentColor" '
            f'font-size="13">{html.escape(row[0])}</text>'
            for i, (row, p) in enumerate(zip(self.rows, self.shares, strict=True))
        )
        picture = (
            f'<svg viewBox="0 0 300 {height}" width="300" height="{height}" role="img" '
            f'aria-label="The likeliest next tokens as bars." style="max-width:100%">{bars}</svg>'
        )
        return super().html().replace("<table", f"{picture}<table", 1)


class Playground(Explorable):
    """A model to type to, in Jupyter, in Colab and in a page without a kernel.

    Args:
        model: any `CausalLM`, trained or not.
        tokenizer: what made its ids.
        text: the text at first.
        examples: other beginnings to choose from.
        name: what the model is called.
        start: the special token that begins each text, or None; '<|endoftext|>' unless told, if
            the tokenizer has it. A text ends where the model writes it.
        sampling: temperature, top-k and top-p at first.
        size: "full", or "small" for the text and the next token alone.

    Raises:
        ValueError: If the model or the tokenizer is of a kind that the page does not know, the two
            do not fit, the weights are larger than 32 MB, `start` is no special token, or
            `sampling` has what the page has no slider for.

    >>> from minillm import CausalLM, CharTokenizer, ModelConfig
    >>> config = ModelConfig(vocab_size=6, context_length=8, d_model=8, n_layers=1, n_heads=2)
    >>> view = Playground(CausalLM(config), CharTokenizer("sea shell"), text="she")
    >>> view.text, len(view.candidates())
    ('she', 6)

    Book: page "Playground".
    """

    _esm = bundle(
        "playground/sampling.js",
        "playground/client.js",
        "playground/parts.js",
        "playground/tabs.js",
        "playground/inside.js",
        "playground/tour.js",
        "playground/reader.js",
        "playground/writer.js",
        "playground/playground.js",
    )
    _css = style("playground/playground.css")
    engine = traitlets.Unicode(ENGINE).tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    top_k = traitlets.Int().tag(sync=True)
    top_p = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        model: CausalLM,
        tokenizer: BPETokenizer | CharTokenizer,
        *,
        text: str = "",
        examples: Sequence[str] = (),
        name: str = "A language model",
        start: str | None = END,
        sampling: Sampling | None = None,
        size: str = "full",
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._start = _start_id(tokenizer, start)
        weights = model_bytes(model, tokenizer, name=name, start=self._start)
        if len(weights) > MAX_BYTES:
            raise ValueError(f"the model takes {len(weights):,} bytes, the page {MAX_BYTES:,}")
        small = member("size", size, SIZES) == "small"
        super().__init__(
            {
                "title": f"{name}, in this page",
                "hint": _hint(model, small=small),
                "examples": list(examples),
                "small": small,
                "bytes": len(weights),
                "first": self.candidates(text),
            },
            weights=weights,
            text=text,
            **_sliders(sampling or Sampling()),
        )

    def candidates(self, text: str | None = None) -> Candidates:
        """The likeliest next tokens: id, piece, probability; none where there is nothing to read.

        Args:
            text: what the model reads, from its start token on; the explorable's unless told.
        """
        start = [] if self._start is None else [self._start]
        ids = [*start, *self._tokenizer.encode(self.text if text is None else text)]
        if not ids:
            return []
        ids = ids[-self._model.config.context_length :]
        device = next(self._model.parameters()).device
        with torch.no_grad(), eval_mode(self._model):
            logits = self._model(torch.tensor([ids], device=device))[0, -1]
        best = logits.float().softmax(-1).cpu().topk(min(SHOWN, len(logits)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [
            (i, "end" if i == self._start else self._tokenizer.decode([i]), p) for i, p in pairs
        ]

    def fallback(self) -> Fallback:
        """What the model expects after the text, as a picture and a table."""
        found = self.candidates()
        sentence = (
            f"Here {self.data['title'].lower()} runs where there is JavaScript: it says "
            "what may follow a text of yours and writes on. "
            f"After “{self.text}” it expects these tokens."
        )
        rows = [(repr(text), f"{100 * p:.1f} %") for _, text, p in found]
        return Picture(sentence, ("token", "probability"), rows, [p for *_, p in found])


def _start_id(tokenizer: BPETokenizer | CharTokenizer, start: str | None) -> int | None:
    special = getattr(tokenizer, "special", {})
    if start is None or (start == END and END not in special):
        return None
    if start not in special:
        raise ValueError(f"start={start!r} is no special token; there are {sorted(special)}")
    return int(special[start])


def _hint(model: CausalLM, *, small: bool) -> str:
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    told = f"A model of {count:,} parameters computes on your device; nothing is sent anywhere."
    return (
        f"{told} Type, or let it write on."
        if small
        else f"{told} Everything below follows what you type."
    )


def _sliders(sampling: Sampling) -> dict[str, Any]:
    if sampling.min_p is not None:
        raise ValueError(f"min_p={sampling.min_p}, but the page has no slider for min-p")
    return {
        "temperature": float(sampling.temperature),
        "top_k": sampling.top_k or 0,
        "top_p": 1.0 if sampling.top_p is None else float(sampling.top_p),
    }

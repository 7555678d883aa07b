"""What a language model costs: parameters, bytes and operations from its sizes, with the formulas.

Sizes of a Llama are set by sliders or taken from a real model. What a reader can find out: width
counts twice, depth once; the table of tokens is a large part of a small model only; the KV cache
grows with text and conversations and is what shared keys and values save. Everything is arithmetic,
the same here and in the page. Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from collections.abc import Mapping

import traitlets

from minillm.widgets.base import Explorable, Fallback, bundle, member

SIZES = ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_ff")
BITS = (32, 16, 8, 4)
LONGEST, MOST = 2**17, 256
SMOLLM2 = {"vocab_size": 49_152, "d_model": 576, "n_layers": 30, "n_heads": 9, "n_kv_heads": 3}
PRESETS: dict[str, dict[str, int]] = {
    "SmolLM2-135M": {**SMOLLM2, "d_ff": 1536},
    "SmolLM2-360M": {
        **SMOLLM2, "d_model": 960, "n_layers": 32, "n_heads": 15, "n_kv_heads": 5, "d_ff": 2560,
    },
    "SmolLM2-1.7B": {
        **SMOLLM2, "d_model": 2048, "n_layers": 24, "n_heads": 32, "n_kv_heads": 32, "d_ff": 8192,
    },
}  # fmt: skip


class ModelSize(Explorable):
    """A calculator of parameters, memory and operations of a Llama with tied embeddings.

    Args:
        models: sizes of models to choose from, by name; by default those of SmolLM2.
        model: the one that is shown first.
        context: tokens of each conversation, from 1 to 131,072.
        conversations: how many are held at once, from 1 to 256.
        bits: of a weight and of a number in the cache: 32, 16, 8 or 4.

    Raises:
        ValueError: If a name, a size or another number is not among the possible ones.

    >>> view = ModelSize()
    >>> view.parameters(), view.cache_bytes()
    (134515008, 188743680.0)

    Book: chapter "A GPT, and the real thing".
    """

    _esm = bundle("model_size.js")
    sizes: traitlets.Dict[str, int] = traitlets.Dict().tag(sync=True)
    context = traitlets.Int().tag(sync=True)
    conversations = traitlets.Int().tag(sync=True)
    bits = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, Mapping[str, int]] = PRESETS,
        *,
        model: str | None = None,
        context: int = 8192,
        conversations: int = 1,
        bits: int = 16,
    ) -> None:
        known = {name: _checked(name, sizes) for name, sizes in models.items()}
        first = next(iter(known)) if model is None else member("model", model, list(known))
        for what, value, most in (
            ("context", context, LONGEST),
            ("conversations", conversations, MOST),
        ):
            if not 1 <= value <= most:
                raise ValueError(f"{what} is {value}, but must lie between 1 and {most}")
        if bits not in BITS:
            raise ValueError(f"bits is {bits}, but the choices are {BITS}")
        super().__init__(
            {"models": known, "longest": LONGEST, "most": MOST, "bits": list(BITS)},
            sizes=known[first],
            context=context,
            conversations=conversations,
            bits=bits,
        )

    def parameters(self) -> int:
        """N = V D + L (2 D² + 2 D K E + 3 D F + 2 D) + D, with E = D / H."""
        c = self.sizes
        width = c["d_model"]
        shared = c["n_kv_heads"] * width // c["n_heads"]  # K E
        block = 2 * width * width + 2 * width * shared + 3 * width * c["d_ff"] + 2 * width
        return c["vocab_size"] * width + c["n_layers"] * block + width

    def weight_bytes(self) -> float:
        """N · bits / 8."""
        return self.parameters() * self.bits / 8

    def cache_bytes(self) -> float:
        """2 L K E · tokens · conversations · bits / 8."""
        c = self.sizes
        a_token = 2 * c["n_layers"] * c["n_kv_heads"] * c["d_model"] // c["n_heads"]
        return a_token * self.context * self.conversations * self.bits / 8

    def flops(self) -> int:
        """Operations for the last token of a full context: 2 N + 4 L T D."""
        c = self.sizes
        return 2 * self.parameters() + 4 * c["n_layers"] * self.context * c["d_model"]

    def training_bytes(self) -> int:
        """16 N: weight, gradient and AdamW's two means, each a number of 32 bits."""
        return 16 * self.parameters()

    def fallback(self) -> Fallback:
        """The models to choose from, at the first settings."""
        rows, now = [], self.sizes
        for name, sizes in self.data["models"].items():
            self.sizes = sizes
            cells = (self.parameters() / 1e6, self.weight_bytes() / 1e6, self.cache_bytes() / 1e6)
            rows.append((name, *(f"{cell:,.0f}" for cell in cells)))
        self.sizes = now
        sentence = (
            f"What a language model costs: parameters, and megabytes of weights and of the KV "
            f"cache, with {self.bits} bits a number, {self.conversations} conversation(s) of "
            f"{self.context:,} tokens. The cache grows with the text, the weights do not."
        )
        header = ("model", "million parameters", "MB of weights", "MB of cache")
        return Fallback(sentence, header, rows)


def _checked(name: str, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes as plain whole numbers, all of them there and in whole heads."""
    if set(sizes) != set(SIZES):
        raise ValueError(f"{name} has the sizes {sorted(sizes)}, wanted are {sorted(SIZES)}")
    found = {key: int(sizes[key]) for key in SIZES}
    for key, value in found.items():
        if value < 1:
            raise ValueError(f"{name}: {key} is {value}, but must be at least 1")
    for whole, part in (("d_model", "n_heads"), ("n_heads", "n_kv_heads")):
        if found[whole] % found[part]:
            raise ValueError(
                f"{name}: {whole}={found[whole]} is not a multiple of {part}={found[part]}"
            )
    return found

"""The shape of a Transformer as data: one frozen dataclass and the presets of real models.

GPT-2, BERT, Llama and the encoder–decoder of 2017 differ in a handful of parts. Each field below
names one of those parts or one of the sizes, so that a model is fully described by its config and
two configs can be compared, hashed and written to JSON. What is left out on purpose: everything
about training, which has its own `TrainConfig`.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from minillm.checks import check_fields
from minillm.errors import require_known

Norm = Literal["layernorm", "rmsnorm"]
NormPlacement = Literal["pre", "post"]
FFN = Literal["relu", "gelu", "gelu_tanh", "swiglu"]
Position = Literal["none", "learned", "sinusoidal", "rope"]
CHOICES = {"norm": Norm, "norm_placement": NormPlacement, "ffn": FFN, "position": Position}
SIZES = ("vocab_size", "context_length", "d_model", "n_layers", "n_heads")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes the shapes and the wiring of a Transformer.

    Args:
        vocab_size: V, the number of token ids.
        context_length: the largest number of positions.
        d_model: D, the width of the residual stream.
        n_layers: L, the number of blocks.
        n_heads: H, the number of query heads.
        n_kv_heads: K, the number of key and value heads; None means H (multi-head attention),
            1 is multi-query, anything between is grouped-query attention.
        d_ff: F, the width inside the feed-forward network; None means 4 D.
        norm: which normalisation.
        norm_eps: the constant added to the variance.
        norm_placement: "pre" normalises what a sublayer reads, "post" what it has added to.
        ffn: the feed-forward network's activation, or the gated "swiglu".
        position: how order enters: not at all, a learned table, sinusoids, or rotation.
        rope_theta: base of the rotary frequencies.
        causal: whether a position may only look back.
        cross_attention: whether blocks also attend to an encoder's output.
        bias: whether linear layers have a bias.
        dropout: probability, in attention weights, sublayer outputs and embeddings.
        tie_embeddings: whether the output matrix is the token embedding.
        n_segments: number of segment embeddings (BERT has 2, most models 0).
        embedding_norm: whether the embedding is normalised (BERT).

    Raises:
        ValueError: If a value has another type than its annotation, a size is not positive, a
            choice is unknown, or sizes do not divide.

    Example:
        >>> config = ModelConfig(
        ...     vocab_size=65, context_length=64, d_model=48, n_layers=2, n_heads=4
        ... )
        >>> config.head_dim, config.kv_heads, config.ffn_dim
        (12, 4, 192)

    Book: chapter "The block".
    """

    vocab_size: int
    context_length: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int | None = None
    d_ff: int | None = None
    norm: Norm = "layernorm"
    norm_eps: float = 1e-5
    norm_placement: NormPlacement = "pre"
    ffn: FFN = "gelu_tanh"
    position: Position = "learned"
    rope_theta: float = 10_000.0
    causal: bool = True
    cross_attention: bool = False
    bias: bool = True
    dropout: float = 0.0
    tie_embeddings: bool = True
    n_segments: int = 0
    embedding_norm: bool = False

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():
            if getattr(self, name) not in get_args(choice):
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {get_args(choice)}")
        check_fields(self)
        self._check_ranges()
        self._check_divisions()

    def _check_ranges(self) -> None:
        for name in SIZES:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("norm_eps", "rope_theta"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be greater than 0")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if self.ffn_dim < 1:
            raise ValueError(f"d_ff={self.d_ff} must be at least 1")
        if self.n_segments < 0:
            raise ValueError(f"n_segments={self.n_segments} must be at least 0")

    def _check_divisions(self) -> None:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model={self.d_model} is not a multiple of n_heads={self.n_heads}")
        if self.kv_heads < 1 or self.n_heads % self.kv_heads:
            raise ValueError(
                f"n_heads={self.n_heads} is not a multiple of n_kv_heads={self.kv_heads}"
            )
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(
                f"position={self.position!r} needs an even head_dim, not {self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """E = D / H, the width of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """K with its default filled in."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def ffn_dim(self) -> int:
        """F with its default filled in."""
        return 4 * self.d_model if self.d_ff is None else self.d_ff

    def to_json(self) -> str:
        """Return the config as indented JSON, one field a line."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: If a key is unknown (the nearest known one is named) or missing, or the
                JSON is not an object.
        """
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a config is a JSON object, not {type(values).__name__}")
        known = [field.name for field in fields(cls)]
        require_known(values, known, "key", "the config")
        for field in fields(cls):
            if field.default is MISSING and field.name not in values:
                raise ValueError(f"the config has no {field.name}, only {', '.join(values)}")
        return cls(**values)


GPT2_SMALL = ModelConfig(
    vocab_size=50_257, context_length=1024, d_model=768, n_layers=12, n_heads=12
)
BERT_BASE = replace(
    GPT2_SMALL,
    vocab_size=30_522,
    context_length=512,
    norm_placement="post",
    norm_eps=1e-12,
    ffn="gelu",
    causal=False,
    n_segments=2,
    embedding_norm=True,
)
SMOLLM2_135M = ModelConfig(
    vocab_size=49_152,
    context_length=8192,
    d_model=576,
    n_layers=30,
    n_heads=9,
    n_kv_heads=3,
    d_ff=1536,
    norm="rmsnorm",
    ffn="swiglu",
    position="rope",
    rope_theta=100_000.0,
    bias=False,
)
VASWANI_BASE = ModelConfig(
    vocab_size=37_000,
    context_length=512,
    d_model=512,
    n_layers=6,
    n_heads=8,
    d_ff=2048,
    norm_placement="post",
    ffn="relu",
    position="sinusoidal",
)

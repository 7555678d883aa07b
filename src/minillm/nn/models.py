"""Models: a Transformer with a head, and how its weights start.

`CausalLM` is GPT-2 and Llama, `MaskedLM` is BERT, `Seq2Seq` is the encoder–decoder of 2017. All
return logits and nothing else; losses live in `objectives`, so that one model can be pretrained,
fine-tuned and compared. The model that puts labels on texts is in `classifier`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from minillm.nn.config import ModelConfig
from minillm.nn.kv_cache import KVCache
from minillm.nn.linear import Linear
from minillm.nn.norm import NORMS
from minillm.nn.transformer import Block, Transformer


class CausalLM(nn.Module):
    """A language model: the logits of the next token at every position.

    logits = W_out · hidden, with W_out the token embedding itself when the config ties them.

    Args:
        config: names the parts and sizes.

    Example:
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> import torch
        >>> CausalLM(config)(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 9])

    Raises:
        ValueError: If the config looks ahead (`causal=False`) or wants an encoder's output
            (`cross_attention=True`), which nobody would give it.

    Source: Radford et al. (2019), "Language models are unsupervised multitask learners".
    Book: chapter "A GPT, and the real thing".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if not config.causal or config.cross_attention:
            raise ValueError(
                f"a CausalLM looks back and has no encoder, but the config has causal="
                f"{config.causal}, cross_attention={config.cross_attention}"
            )
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.tie_weights()
        init_weights(self)

    def tie_weights(self) -> None:
        """Make the output matrix the token embedding, if the config says so."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.transformer.embedding.token.weight

    def forward(
        self, tokens: Tensor, *, mask: Tensor | None = None, state: KVCache | None = None
    ) -> Tensor:
        """Return the next-token logits.

        Args:
            tokens: ids (B, T).
            mask: (B, S), True = a real token, over everything read so far.
            state: what `new_state` returned; holds the past and is extended in place.

        Shape:
            returns (B, T, V).
        """
        return self.lm_head(self.transformer(tokens, mask=mask, state=state))

    def next_logits(
        self, tokens: Tensor, *, mask: Tensor | None = None, state: KVCache | None = None
    ) -> Tensor:
        """Return what `forward` says of the last position alone, (B, V).

        While a prompt is read, V scores for each of its other positions would be thrown away.
        """
        return self.lm_head(self.transformer(tokens, mask=mask, state=state)[:, -1])

    def new_state(self, batch: int, length: int) -> KVCache:
        """Return an empty cache for `batch` rows of at most `length` tokens.

        Raises:
            ValueError: If `length` exceeds the context length.
        """
        weight = self.transformer.embedding.token.weight
        return KVCache(self.config, batch, length, device=weight.device, dtype=weight.dtype)


class MaskedLM(nn.Module):
    """An encoder that guesses hidden tokens from both sides: the logits of every position.

    logits = W_emb · norm(gelu(W · hidden + b)) + b_out

    Args:
        config: an encoder's config (`causal=False`).

    Shape:
        tokens: (B, T) → (B, T, V)

    Raises:
        ValueError: If the config is causal or has cross-attention.

    Source: Devlin et al. (2019), arXiv:1810.04805.
    Book: chapter "Objectives".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.causal or config.cross_attention:
            raise ValueError(
                f"a MaskedLM looks both ways and has no encoder, but the config has causal="
                f"{config.causal}, cross_attention={config.cross_attention}"
            )
        self.config = config
        self.transformer = Transformer(config)
        self.dense = Linear(config.d_model, config.d_model)
        self.norm = NORMS[config.norm](config)
        self.lm_head = Linear(config.d_model, config.vocab_size)
        self.tie_weights()
        init_weights(self)

    def tie_weights(self) -> None:
        """Make the output matrix the token embedding, if the config says so."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.transformer.embedding.token.weight

    def forward(
        self,
        tokens: Tensor,
        *,
        mask: Tensor | None = None,
        segments: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """Return the logits (B, T, V), or (N, V) at the N positions that are wanted.

        Args:
            tokens: ids (B, T).
            mask: (B, T), True = a real token.
            segments: segment ids (B, T).
            where: (B, T), True = a wanted position; the head is computed for these alone.
        """
        hidden = self.transformer(tokens, mask=mask, segments=segments)
        if where is not None:
            hidden = hidden[where]  # (N, D)
        return self.head(hidden)

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits (…, V) of hidden vectors (…, D)."""
        return self.lm_head(self.norm(F.gelu(self.dense(hidden))))


class Seq2Seq(nn.Module):
    """An encoder that reads the source and a decoder that writes the target, looking back at it.

    Args:
        config: sizes of both; causality and cross-attention are set here. One embedding serves
            source, target and output.

    Source: Vaswani et al. (2017), arXiv:1706.03762.
    Book: chapter "Encoder, decoder, both".
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Transformer(replace(config, causal=False, cross_attention=False))
        self.decoder = Transformer(replace(config, causal=True, cross_attention=True))
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self.decoder.embedding.token.weight = self.encoder.embedding.token.weight
        self.lm_head.weight = self.encoder.embedding.token.weight
        init_weights(self)

    def encode(self, source: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Read the source (B, S) once: memory (B, S, D)."""
        return self.encoder(source, mask=mask)

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_mask: Tensor | None = None,
        memory: Tensor | None = None,
        state: KVCache | None = None,
    ) -> Tensor:
        """Return the next-token logits of the target.

        Args:
            source: ids (B, S).
            target: ids (B, T), what has been written so far.
            source_mask: (B, S), True = a real token.
            memory: what `encode` returned, to read the source only once.
            state: the decoder's cache.

        Shape:
            returns (B, T, V).
        """
        if memory is None:
            memory = self.encode(source, mask=source_mask)
        return self.lm_head(self.decoder(target, memory, memory_mask=source_mask, state=state))

    def new_state(self, batch: int, length: int) -> KVCache:
        """Return an empty decoder cache for `batch` rows of at most `length` tokens."""
        weight = self.decoder.embedding.token.weight
        return KVCache(self.config, batch, length, device=weight.device, dtype=weight.dtype)


def init_weights(model: nn.Module, *, std: float = 0.02, into_stream: float | None = None) -> None:
    """Start a model near the uniform guess: the first loss is close to ln V.

    | what                                   | value                   |
    |----------------------------------------|-------------------------|
    | linear and embedding weights           | N(0, std²)              |
    | projections back into the stream       | N(0, std² / (2 L))      |
    | biases                                 | 0                       |
    | norms                                  | 1 and 0 (their own)     |

    The projections `o_proj` and `down_proj` of L blocks add to the stream 2 L times, so their sum
    keeps its size whatever the depth. Frozen tables (sinusoids) are left alone.

    Args:
        model: any module built of the package's parts; changed in place.
        std: standard deviation.
        into_stream: that of the projections back into the stream, if it shall be another one; with
            0 every block begins as the identity, which suits Muon.

    Source: Radford et al. (2019), section 2.3.
    Book: chapter "Pretraining".
    """
    depth = max(1, sum(isinstance(module, Block) for module in model.modules()))
    small = std / math.sqrt(2 * depth) if into_stream is None else into_stream
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Embedding):
            continue
        if module.weight.is_meta or not module.weight.requires_grad:
            continue  # nothing there yet, or frozen
        back = name.endswith(("o_proj", "down_proj"))
        nn.init.normal_(module.weight, std=small if back else std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

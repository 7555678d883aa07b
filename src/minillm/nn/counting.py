"""What can be counted about a model before it runs: parameters, operations, bytes.

The formulas count what multiplies; norms, activations and biases are left out of the operations,
where they are a fraction of a percent. Chapter "Scale".
"""

from __future__ import annotations

import torch
from torch import nn

from minillm.nn.config import ModelConfig


def count_parameters(model: nn.Module) -> int:
    """Count the trainable numbers of a model, shared ones once.

    Example:
        >>> with torch.device("meta"):
        ...     from minillm import GPT2_SMALL, CausalLM
        ...
        ...     count_parameters(CausalLM(GPT2_SMALL))
        124439808

    Book: chapter "A GPT, and the real thing".
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def training_flops(config: ModelConfig, tokens: int) -> int:
    """Floating-point operations to train on `tokens` tokens, in full-length windows.

    3 · tokens · (2 N + 4 L T D): N are the weights that multiply (blocks and output matrix), the
    second term is q kᵀ and weights · v over T = context_length; backward costs twice forward.
    Cross-attention is not counted.

    Source: Kaplan et al. (2020), arXiv:2001.08361, section 2.1.
    Book: chapter "Scale".
    """
    c = config
    attention = 2 * c.d_model * c.d_model + 2 * c.d_model * c.kv_heads * c.head_dim
    feed_forward = (3 if c.ffn == "swiglu" else 2) * c.d_model * c.ffn_dim
    weights = c.n_layers * (attention + feed_forward) + c.vocab_size * c.d_model
    mixing = 4 * c.n_layers * c.context_length * c.d_model
    return 3 * tokens * (2 * weights + mixing)


def kv_bytes_per_token(config: ModelConfig, dtype: torch.dtype = torch.float32) -> int:
    """Bytes that the KV cache grows by with each token: 2 · L · K · E · bytes per number.

    Example:
        >>> from minillm import SMOLLM2_135M
        >>> kv_bytes_per_token(SMOLLM2_135M, torch.bfloat16)
        23040

    Book: chapter "Generating text".
    """
    return 2 * config.n_layers * config.kv_heads * config.head_dim * dtype.itemsize

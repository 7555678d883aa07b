"""How good is a language model on a text: perplexity, and the mode to measure it in.

A model reads only so many tokens at once, so a long text is read in windows that overlap; each
token is scored once, in the first window that reaches it. Chapter "Predicting the next word".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.nn.eval_mode import eval_mode
from minillm.protocol import LanguageModel


@torch.no_grad()
def perplexity(model: LanguageModel, tokens: Tensor, *, length: int, stride: int) -> float:
    r"""How many tokens the model wavers between on average: exp of the mean -log p.

    \exp\left(-\frac{1}{N-1} \sum_{t=2}^{N} \log p(x_t \mid \text{window before } t)\right)

    Args:
        model: any language model; a module is evaluated without dropout.
        tokens: the text (N,).
        length: tokens the model reads at once, at most its context.
        stride: how far the window moves on. With `stride=length` windows do not overlap (fast,
            pessimistic: the first tokens of a window have little context); with 1 every token has
            the full context (slow, exact).

    Returns:
        At least 1; infinity if the mean is too large for the exponential.

    Raises:
        ValueError: If the text has fewer than 2 tokens, or not 1 <= stride <= length.

    Example:
        >>> from minillm import CausalLM, ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=1, n_heads=2)
        >>> untrained = CausalLM(config)
        >>> 8 < perplexity(untrained, torch.arange(9), length=8, stride=4) < 10
        True

    Book: chapter "Predicting the next word".
    """
    _check_windows(tokens, length, stride)
    total, scored = 0.0, 0
    with eval_mode(model):
        while scored < len(tokens) - 1:  # tokens up to and including index `scored` have a score
            end = min(max(length, scored + stride), len(tokens) - 1)
            start = max(0, end - length)
            logits = model(tokens[None, start:end])[0, scored - start :]  # (new, V)
            targets = tokens[scored + 1 : end + 1]
            total += F.cross_entropy(logits.float(), targets, reduction="sum").item()
            scored = end
    mean = torch.tensor(total / (len(tokens) - 1), dtype=torch.float64)
    return mean.exp().item()  # infinity where math.exp would raise an error


def _check_windows(tokens: Tensor, length: int, stride: int) -> None:
    if tokens.ndim != 1 or len(tokens) < 2:
        raise ValueError(f"needs a text of 2 or more tokens, got a shape of {tuple(tokens.shape)}")
    if not 1 <= stride <= length:
        raise ValueError(f"stride={stride} must be >= 1 and <= length={length}")

"""How a Transformer learns where a token stands: sinusoids that are added, rotations that are not.

Sinusoids (2017) give each position a fixed vector that is added to the token's embedding. Rotary
embedding (RoPE) turns each pair of coordinates of every query and key by an angle proportional to
the position, so that their dot product depends on the distance alone. The layout is half-split:
coordinate i is paired with i + E/2. GGUF files of Llama models store the other, interleaved one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor]


def sinusoids(length: int, d_model: int) -> Tensor:
    r"""Fixed position vectors made of clocks of different speed.

    table[p, 2i] = sin(p · ωᵢ),  table[p, 2i + 1] = cos(p · ωᵢ),  ωᵢ = 10000^(−2i/D)

    Shape:
        returns (length, D) in float32.

    Raises:
        ValueError: If `d_model` is odd.

    Example:
        >>> sinusoids(2, 4)[0].tolist()
        [0.0, 1.0, 0.0, 1.0]

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.5.
    Book: chapter "Order".
    """
    if d_model % 2:
        raise ValueError(f"sinusoids come in pairs: d_model={d_model} is odd")
    positions = torch.arange(length, dtype=torch.float32)[:, None]
    frequencies = 10_000.0 ** -(torch.arange(0, d_model, 2).float() / d_model)
    angles = positions * frequencies  # (length, D/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


class Rope(nn.Module):
    r"""The cosines and sines of rotary position embedding, computed once per forward pass.

    angle[p, i] = p · θ^(−2i/E), the same for coordinates i and i + E/2.

    There is nothing to learn and nothing to store: the frequencies are recomputed in float32, so
    neither a half-precision model nor one built without memory can spoil them.

    Args:
        head_dim: E, even.
        theta: base of the frequencies; larger means slower clocks.

    Raises:
        ValueError: If `head_dim` is odd.

    Source: Su et al. (2021), arXiv:2104.09864.
    Book: chapter "Order".
    """

    def __init__(self, head_dim: int, theta: float = 10_000.0) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"rotary positions need an even head_dim, not {head_dim}")
        self.head_dim, self.theta = head_dim, theta

    def frequencies(self, device: torch.device | None = None) -> Tensor:
        """Return θ^(−2i/E) for i = 0 … E/2 − 1, in radians per position."""
        exponents = torch.arange(0, self.head_dim, 2, device=device).float() / self.head_dim
        return self.theta**-exponents

    def forward(self, positions: Tensor, dtype: torch.dtype = torch.float32) -> Rotation:
        """Turn positions (T,) or (B, T) into cosines and signed sines (..., 1, T, E).

        The sine of the first half carries a minus: x₁ takes −sin · x₂, x₂ takes +sin · x₁. Both
        are computed in float32 and returned in `dtype`.
        """
        angles = positions.float()[..., None] * self.frequencies(positions.device)
        angles = angles.unsqueeze(-3)  # (..., 1, T, E/2)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((cos, cos), -1).to(dtype), torch.cat((-sin, sin), -1).to(dtype)


def rotate(x: Tensor, rope: Rotation) -> Tensor:
    r"""Turn each pair of coordinates (i, i + E/2) by its angle.

    y = (x₁ cos − x₂ sin, x₂ cos + x₁ sin),  where x = (x₁, x₂) are the two halves.

    Lengths are kept, and ⟨rotate(q, m), rotate(k, n)⟩ depends on m − n only.

    Args:
        x: queries or keys.
        rope: what `Rope` returned for their positions: cosines and signed sines.

    Shape:
        x: (B, H, T, E); cos, sin: (T, E) up to broadcasting → (B, H, T, E)

    Source: Su et al. (2021), arXiv:2104.09864.
    Book: chapter "Order".
    """
    cos, sin = rope[0].to(x.dtype), rope[1].to(x.dtype)
    exchanged = x.roll(x.shape[-1] // 2, dims=-1)  # (x₂, x₁)
    return torch.addcmul(x * cos, exchanged, sin)

"""What a Transformer carries from one step to the next: the keys and values of all it has read."""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.nn.config import ModelConfig


class LayerCache:
    """The keys and values of one layer, in memory that is allocated once.

    Args:
        shape: (B, K, length, E).
        device: where the tensors live.
        dtype: of the tensors.

    Book: chapter "Generating text".
    """

    def __init__(
        self, shape: tuple[int, int, int, int], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.k = torch.zeros(shape, device=device, dtype=dtype)
        self.v = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0
        self.memory: tuple[Tensor, Tensor] | None = None  # cross-attention's, computed once

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k, v (B, K, T, E) behind what is there; return all of it (B, K, S, E).

        Raises:
            ValueError: If the cache is too short, or has another number of rows.
        """
        rows, given = self.k.shape[0], k.shape[0]
        if given != rows:  # one row would be copied into all without a word
            raise ValueError(f"the KV cache has {rows} rows, the tokens {given}")
        end = self.length + k.shape[-2]
        if end > self.k.shape[-2]:
            raise ValueError(f"the KV cache holds {self.k.shape[-2]} positions, asked for {end}")
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]


class KVCache:
    """The state of a Transformer: one `LayerCache` a layer.

    Args:
        config: gives the number of layers, key-value heads and the head width.
        batch: B.
        length: the largest number of positions that will be stored.
        device: where the tensors live.
        dtype: of the tensors.

    Raises:
        ValueError: If `length` exceeds the config's context length.

    Example:
        >>> from minillm import ModelConfig
        >>> config = ModelConfig(vocab_size=9, context_length=8, d_model=8, n_layers=2, n_heads=2)
        >>> cache = KVCache(config, batch=1, length=8)
        >>> len(cache), cache.nbytes  # 2 layers × (k and v) × 1 × 2 × 8 × 4 × 4 bytes
        (0, 1024)

    Book: chapter "Generating text".
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        length: int,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if length > config.context_length:
            raise ValueError(
                f"a cache of {length} positions exceeds context_length={config.context_length}"
            )
        shape = (batch, config.kv_heads, length, config.head_dim)
        device = device or torch.get_default_device()
        self.layers = [LayerCache(shape, device, dtype) for _ in range(config.n_layers)]

    def __len__(self) -> int:
        return self.layers[0].length

    def __getitem__(self, layer: int) -> LayerCache:
        return self.layers[layer]

    @property
    def nbytes(self) -> int:
        """Bytes allocated for keys and values."""
        return sum(2 * layer.k.numel() * layer.k.element_size() for layer in self.layers)

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` (B,) of the batch, in that order."""
        for layer in self.layers:
            layer.k, layer.v = layer.k[index], layer.v[index]
            if layer.memory is not None:
                layer.memory = (layer.memory[0][index], layer.memory[1][index])

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` positions.

        With 0 nothing of the text remains, and so nothing of the source that it was written for.

        Raises:
            ValueError: If fewer positions than that are stored.
        """
        if not 0 <= length <= len(self):
            raise ValueError(f"cannot keep {length} of {len(self)} stored positions")
        for layer in self.layers:
            layer.length = length
            if length == 0:
                layer.memory = None

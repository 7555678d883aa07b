"""Recurrent networks: a state of fixed size that is rewritten at every step.

The three cells are written out gate by gate, in PyTorch's order of gates, so that weights can be
copied between them and `torch.nn`. `RecurrentLM` wraps a stack of cells in the protocol that all
language models of the book share. Left out on purpose: bidirectional networks and projections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Carry = tuple[Tensor, ...]
CellName = Literal["rnn", "gru", "lstm"]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """The shape of a recurrent language model.

    Args:
        vocab_size: V.
        d_model: D, width of embedding and hidden state.
        n_layers: number of stacked cells.
        cell: which cell.
        dropout: probability, on the embedding and on the output of each layer.
        tie_embeddings: whether the output matrix is the token embedding.

    Raises:
        ValueError: If a size is below 1 or the cell is unknown.

    Book: chapter "Neural language models".
    """

    vocab_size: int
    d_model: int
    n_layers: int = 1
    cell: CellName = "lstm"
    dropout: float = 0.0
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.d_model, self.n_layers) < 1:
            raise ValueError(
                f"vocab_size={self.vocab_size}, d_model={self.d_model} and "
                f"n_layers={self.n_layers} must all be at least 1"
            )
        if self.cell not in get_args(CellName):
            raise ValueError(f"cell={self.cell!r} is not one of {get_args(CellName)}")


class RNNCell(nn.Module):
    """One step of a simple recurrent network.

    h' = tanh(W x + b + U h + c)

    Args:
        d_model: D, of input and state.

    Shape:
        x: (B, D); carry: (h,) with h (B, D) → the new carry.

    Source: Elman (1990), "Finding structure in time".
    Book: chapter "Neural language models".
    """

    carries = 1

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, carry: Carry) -> Carry:
        """Read one input; the first element of the new carry is the output."""
        (h,) = carry
        return (torch.tanh(self.input(x) + self.hidden(h)),)


class GRUCell(nn.Module):
    """One step of a gated recurrent unit.

    r = σ(W_r x + U_r h),  z = σ(W_z x + U_z h),  n = tanh(W_n x + r ⊙ U_n h),
    h' = (1 − z) ⊙ n + z ⊙ h   (biases in every map)

    Args:
        d_model: D, of input and state.

    Shape:
        x: (B, D); carry: (h,) with h (B, D) → the new carry.

    Source: Cho et al. (2014), arXiv:1406.1078; r stands after the matrix U_n, as in PyTorch.
    Book: chapter "Neural language models".
    """

    carries = 1

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, 3 * d_model)

    def forward(self, x: Tensor, carry: Carry) -> Carry:
        """Read one input; the first element of the new carry is the output."""
        (h,) = carry
        x_r, x_z, x_n = self.input(x).chunk(3, dim=-1)
        h_r, h_z, h_n = self.hidden(h).chunk(3, dim=-1)
        reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        new = torch.tanh(x_n + reset * h_n)
        return ((1 - update) * new + update * h,)


class LSTMCell(nn.Module):
    """One step of a long short-term memory.

    i, f, o = σ(W x + U h),  g = tanh(W_g x + U_g h),
    c' = f ⊙ c + i ⊙ g,  h' = o ⊙ tanh(c')   (biases in every map)

    Args:
        d_model: D, of input and state.

    Shape:
        x: (B, D); carry: (h, c), each (B, D) → the new carry.

    Source: Hochreiter and Schmidhuber (1997); forget gate: Gers et al. (2000).
    Book: chapter "Neural language models".
    """

    carries = 2

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(d_model, 4 * d_model), nn.Linear(d_model, 4 * d_model)

    def forward(self, x: Tensor, carry: Carry) -> Carry:
        """Read one input; the first element of the new carry is the output."""
        h, c = carry
        gates = self.input(x) + self.hidden(h)  # (B, 4 D)
        write, forget, new, read = gates.chunk(4, dim=-1)
        c = forget.sigmoid() * c + write.sigmoid() * new.tanh()
        return read.sigmoid() * c.tanh(), c


Cell = RNNCell | GRUCell | LSTMCell
CELLS: dict[CellName, type[Cell]] = {
    "rnn": RNNCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
}


class RecurrentState:
    """The carry of each layer; unlike a KV cache it never grows.

    Args:
        carries: for each layer the tensors (B, D) of its cell.
    """

    def __init__(self, carries: list[Carry]) -> None:
        self.carries = carries
        self.length = 0

    def __len__(self) -> int:
        return self.length

    def reorder(self, index: Tensor) -> None:
        """Keep the rows `index` (B,) of the batch, in that order."""
        self.carries = [tuple(part[index] for part in carry) for carry in self.carries]


class RecurrentLM(nn.Module):
    """A language model that reads one token after the other.

    Args:
        config: the sizes and the cell.

    Shape:
        tokens: (B, T) → logits (B, T, V)

    Example:
        >>> model = RecurrentLM(RecurrentConfig(vocab_size=9, d_model=8, cell="gru"))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 9])

    Source: Mikolov et al. (2010), "Recurrent neural network based language model".
    Book: chapter "Neural language models".
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.cells = nn.ModuleList(
            CELLS[config.cell](config.d_model) for _ in range(config.n_layers)
        )
        self.drop = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        if config.tie_embeddings:
            self.lm_head.weight = self.embedding.weight

    def forward(
        self, tokens: Tensor, *, mask: Tensor | None = None, state: RecurrentState | None = None
    ) -> Tensor:
        """Return the next-token logits.

        Args:
            tokens: ids (B, T).
            mask: (B, S), True = a real token, over everything read so far; padding leaves the
                carry as it is.
            state: what `new_state` returned; extended in place.

        Shape:
            returns (B, T, V).
        """
        state = self.new_state(tokens.shape[0], tokens.shape[1]) if state is None else state
        real = None if mask is None else mask.bool()[:, -tokens.shape[1] :, None]  # (B, T, 1)
        x = self.drop(self.embedding(tokens))  # (B, T, D)
        for layer, cell in enumerate(self.cells):
            outputs = []
            for t, step in enumerate(x.unbind(1)):
                old, new = state.carries[layer], cell(step, state.carries[layer])
                if real is not None:
                    new = tuple(n.where(real[:, t], o) for n, o in zip(new, old, strict=True))
                state.carries[layer] = new
                outputs.append(new[0])
            x = self.drop(torch.stack(outputs, dim=1))
        state.length += tokens.shape[1]
        return self.lm_head(x)

    def new_state(self, batch: int, length: int) -> RecurrentState:  # noqa: ARG002
        """Return the zero state for `batch` rows; it has room for any length."""
        zero = self.lm_head.weight.new_zeros(batch, self.config.d_model)
        count = CELLS[self.config.cell].carries
        return RecurrentState([(zero,) * count for _ in range(self.config.n_layers)])

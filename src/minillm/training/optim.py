"""Which rule moves which parameter, and how fast it moves over a run.

Weight decay pulls matrices towards zero, never gains and biases, whose size means something. The
learning rate rises first and falls at the end; schedules are pure functions of the step, so nothing
about them has to be saved. Papers: Loshchilov and Hutter (2019), arXiv:1711.05101 (AdamW); (2017),
arXiv:1608.03983 (cosine); Hu et al. (2024), arXiv:2404.06395 (warm-up, stable, decay).
Chapter "Pretraining".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from minillm.training.config import TrainConfig
from minillm.training.muon import Muon


def decay_groups(parameters: Sequence[Tensor], weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for AdamW: tensors of two or more dimensions decay, others do not.

    Example:
        >>> groups = decay_groups(list(nn.Linear(2, 3).parameters()), 0.1)
        >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
        [(1, 0.1), (1, 0.0)]

    Book: chapter "Pretraining".
    """
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups = ((matrices, weight_decay), (vectors, 0.0))
    return [{"params": ps, "weight_decay": decay} for ps, decay in groups if ps]


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The matrices that Muon may train: weights of linear layers inside the network.

    Left out are embeddings, whatever is tied to one, and layers whose name ends in "head".

    Book: chapter "Pretraining".
    """
    embeddings = {m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and not name.endswith("head")
        and module.weight not in embeddings
        and module.weight.requires_grad
    ]


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimisers that act as one: same steps, one list of groups, one state.

    Args:
        parts: optimisers of different parameters.

    Book: chapter "Pretraining".
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Let every part update its own parameters."""
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of the parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give every part its state back, as `state_dict` returned it."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.collect_groups()

    def collect_groups(self) -> None:
        """List the groups of the parts again, after a part has got new ones."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def parts_of(optimizer: torch.optim.Optimizer) -> tuple[torch.optim.Optimizer, ...]:
    """The optimisers that remember something: the parts of several, or the one itself.

    Book: chapter "Pretraining".
    """
    return optimizer.parts if isinstance(optimizer, CombinedOptimizer) else (optimizer,)


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser that `config` asks for, over the trainable parameters of a model.

    Every group remembers its peak learning rate as `initial_lr`, the name torch's schedulers use.

    Args:
        model: gives the parameters; shared ones count once.
        config: optimizer, lr, muon_lr, betas, weight_decay.

    Raises:
        ValueError: If there is nothing to train.

    Source: Loshchilov and Hutter (2019), arXiv:1711.05101.
    Book: chapter "Pretraining".
    """
    matrices = hidden_matrices(model) if config.optimizer == "muon" else []
    taken = set(matrices)
    rest = [p for p in model.parameters() if p.requires_grad and p not in taken]
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay))
    if rest:
        groups = decay_groups(rest, config.weight_decay)
        fused = all(p.device.type in {"cpu", "cuda"} for p in rest)
        adamw = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=fused)
        optimizers.append(adamw)
    if not optimizers:
        raise ValueError(f"{type(model).__name__} has 0 trainable parameters, needs 1 or more")
    optimizer = optimizers[0] if len(optimizers) == 1 else CombinedOptimizer(optimizers)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer

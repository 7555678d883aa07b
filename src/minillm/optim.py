"""Which rule moves which parameter, and how fast it moves over a run.

Weight decay pulls matrices towards zero, never gains and biases, whose size means something. The
learning rate rises first and falls at the end; schedules are pure functions of the step, so nothing
about them has to be saved. Papers: Loshchilov and Hutter (2019), arXiv:1711.05101 (AdamW); (2017),
arXiv:1608.03983 (cosine); Hu et al. (2024), arXiv:2404.06395 (warm-up, stable, decay).
Chapter "Pretraining".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from .muon import Muon
from .train_config import TrainConfig


def warmup_cosine(step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1) -> float:
    """Learning rate as a part of its peak: a linear rise, then half a cosine down.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise; the peak is reached at its end.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [round(warmup_cosine(s, steps=6, warmup_steps=2, min_ratio=0.0), 2) for s in range(7)]
        [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]

    Source: Loshchilov and Hutter (2017), arXiv:1608.03983.
    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = _progress(step, warmup_steps, steps)
    return min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * done))


def warmup_linear(step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1) -> float:
    """Learning rate as a part of its peak: a linear rise, then a linear fall.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [warmup_linear(s, steps=6, warmup_steps=2, min_ratio=0.0) for s in range(7)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]

    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (1 - min_ratio) * _progress(step, warmup_steps, steps)


def warmup_stable_decay(
    step: int, *, steps: int, warmup_steps: int = 0, min_ratio: float = 0.1
) -> float:
    """Learning rate as a part of its peak: a rise, a plateau, a fall in the last fifth.

    A run on the plateau may be prolonged: its past does not depend on where the end will be.

    Args:
        step: updates done before this one, from 0.
        steps: updates of the whole run.
        warmup_steps: updates of the rise.
        min_ratio: what remains at the end of the run.

    Example:
        >>> [warmup_stable_decay(s, steps=10, warmup_steps=2, min_ratio=0.0) for s in (0, 5, 8, 9)]
        [0.5, 1.0, 1.0, 0.5]

    Source: Hu et al. (2024), arXiv:2404.06395, section 4.
    Book: chapter "Pretraining".
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (1 - min_ratio) * _progress(step, max(warmup_steps, steps - steps // 5), steps)


def _progress(step: int, start: int, end: int) -> float:
    """How much of the way from start to end is done, held between 0 and 1."""
    return min(max((step - start) / max(1, end - start), 0.0), 1.0)


SCHEDULES: dict[str, Callable[..., float]] = {
    "cosine": warmup_cosine,
    "linear": warmup_linear,
    "stable": warmup_stable_decay,
}


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """The part of the peak learning rate that `config` gives to an update.

    Example:
        >>> learning_rate_factor(0, TrainConfig(steps=100, warmup_steps=10))
        0.1

    Book: chapter "Pretraining".
    """
    return SCHEDULES[config.schedule](
        step,
        steps=config.steps,
        warmup_steps=config.warmup_steps,
        min_ratio=config.min_lr_ratio,
    )


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


class Together(torch.optim.Optimizer):
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
    return optimizer.parts if isinstance(optimizer, Together) else (optimizer,)


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
    optimizer = optimizers[0] if len(optimizers) == 1 else Together(optimizers)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer

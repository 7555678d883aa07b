"""Everything that fixes a training run except model and data, in one frozen dataclass.

With the model's config, the data and the seed it determines the run, so it is kept in every
checkpoint; on resume what decided the past is compared. Chapter "Pretraining".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from minillm.checks import check_fields

Precision = Literal["float32", "bfloat16"]
OptimizerName = Literal["adamw", "muon"]
ScheduleName = Literal["cosine", "linear", "stable"]
CHOICES = {"precision": Precision, "optimizer": OptimizerName, "schedule": ScheduleName}
OPERATIONAL = ("micro_batch_size", "compile", "eval_every", "eval_batches")
"""Fields that change how a run is computed or looked at, but not the weights."""
LEAST = {
    "steps": 1,
    "batch_size": 1,
    "eval_batches": 1,
    "warmup_steps": 0,
    "eval_every": 0,
    "weight_decay": 0,
    "min_lr_ratio": 0,
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train: how long, in what portions, and by which rule.

    Args:
        steps: number of updates of the whole run.
        batch_size: sequences per update.
        micro_batch_size: sequences computed at once; None means all. Smaller saves memory and
            gives the same update.
        lr: the peak learning rate (of AdamW).
        min_lr_ratio: the last learning rate as a part of the peak.
        warmup_steps: updates over which the rate rises to the peak, in equal steps.
        schedule: how it falls after that: "cosine", "linear", or "stable" (constant, then a
            linear fall over the last fifth of the run).
        optimizer: "adamw" for everything, or "muon" for hidden matrices and AdamW for the rest.
        muon_lr: the peak learning rate of Muon.
        weight_decay: pull of matrices towards 0, times the learning rate.
        betas: AdamW's memory of the mean and of the square of the gradient.
        clip_norm: longest gradient allowed, over all parameters together; None for no limit.
        precision: of the forward pass; weights stay float32.
        compile: whether the forward pass is compiled (`torch.compile`): the first update takes
            longer, by up to a minute, the others less. Needs a C++ compiler on a CPU.
        ema_decay: how much of an average of the weights is kept at every update, such as 0.99;
            evaluation then measures the average. None for no average.
        eval_every: updates between evaluations; 0 for none.
        eval_batches: batches per evaluation, always the same ones.
        seed: for whoever builds data and model; the trainer itself draws nothing.

    Raises:
        ValueError: If a number is out of range or a choice unknown.

    Example:
        >>> TrainConfig(steps=200, lr=3e-3, warmup_steps=10).schedule
        'cosine'

    Book: chapter "Pretraining".
    """

    steps: int
    batch_size: int = 32
    micro_batch_size: int | None = None
    lr: float = 3e-4
    min_lr_ratio: float = 0.1
    warmup_steps: int = 0
    schedule: ScheduleName = "cosine"
    optimizer: OptimizerName = "adamw"
    muon_lr: float = 0.02
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float | None = 1.0
    precision: Precision = "float32"
    compile: bool = False
    ema_decay: float | None = None
    eval_every: int = 0
    eval_batches: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():
            if getattr(self, name) not in get_args(choice):
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {get_args(choice)}")
        check_fields(self)
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be >= {least}")
        for name in ("lr", "muon_lr", "clip_norm", "micro_batch_size", "ema_decay"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}={value} must be > 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={self.betas} must lie in [0, 1)")
        if self.ema_decay is not None and self.ema_decay >= 1:
            raise ValueError(f"ema_decay={self.ema_decay} must be < 1")
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps={self.warmup_steps} exceed steps={self.steps}")

    def decided(self, step: int) -> dict[str, Any]:
        """The fields that the first `step` updates depended on.

        Left out are the operational ones and, as long as a "stable" run has not begun its fall,
        the number of steps: such a run may be prolonged.

        Example:
            >>> run = TrainConfig(steps=100, schedule="stable")
            >>> "steps" in run.decided(80), "steps" in run.decided(90)
            (False, True)
        """
        values = {key: value for key, value in asdict(self).items() if key not in OPERATIONAL}
        fall = max(self.warmup_steps, self.steps - self.steps // 5)
        if self.schedule == "stable" and step <= fall:
            del values["steps"]
        return values

"""How to train: the options of the one training loop, checked when they are made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.learning.schedules import Schedule

OPTIMIZERS: Final = ("adam", "adamw", "sgd")
PRECISIONS: Final = ("no", "fp16", "bf16")
_NOT_TRAJECTORY: Final = ("device", "checkpoint_every", "log_every")
"""Options that may change on resume: they do not change a number."""


@dataclass(frozen=True)
class FitOptions:
    """How to train; the schedule's fields are those of :class:`Schedule`.

    Parameters
    ----------
    steps : of the optimiser, in all
    learning_rate, schedule, warmup, period, gamma : see :class:`Schedule`
    optimizer : one of ``OPTIMIZERS``
    weight_decay : of the optimiser
    accumulate : batches whose gradients make one step
    clip : largest norm of the gradient; None for no limit
    ema : decay of the exponential moving average of the weights, which is then the result; None for none
    precision : ``"no"`` (float32), ``"fp16"`` or ``"bf16"``
    device : ``"auto"`` or ``"cpu"``
    checkpoint_every, log_every, evaluate_every : steps; 0 means never, but a checkpoint is always written at the end
    patience : evaluations without improvement after which to stop; 0 means never
    """

    steps: int
    learning_rate: float = 1e-5
    schedule: str = "cosine"
    warmup: int = 0
    period: int = 1
    gamma: float = 0.1
    optimizer: str = "adam"
    weight_decay: float = 0.0
    accumulate: int = 1
    clip: float | None = 1.0
    ema: float | None = None
    precision: str = "no"
    device: str = "auto"
    checkpoint_every: int = 500
    log_every: int = 10
    evaluate_every: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("accumulate", 1), ("checkpoint_every", 0), ("log_every", 0),
                            ("evaluate_every", 0), ("patience", 0)):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("device", ("auto", "cpu"))):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        if self.ema is not None and not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}; expected a decay from 0 to below 1, for instance 0.999")
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"clip is {self.clip}; expected a norm above 0")
        _ = self.rates

    @property
    def rates(self) -> Schedule:
        """Learning rate of each step."""
        return Schedule(self.learning_rate, self.steps, self.schedule, self.warmup, self.period, self.gamma)

    def trajectory(self) -> dict[str, Any]:
        """Options a resumed training must share; without a cosine it may go on for longer than planned."""
        left_out = _NOT_TRAJECTORY if self.schedule == "cosine" else (*_NOT_TRAJECTORY, "steps")
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}

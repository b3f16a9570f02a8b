"""What a training step depends on, as pure functions of its number: the learning rate and the order of the examples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream

SCHEDULES: Final = ("constant", "cosine", "step")


@dataclass(frozen=True)
class Schedule:
    """Learning rate of each step.

    ``constant``: the peak; ``cosine``: ``peak (1 + cos(pi t))/2`` with t from 0 to 1 between warm-up and last step;
    ``step``: times ``gamma`` after every ``period`` steps. The warm-up grows linearly to the peak.

    Parameters
    ----------
    peak : largest learning rate
    steps : of the whole training
    kind : one of ``SCHEDULES``
    warmup : steps
    period, gamma : of ``step``

    References
    ----------
    I. Loshchilov, F. Hutter, ICLR 2017 (arXiv:1608.03983), equation 5 (cosine).

    Examples
    --------
    >>> rate = Schedule(1.0, 12, "cosine", warmup=2)
    >>> [round(rate(step), 3) for step in (0, 1, 2, 7)]
    [0.5, 1.0, 1.0, 0.5]
    """

    peak: float
    steps: int
    kind: str = "cosine"
    warmup: int = 0
    period: int = 1
    gamma: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise unknown("schedule", self.kind, SCHEDULES)
        if not (math.isfinite(self.peak) and self.peak > 0):
            raise InputError(f"learning rate is {self.peak}; expected a finite number above 0, for instance 1e-5")
        if self.warmup < 0 or self.period < 1:
            raise InputError(f"warmup is {self.warmup}, period {self.period}; expected at least 0 and 1 steps")

    def __call__(self, step: int) -> float:
        """Learning rate of step 0, 1, ..."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.kind == "cosine":
            share = (step - self.warmup) / max(1, self.steps - self.warmup)
            return self.peak * (1 + math.cos(math.pi * min(1.0, share))) / 2
        if self.kind == "step":
            return self.peak * self.gamma ** ((step - self.warmup) // self.period)
        return self.peak


@dataclass(frozen=True)
class Shuffled:
    """Examples of batch 0, 1, ...: every epoch is a new order of all of them, and there is no sampler state.

    Parameters
    ----------
    count : examples
    batch : examples of each batch; the last one of an epoch goes on into the next
    stream : of the orders

    Examples
    --------
    >>> order = Shuffled(5, 2, Stream.from_seed(1))
    >>> sorted(np.concatenate([order(0), order(1), order(2)])[:5].tolist())
    [0, 1, 2, 3, 4]
    """

    count: int
    batch: int
    stream: Stream

    def __post_init__(self) -> None:
        if self.count < 1 or self.batch < 1:
            raise InputError(f"{self.count} examples in batches of {self.batch}; expected at least 1 of each")

    def __call__(self, number: int) -> NDArray[np.int64]:
        """Numbers of the examples of one batch, shape ``(batch,)``."""
        position = number * self.batch + np.arange(self.batch)
        epochs = position // self.count
        return np.concatenate(
            [_order(self.count, self.stream, int(e))[position[epochs == e] % self.count] for e in np.unique(epochs)]
        )


@lru_cache(maxsize=4)
def _order(count: int, stream: Stream, epoch: int) -> NDArray[np.int64]:
    uniform = stream.fold("epoch", epoch).uniform("user", np.arange(count), 1)[0]
    return np.asarray(np.argsort(uniform, kind="stable"), np.int64)

"""How fast a training goes on this machine, found by doing a few steps of it on random pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from torch import nn

from pyqmc_art.art.synthesis.course import Plan
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.learning.cost import say_time
from pyqmc_art.learning.fit import Batches, fit
from pyqmc_art.learning.turns import Turn
from pyqmc_art.rng import Stream

TRIED: Final = 16
"""Steps that are tried: every penalty that is taken once in so many steps is among them once."""


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What every training counted in images costs.

    Attributes
    ----------
    memory : in GiB: weights, gradients, moments and what a backward pass keeps of one batch
    images : real images shown
    rate : images a second, measured on this machine as busy as it is
    """

    memory: float
    images: int
    rate: float

    @property
    def seconds(self) -> float:
        """Expected time in all, without snapshots."""
        return self.images / self.rate

    @property
    def pace(self) -> str:
        """Memory, images, rate and time in words."""
        return (
            f"about {self.memory:.2g} GiB of memory; {self.images / 1000:g} kimg at {self.rate:.3g} images/s, "
            f"measured now: about {say_time(self.seconds)}"
        )


def invent_pool(count: int, size: int, stream: Stream) -> Pool:
    """Make random pictures, for a trial."""
    drawn = np.random.default_rng(stream.key).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return Pool(drawn, np.arange(count), ("",) * count, ("",) * count)


def measure_rate(
    model: nn.Module, turns: Sequence[Turn], batches: Batches, plan: Plan, stream: Stream, tried: int = TRIED
) -> float:
    """Measure images a second of a training, on this machine as busy as it is; the model is trained by that."""
    options = replace(plan.fit_options, steps=tried + 1, log_every=0)
    # The first step, with all of its penalties, also loads libraries; it is done again and not counted.
    fit(model, turns, batches, options, stream=stream, until=1)
    return tried * plan.batch / fit(model, turns, batches, options, stream=stream, until=tried).seconds

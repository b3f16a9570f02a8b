"""How fast a training goes on this machine, found by doing a few steps of it on random pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from torch import nn

from pyqmc_art.art.synthesis.course import Plan
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.learning.fit import Batches, fit
from pyqmc_art.learning.turns import Turn
from pyqmc_art.rng import Stream

TRIED: Final = 16
"""Steps that are tried: every penalty that is taken once in so many steps is among them once."""


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

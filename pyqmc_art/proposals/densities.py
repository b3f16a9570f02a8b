"""Densities of one variable to try flows of one variable on, and how close a flow comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.proposals.monotone import MonotoneFlow1D
from pyqmc_art.proposals.objectives import density_kl
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

Floats = NDArray[np.float64]

_POINTS: Final = 40_001
_BATCH: Final = 512


@dataclass(frozen=True)
class Density1D:
    """A density of one variable, known up to its normalization.

    Parameters
    ----------
    name : what it is called
    log_weight : logarithm of the density without normalization
    low, high : outside of them it may be neglected
    """

    name: str
    log_weight: Callable[[Tensor], Tensor]
    low: float
    high: float

    @cached_property
    def _table(self) -> tuple[Floats, Floats, float]:
        """Grid, distribution function on it, ln Z; the trapezoidal rule."""
        grid = np.linspace(self.low, self.high, _POINTS)
        weight = np.exp(self.log_weight(torch.from_numpy(grid)).numpy())
        step = grid[1] - grid[0]
        total = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) * step / 2)])
        return grid, total / total[-1], math.log(total[-1])

    @property
    def log_partition(self) -> float:
        """ln of the integral of the weight."""
        return self._table[2]

    def quantile(self, share: Floats) -> Floats:
        """Q(u) by interpolation."""
        grid, total, _ = self._table
        inside = np.concatenate([[True], np.diff(total) > 0])
        return np.asarray(np.interp(share, total[inside], grid[inside]), np.float64)

    def __call__(self, y: Floats) -> Floats:
        """Give the normalized density."""
        log_weight = self.log_weight(torch.from_numpy(np.asarray(y, np.float64))).numpy()
        return np.asarray(np.exp(log_weight - self.log_partition), np.float64)


def _three_peaks(y: Tensor) -> Tensor:
    parts = [
        math.log(w) - math.log(s) - 0.5 * ((y - m) / s) ** 2 for w, m, s in ((3, -2, 0.5), (1, 0, 0.2), (4, 2, 0.7))
    ]
    return torch.logsumexp(torch.stack(parts), dim=0)


DENSITIES: Final = (
    Density1D("double well", lambda y: 4 * y**2 - 2 * y**4, -3.0, 3.0),
    Density1D("three peaks", _three_peaks, -6.0, 8.0),
    Density1D("skew", lambda y: -y - torch.exp(-y), -5.0, 45.0),
)
"""Two modes of one site of phi^4, three modes of unequal width, and one with unequal tails."""


def train_density(flow: MonotoneFlow1D, density: Density1D, steps: int, stream: Stream) -> float:
    """Train a flow of one variable on a density by the reverse KL divergence; return its last loss.

    Noise is drawn in layers, one in each n-th of its distribution, so that every batch covers all of it.
    """

    def batch(number: int) -> tuple[Tensor, Tensor]:
        uniform = stream.fold("noise", number).uniform("user", np.arange(_BATCH), 1)[0]
        share = torch.from_numpy((np.arange(_BATCH) + uniform) / _BATCH).clamp(1e-12, 1 - 1e-12)
        x = torch.special.ndtri(share) if flow.noise == "normal" else share
        return x, flow.log_noise(x)

    options = FitOptions(
        steps, learning_rate=0.03, warmup=min(20, steps), clip=10.0, device="cpu", checkpoint_every=0, log_every=0
    )
    result = fit(flow, density_kl(density.log_weight), batch, options, stream=stream.fold("fit"))
    return result.loss


def measure_divergence(flow: MonotoneFlow1D, density: Density1D, n: int, stream: Stream) -> Estimate:
    """KL(q || p) = E_q[ln q - ln p] from ``n`` draws, with its error."""
    drawn = flow.draw(stream, n)
    log_p = density.log_weight(torch.from_numpy(drawn.field)).numpy() - density.log_partition
    excess = drawn.log_ratio - log_p
    return Estimate(float(excess.mean()), float(excess.std(ddof=1)) / math.sqrt(n), n=n)


def tabulate_density(flow: MonotoneFlow1D, y: Floats) -> Floats:
    """q(y) of a flow on a grid."""
    return np.exp(flow.encode(Stream.from_seed(0), y).log_ratio)

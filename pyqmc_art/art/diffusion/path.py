"""Paths from pictures to noise: how much of each at a time, what a network is taught on them, what its answer means.

At time t, from 0 (picture) to 1 (noise), x(t) = a(t) x + s(t) e with e standard normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from pyqmc_art.errors import InputError, unknown

OBJECTIVES: Final = ("epsilon", "v", "flow")
LEVELS: Final = 1000
"""Levels of noise of the variance-preserving paths."""
_FIRST, _LAST = 1e-4, 0.02
_OFFSET: Final = 0.008
_LARGEST: Final = 0.999


@dataclass(frozen=True)
class NoisePath:
    """A path and what is predicted on it.

    ``epsilon``: a² + s² = 1 with linearly growing rates, the network gives e. ``v``: a² + s² = 1 with cosine rates, it
    gives a e - s x. ``flow``: a = 1 - t, s = t, it gives the velocity e - x.

    Parameters
    ----------
    objective : one of ``OBJECTIVES``

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, NeurIPS 2020 (arXiv:2006.11239), equation 4 and section 4 (linear rates).
    A. Nichol, P. Dhariwal, ICML 2021 (arXiv:2102.09672), equation 17 (cosine rates).
    T. Salimans, J. Ho, ICLR 2022 (arXiv:2202.00512), section 4 (v).
    Y. Lipman et al., ICLR 2023 (arXiv:2210.02747), equation 22 with sigma_min = 0 and time turned round (flow).

    Examples
    --------
    >>> a, s = NoisePath("flow").coefficients(torch.tensor([0.25]))
    >>> a.item(), s.item()
    (0.75, 0.25)
    """

    objective: str = "flow"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise unknown("objective", self.objective, OBJECTIVES)

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Shares a and s of picture and noise at times t, of the same shape, float32."""
        if self.objective == "flow":
            return 1 - t, t
        kept = _kept(self.objective).to(t.device)[(t * LEVELS).round().long()]
        return kept.sqrt().float(), (1 - kept).sqrt().float()

    def draw_times(self, n: int) -> Tensor:
        """Times of n training examples, from torch's generator."""
        if self.objective == "flow":
            return torch.rand(n)
        return torch.randint(1, LEVELS + 1, (n,)) / LEVELS

    def list_times(self, steps: int) -> list[float]:
        """Times that a sampler stops at, from 1 to 0: one more than steps.

        Raises
        ------
        InputError
            For fewer than one step, or more than there are levels.

        Examples
        --------
        >>> NoisePath("v").list_times(4)
        [1.0, 0.75, 0.5, 0.25, 0.0]
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= LEVELS:
            raise InputError(f"steps is {steps!r}; expected a whole number from 1 to {LEVELS}")
        return [round(LEVELS * (steps - k) / steps) / LEVELS for k in range(steps + 1)]

    def mix(self, x: Tensor, e: Tensor, t: Tensor) -> Tensor:
        """x(t) of pictures (n, ...), noise of the same shape and times (n,)."""
        a, s = self._spread(t, x)
        return a * x + s * e

    def target(self, x: Tensor, e: Tensor, t: Tensor) -> Tensor:
        """What the network shall answer at ``mix(x, e, t)``."""
        if self.objective == "epsilon":
            return e
        if self.objective == "flow":
            return e - x
        a, s = self._spread(t, x)
        return a * e - s * x

    def separate(self, answer: Tensor, mixed: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Picture and noise that an answer (n, ...) at mixtures and times (n,) stands for."""
        a, s = self._spread(t, mixed)
        if self.objective == "epsilon":
            return (mixed - s * answer) / a, answer
        if self.objective == "flow":
            return mixed - s * answer, mixed + a * answer
        return a * mixed - s * answer, s * mixed + a * answer

    def _spread(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        a, s = self.coefficients(t)
        shape = (-1, *[1] * (like.ndim - 1))
        return a.view(shape), s.view(shape)


@lru_cache(maxsize=2)
def _kept(objective: str) -> Tensor:
    """Share of the picture's variance that is left at each level, 1 at level 0; float64."""
    if objective == "epsilon":
        rates = torch.linspace(_FIRST, _LAST, LEVELS, dtype=torch.float64)
    else:
        angles = (torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS + _OFFSET) / (1 + _OFFSET) * math.pi / 2
        shares = angles.cos().square()
        rates = (1 - shares[1:] / shares[:-1]).clamp(max=_LARGEST)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - rates).cumprod(0)])

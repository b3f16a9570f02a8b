"""Continuous flows: the field follows a differential equation whose divergence is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.proposals.spectrum import find_orbits

MOST_FREQUENCIES: Final = 64
_TIMES: Final = 5  # functions of the time
_LARGEST: Final = 512  # sites; the kernel has as many rows and columns


class ContinuousFlow(nn.Module):
    r"""d phi_x/dt = sum_y sum_f K_f(x - y, t) h_f(phi_y), t from 0 to 1, h = (phi, sin w_1 phi, sin w_2 phi, ...).

    The divergence is sum_f K_f(0, t) sum_x h_f'(phi_x), exactly: nothing is estimated by random vectors. Field and
    log-determinant go together through the Runge-Kutta method of fourth order in float64. What is left is the error of
    the steps, of their fourth power: :meth:`halving_error` measures it. The flow commutes with translations,
    reflections and phi -> -phi.

    Parameters
    ----------
    shape : of the lattice, at most 512 sites
    steps : of the integrator
    frequencies : sines
    scale : about how far the field fluctuates; w begins at multiples of 1/scale
    condition : couplings that K depends on, none for 0

    Raises
    ------
    InputError
        For numbers out of range.

    References
    ----------
    Gerdes, de Haan, Rainone, Bondesan, Cheng, SciPost Phys. 15 (2023) 238 (arXiv:2207.00283), section 3.
    """

    orbits: Tensor

    def __init__(
        self, shape: Sequence[int], steps: int = 8, frequencies: int = 8, scale: float = 1.0, condition: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.steps = tuple(shape), steps
        sites = math.prod(self.shape)
        if sites > _LARGEST:
            raise InputError(f"the lattice has {sites} sites; continuous flows take up to {_LARGEST}")
        if (
            isinstance(frequencies, bool)
            or not isinstance(frequencies, int)
            or not 1 <= frequencies <= MOST_FREQUENCIES
        ):
            raise InputError(f"frequencies is {frequencies!r}; expected a whole number from 1 to {MOST_FREQUENCIES}")
        orbits = find_orbits(self.shape)
        # The displacement of every pair of sites, as the number of its orbit.
        place = np.indices(self.shape).reshape(len(self.shape), sites)
        apart = (place[:, :, None] - place[:, None, :]) % np.array(self.shape)[:, None, None]
        self.register_buffer("orbits", torch.from_numpy(orbits[tuple(apart)]), persistent=False)
        count = int(orbits.max()) + 1
        begin = torch.arange(1, frequencies + 1, dtype=torch.float64) * (math.pi / (4 * scale))
        self.frequency = nn.Parameter(begin)
        small = 0.01 * torch.randn(1 + condition, _TIMES, frequencies + 1, count, dtype=torch.float64)
        small[1:] = 0
        self.kernel = nn.Parameter(small)

    def _kernel_at(self, t: float, condition: Tensor | None) -> Tensor:
        """K at a time, shape (1 + frequencies, displacements)."""
        basis = torch.tensor([math.cos(math.pi * k * t) for k in range(_TIMES)], dtype=torch.float64)
        given = (
            self.kernel.new_ones(1) if condition is None else torch.cat([self.kernel.new_ones(1), condition.double()])
        )
        return torch.einsum("ctfo,t,c->fo", self.kernel, basis.to(self.kernel.device), given)

    def _slope(self, phi: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (n, sites) and divergence (n,) of flat fields."""
        angle = phi[:, None] * self.frequency[:, None]
        features = torch.cat([phi[:, None], angle.sin()], dim=1)
        # K is symmetric in the two sites, so rows (feature, from) and columns (to) need no transposition.
        velocity = features.flatten(1) @ kernel[:, self.orbits].reshape(-1, phi.shape[1])
        own = kernel[:, 0]
        spread = (angle.cos().sum(2) * self.frequency) @ own[1:] + own[0] * phi.shape[1]
        return velocity, spread

    def _follow(self, x: Tensor, condition: Tensor | None, steps: int, back: bool) -> tuple[Tensor, Tensor]:
        phi = x.flatten(1)
        total = torch.zeros(len(phi), dtype=phi.dtype, device=phi.device)
        h = (-1.0 if back else 1.0) / steps
        start = 1.0 if back else 0.0
        for k in range(steps):
            t = start + k * h
            one, two, three = (self._kernel_at(t + share * h, condition) for share in (0.0, 0.5, 1.0))
            a, da = self._slope(phi, one)
            b, db = self._slope(phi + h / 2 * a, two)
            c, dc = self._slope(phi + h / 2 * b, two)
            d, dd = self._slope(phi + h * c, three)
            phi = phi + h / 6 * (a + 2 * b + 2 * c + d)
            total = total + h / 6 * (da + 2 * db + 2 * dc + dd)
        return phi.reshape(x.shape), total

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map x, float64 of shape (n, *shape), to y; and ln |det dy/dx|, shape (n,)."""
        return self._follow(x, condition, self.steps, back=False)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map y to x by the same equation backwards, and ln |det dx/dy|."""
        return self._follow(y, condition, self.steps, back=True)

    @torch.no_grad()
    def halving_error(self, x: Tensor, condition: Tensor | None = None) -> float:
        """Largest change of the log-determinant when every step is halved."""
        coarse = self.forward(x, condition)[1]
        return float((self._follow(x, condition, 2 * self.steps, back=False)[1] - coarse).abs().max())

"""What a physicist writes in an afternoon: HMC of phi^4 in NumPy, vectorised over independent chains.

S = sum_x [ sum_mu (phi(x+mu) - phi(x))^2 + m2 phi^2 + lam phi^4 ] on a periodic square lattice; fields have the shape
(chains, L, M).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def action(phi: Floats, m2: float, lam: float) -> Floats:
    """S of each chain."""
    density = (m2 + lam * phi**2) * phi**2
    for axis in (1, 2):
        density = density + (np.roll(phi, -1, axis) - phi) ** 2
    return np.asarray(density.sum(axis=(1, 2)))


def force(phi: Floats, m2: float, lam: float) -> Floats:
    """-dS/dphi."""
    neighbours = sum(np.roll(phi, shift, axis) for axis in (1, 2) for shift in (-1, 1))
    return np.asarray(2 * neighbours - (8 + 2 * m2) * phi - 4 * lam * phi**3)


def trajectory(
    phi: Floats, m2: float, lam: float, steps: int, length: float, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """One leapfrog trajectory of every chain and its decision; returns the fields and which were accepted."""
    step = length / steps
    momentum = random.normal(size=phi.shape)
    before = action(phi, m2, lam) + 0.5 * (momentum**2).sum(axis=(1, 2))
    new = phi + 0.5 * step * momentum
    for k in range(steps):
        momentum = momentum + step * force(new, m2, lam)
        new = new + (step if k + 1 < steps else 0.5 * step) * momentum
    after = action(new, m2, lam) + 0.5 * (momentum**2).sum(axis=(1, 2))
    accepted = random.uniform(size=len(phi)) < np.exp(np.minimum(0.0, before - after))
    return np.where(accepted[:, None, None], new, phi), accepted

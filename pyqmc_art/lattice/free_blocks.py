"""The simplest proposal of blocks: a Gaussian free field inside, given the field around."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.free_energy import reference_mass
from pyqmc_art.lattice.patches import cut_patches
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]


class FreeBlocks:
    """Blocks of a free field with the given boundary: q = N(K^-1 h, K^-1).

    K has 2 (g z + M) on the diagonal (z neighbours, M the squared mass times g) and -2 g for every bond inside;
    h is 2 g times the sum of the neighbours outside.

    Parameters
    ----------
    action : phi^4 on a periodic square or hypercubic lattice
    block : extents of a block
    mass : m2 of the free field in convention A, positive; None takes one that is about as wide as the target

    Raises
    ------
    InputError
        For another action or lattice, or a mass that is not positive.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> free = FreeBlocks(Phi4(Lattice((8, 8)), m2=-4, lam=8), (2, 2))
    >>> stream, boundary = Stream.from_seed(1), np.zeros((3, 8, 8))
    >>> drawn = free.propose(stream, boundary)
    >>> bool(np.allclose(free.encode(stream, drawn.field, boundary).log_ratio, drawn.log_ratio))
    True
    """

    def __init__(self, action: Phi4, block: Sequence[int], mass: float | None = None) -> None:
        if not isinstance(action, Phi4):
            raise InputError(f"free blocks are proposed for phi4, not for {getattr(action, 'name', action)!r}")
        patches = cut_patches(action.lattice, block)
        m2 = finite("mass", reference_mass(action.to("A")) if mass is None else mass)
        if m2 <= 0:
            raise InputError(f"mass is {m2}; expected a positive number")
        self.action, self.block, self.mass = action, tuple(int(b) for b in block), m2
        self.size, self.outer = patches.members.shape[2], patches.outer
        g = action.coefficients[0]
        precision = np.eye(self.size) * 2 * g * (action.lattice.coordination + m2)
        for i, j in patches.inner:
            precision[i, j] -= 2 * g
            precision[j, i] -= 2 * g
        self.covariance = np.linalg.inv(precision)
        self.root = np.linalg.cholesky(self.covariance)
        self.log_norm = -float(np.log(np.diag(self.root)).sum()) - 0.5 * self.size * math.log(2 * math.pi)

    def mean(self, boundary: Floats) -> Floats:
        """K^-1 h: the field that costs least inside, shape (..., sites of a block)."""
        pull = np.zeros((self.size, boundary.shape[-1]))
        pull[self.outer, np.arange(boundary.shape[-1])] = 2 * self.action.coefficients[0]
        return np.asarray(boundary @ (self.covariance @ pull).T, np.float64)

    def noise(self, stream: Stream, boundary: Floats) -> Floats:
        """Standard normal numbers for every site of every block."""
        count, blocks = boundary.shape[:2]
        return stream.normal("user", blocks * self.size, count).reshape(count, blocks, self.size)

    def propose(self, stream: Stream, boundary: Floats) -> Draw:
        """Draw values for every block."""
        noise = self.noise(stream, boundary)
        log_density = self.log_norm - 0.5 * (noise * noise).sum(axis=-1)
        return Draw(self.mean(boundary) + noise @ self.root.T, None, log_density)

    def encode(self, stream: Stream, field: Floats, boundary: Floats) -> Draw:
        """Give log q of values that something else made."""
        noise = np.linalg.solve(self.root, (field - self.mean(boundary))[..., None])[..., 0]
        return Draw(field, None, np.asarray(self.log_norm - 0.5 * (noise * noise).sum(axis=-1), np.float64))

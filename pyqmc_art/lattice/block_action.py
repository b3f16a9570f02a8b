"""The part of S that belongs to a block given what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.patches import cut_patches
from pyqmc_art.lattice.scalar import Phi4

Floats = NDArray[np.float64]


class BlockAction:
    """All terms of phi^4 that hold a site of a block; while the rest stands still its differences are those of S.

    Parameters
    ----------
    action : phi^4 on a periodic square or hypercubic lattice
    block : extents of a block

    Raises
    ------
    InputError
        For another lattice, or extents that twice the block does not divide.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> part = BlockAction(Phi4(Lattice((4, 4)), m2=-4, lam=8), (1, 1))
    >>> float(part(np.array([0.5]), np.zeros(4))), part.force(np.array([0.5]), np.zeros(4)).tolist()
    (0.5, [-4.0])
    """

    def __init__(self, action: Phi4, block: Sequence[int]) -> None:
        self.coefficients = action.coefficients
        self.patches = cut_patches(action.lattice, block)

    def __call__(self, values: Floats, boundary: Floats) -> Floats:
        """S of blocks, shape (...), for values (..., sites) and boundaries (..., bonds outwards)."""
        g, a, b = self.coefficients
        square = values * values
        inner, outer = self._differences(values, boundary)
        bonds = (inner * inner).sum(axis=-1) + (outer * outer).sum(axis=-1)
        return np.asarray(g * bonds + (square * (a + b * square)).sum(axis=-1), np.float64)

    def force(self, values: Floats, boundary: Floats) -> Floats:
        """-dS/dvalues, in their shape."""
        g, a, b = self.coefficients
        out = -values * (2 * a + 4 * b * values * values)
        inner, outer = self._differences(values, boundary)
        flat = out.reshape(-1, values.shape[-1])
        for k, (i, j) in enumerate(self.patches.inner):
            pull = 2 * g * inner[..., k].ravel()
            flat[:, i] -= pull
            flat[:, j] += pull
        for e, i in enumerate(self.patches.outer):
            flat[:, i] -= 2 * g * outer[..., e].ravel()
        return np.asarray(out, np.float64)

    def _differences(self, values: Floats, boundary: Floats) -> tuple[Floats, Floats]:
        inner = values[..., self.patches.inner[:, 0]] - values[..., self.patches.inner[:, 1]]
        return inner, values[..., self.patches.outer] - boundary

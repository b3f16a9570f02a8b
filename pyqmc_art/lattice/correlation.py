"""The correlation function along a line of sites, the obvious way: every pair of sites of a field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.actions import Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field

Floats = NDArray[np.float64]

LONGEST_DISTANCE: Final = 4096
"""The correlation function is not measured beyond this distance."""


def count_distances(lattice: Lattice) -> int:
    """How many distances there are along the last axis: 0, 1, ... to half its extent, but no longer ones than 4096.

    Examples
    --------
    >>> count_distances(Lattice((4, 10)))
    6
    """
    return min(lattice.shape[-1] // 2, LONGEST_DISTANCE) + 1


def count_pairs(lattice: Lattice) -> Floats:
    """Pairs of sites on one line along the last axis, at each distance: fewer at an open boundary.

    Examples
    --------
    >>> count_pairs(Lattice((4, 6), boundary="open")).tolist()
    [6.0, 5.0, 4.0, 3.0]
    """
    distances = np.arange(count_distances(lattice), dtype=np.float64)
    return lattice.shape[-1] - distances * (not lattice.periodic[-1])


def correlate_lines(lattice: Lattice, field: NDArray[Any]) -> Floats:
    """Mean of the products of two values of a field, at each distance along the last axis; exact for whole numbers.

    Parameters
    ----------
    field : shape (replica, *lattice.shape)

    Returns
    -------
    shape (replica, distances)
    """
    width, distances = lattice.shape[-1], count_distances(lattice)
    length = width if lattice.periodic[-1] else width + distances
    lines = field.reshape(len(field), -1, width)
    squared = np.square(np.abs(np.fft.rfft(lines, length, axis=2))).sum(axis=1)
    products = np.fft.irfft(squared, length, axis=1)[:, :distances]
    if np.issubdtype(field.dtype, np.integer):
        products = np.rint(products)
    return np.asarray(products / (lines.shape[1] * count_pairs(lattice)), np.float64)


@dataclass(frozen=True)
class Correlation:
    """G(r) = <s_x s_{x + r}>, r = 0 .. L/2 along the last axis, averaged over all sites x of a field.

    For O(n) the product is a scalar product; for Potts it is (q delta - 1) / (q - 1), so that q = 2 agrees with Ising.
    Not the connected function: nothing is subtracted. Distances end at 4096.
    """

    name: str = "correlation"
    models: tuple[str, ...] = ("ising", "potts", "phi4", "on")

    def __call__(self, action: Any, field: Field) -> Floats:
        """Values for each replica, shape (replica, L // 2 + 1)."""
        if isinstance(action, ON):
            parts = [correlate_lines(action.lattice, field[..., a]) for a in range(action.n)]
            return np.asarray(sum(parts), np.float64)
        if isinstance(action, Potts):
            equal = sum(correlate_lines(action.lattice, (field == a).astype(np.int8)) for a in range(action.q))
            return np.asarray((action.q * equal - 1) / (action.q - 1), np.float64)
        return correlate_lines(action.lattice, field)

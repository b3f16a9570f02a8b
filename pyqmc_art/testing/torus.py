"""Exact bins of phi^4 on the 2 x 2 torus: the chi-square of continuous fields."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Field
from pyqmc_art.testing.verdict import chi_square

Floats = NDArray[np.float64]

TORUS: Final = Phi4(Lattice((2, 2)), -4.0, 8.0)
"""The smallest torus in two dimensions with both interaction and double bonds."""

_BINS: Final = 8
_OPEN_PANELS: Final = 3  # that an open bin is cut into
_INNER_NODES: Final = 3  # of Gauss's rule in each closed bin
_OPEN_NODES: Final = 6  # and in each panel of an open one
_GRID: Final = 32  # points of the trapezoidal rule for the other two sites


@lru_cache(maxsize=8)
def torus_bins(action: Phi4) -> tuple[Floats, float]:
    """Exact probabilities of two neighbouring sites, shape (8, 8), and ln Z, by quadrature in four dimensions.

    Raises
    ------
    InputError
        For another lattice.

    Examples
    --------
    >>> probability, log_partition = torus_bins(TORUS)
    >>> round(float(probability.sum()), 12), round(log_partition, 6)
    (1.0, 0.914434)
    """
    if action.lattice.shape != (2, 2):
        raise InputError(f"the shape is {action.lattice.shape}; the bins are those of a 2 x 2 lattice")
    inner = _edges(action)
    reach = 3.5 * inner[-1]
    outer = np.linspace(inner[-1], reach, _OPEN_PANELS + 1)
    rules = [_gauss(-outer[::-1], _OPEN_NODES), _gauss(inner, _INNER_NODES), _gauss(outer, _OPEN_NODES)]
    nodes, weights = (np.concatenate(parts) for parts in zip(*rules, strict=True))
    grid = np.linspace(-reach, reach, _GRID)
    far = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    measure = (grid[1] - grid[0]) ** 2
    density = np.empty((len(nodes), len(nodes)))
    for i, a in enumerate(nodes):
        for j, b in enumerate(nodes):
            field = np.empty((len(far), 2, 2))
            field[:, 0, 0], field[:, 0, 1], field[:, 1] = a, b, far
            density[i, j] = measure * float(np.exp(-action(field)).sum())
    mass = np.zeros((_BINS, _BINS))
    place = np.digitize(nodes, inner)
    np.add.at(mass, (place[:, None], place[None, :]), density * np.outer(weights, weights))
    return mass / mass.sum(), math.log(mass.sum())


def torus_p_value(action: Phi4, field: Field) -> float:
    """Chi-square of independent fields in the exact bins of two neighbouring sites."""
    inner = _edges(action)
    one, two = np.digitize(field[:, 0, 0], inner), np.digitize(field[:, 0, 1], inner)
    counts = np.bincount(one * _BINS + two, minlength=_BINS * _BINS)
    return chi_square(counts, torus_bins(action)[0].ravel())


def _gauss(edges: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss's rule on consecutive panels."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = np.diff(edges) / 2
    return ((edges[:-1] + half)[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()


def _edges(action: Phi4) -> Floats:
    """Where the bins meet; the outermost two are open."""
    scale = action.width * 1.6
    return np.linspace(-scale, scale, _BINS - 1)

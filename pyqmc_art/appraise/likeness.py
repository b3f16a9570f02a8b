"""Distances between two tables of features: the kernel distance, and nearest neighbours that may be copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.tables import Table
from pyqmc_art.art.metrics.distances import find_kernel_distance, make_kernel
from pyqmc_art.art.metrics.halves import estimate_by_halves
from pyqmc_art.art.metrics.memory import Memory, recall_training
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

Floats = NDArray[np.float64]

MOST = 1200
"""Members of each ensemble whose distances are taken: the matrices are square."""


def thin(table: Table, most: int = MOST) -> Table:
    """Take at most so many members, evenly spread over the table."""
    return table if len(table) <= most else table.take(np.arange(most) * len(table) // most)


def standardise(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Bring the features of both to mean 0 and spread 1 together; what does not vary is left out."""
    both = np.concatenate([a, b])
    mean, scale = both.mean(axis=0), both.std(axis=0)
    used = scale > 1e-9 * (1 + np.abs(mean))
    return (a[:, used] - mean[used]) / scale[used], (b[:, used] - mean[used]) / scale[used]


def find_kid(a: Table, b: Table, view: str, stream: Stream, standard: bool = True) -> Estimate:
    """Kernel distance (squared MMD with the kernel (x.y/d + 1)^3), units kept together in its error.

    Parameters
    ----------
    a, b : tables
    view : the features
    stream : of the halves
    standard : whether features are standardised first; those of networks are compared as they are
    """
    one, other = thin(a), thin(b)
    x, y = one.views[view], other.views[view]
    if standard:
        x, y = standardise(x, y)
    kernel = make_kernel(np.concatenate([x, y]))

    def find(chosen: NDArray[np.int64], others: NDArray[np.int64]) -> float:
        both = np.concatenate([chosen, len(x) + others])
        return find_kernel_distance(kernel[np.ix_(both, both)], len(chosen))

    return estimate_by_halves(find, [len(x), len(y)], stream, groups=[one.units, other.units])


def find_copies(a: Table, b: Table, view: str) -> Memory:
    """Ask whether members of B are copies of members of A: each against its nearest in A."""
    one, other = thin(a), thin(b)
    x, y = standardise(one.views[view], other.views[view])
    return recall_training(y, x, works=one.units)

"""Hybrid Monte Carlo in plain Python: the reference, and (under njit) the Numba fallback in one.

The arguments every kernel takes are those of :mod:`pyqmc_art.ops.plain_scalar`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block
from pyqmc_art.ops.plain_fields import measure_when_due
from pyqmc_art.ops.plain_real import exp_of, unit
from pyqmc_art.ops.plain_scalar import trajectory as follow_scalar
from pyqmc_art.ops.plain_sphere import project
from pyqmc_art.ops.plain_sphere import trajectory as follow_vectors
from pyqmc_art.ops.ziggurat import normals

_SITE, _SEED = 0, 3

Words = Any
Array = Any


def draw_momenta(field: Array, key: Words, replica: int, step: int, momentum: Array) -> None:
    """Fill ``momentum`` (sites, components) with normal numbers, of unit vectors their tangent part."""
    sites, n = momentum.shape
    numbers = momentum.reshape(sites * n)
    for j in range((sites * n + 1) // 2):
        pair = normals(key, _SITE, j, 0, replica, step)
        numbers[2 * j] = pair[0]
        if 2 * j + 1 < sites * n:
            numbers[2 * j + 1] = pair[1]
    if n > 1:
        for i in range(sites):
            project(field[i], momentum[i])


def follow(
    field: Array,
    neighbours: Array,
    width: int,
    couplings: Array,
    momentum: Array,
    length: float,
    kicks: Array,
    drifts: Array,
    end: Array,
) -> float:
    """Follow one trajectory of one field (sites, components) to ``end``; return its energy error."""
    if field.shape[1] == 1:
        position, change = follow_scalar(
            field[:, 0], neighbours, width, couplings, momentum[:, 0], length, kicks, drifts
        )
        end[:, 0] = position
        return change
    vectors, change = follow_vectors(field, neighbours, width, couplings[0], momentum, length, kicks, drifts)
    end[:] = vectors
    return change


def hmc_steps(
    field: Array,
    neighbours: Array,
    width: int,
    couplings: Array,
    key: Words,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: Array,
    tally: Array,
    kicks: Array,
    drifts: Array,
    spread: float,
    error: Array,
) -> None:
    """Hybrid Monte Carlo: normal momenta, a trajectory, one decision."""
    momentum, end = np.zeros(field.shape[1:]), np.zeros(field.shape[1:])
    for index in range(field.shape[0]):
        here = field[index]
        own = couplings[index % len(couplings)]
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            draw_momenta(here, key, replica, step, momentum)
            w0, w1, w2, w3 = block(key, _SEED, 0, 0, replica, step)
            length = 1.0 + spread * (2.0 * unit(w2, w3) - 1.0)
            change = follow(here, neighbours, width, own, momentum, length, kicks, drifts, end)
            error[t, index] = change
            # What is not finite passes none of these comparisons.
            downhill = change <= 0.0 and change > -1e300
            if downhill or (change > 0.0 and change < 700.0 and unit(w0, w1) < exp_of(-change)):
                here[:] = end
                tally[index] += 1
            measure_when_due(field, neighbours, width, index, t + 1, every, sums)

"""The hot loops of phi^4 in plain Python: the reference, and (under njit) the Numba fallback in one.

S = sum_<xy> g (phi_x - phi_y)^2 + sum_x (a phi_x^2 + b phi_x^4); row k of ``couplings`` holds g, a, b of rung k. The
arguments every kernel takes, in this order: ``field`` (batch, sites, components), ``neighbours``, ``width`` (sites in a
row), ``couplings``, ``key``, ``first_replica``, ``first_step``, ``steps``, ``every``, ``sums`` (steps // every, batch,
columns) or an empty array, ``tally`` (batch).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqmc_art.ops.plain_real import compensated_sum, lane_sum

Array = Any


def neighbour_sum(phi: Array, neighbours: Array, i: int) -> tuple[float, int]:
    """Sum over the neighbours of a site, and their number."""
    total, count = 0.0, 0
    for j in neighbours[i]:
        if j >= 0:
            total += phi[j]
            count += 1
    return total, count


def force(phi: Array, neighbours: Array, couplings: Array, i: int) -> float:
    """-dS/dphi at one site."""
    g, a, b = couplings[0], couplings[1], couplings[2]
    total, count = neighbour_sum(phi, neighbours, i)
    return float(2.0 * g * total - phi[i] * (2.0 * g * count + 2.0 * a + 4.0 * b * (phi[i] * phi[i])))


def bond_squares(phi: Array, neighbours: Array, i: int) -> float:
    """Sum of (phi_x - phi_y)^2 over the forward bonds of one site."""
    total = 0.0
    for k in range(0, neighbours.shape[1], 2):
        j = neighbours[i, k]
        if j >= 0:
            total += (phi[j] - phi[i]) * (phi[j] - phi[i])
    return total


def bond_products(phi: Array, neighbours: Array, i: int) -> float:
    """Sum of phi_x phi_y over the forward bonds of one site."""
    total = 0.0
    for k in range(0, neighbours.shape[1], 2):
        j = neighbours[i, k]
        if j >= 0:
            total += phi[i] * phi[j]
    return total


def sum_rows(values: Array, width: int) -> float:
    """Sum of the values of all sites: each row in lanes, the rows compensated."""
    rows = np.zeros(len(values) // width)
    for row in range(len(rows)):
        rows[row] = lane_sum(values, row * width, (row + 1) * width)
    return compensated_sum(rows)


def measure(phi: Array, neighbours: Array, width: int, sums: Array) -> None:
    """Sums of phi, phi^2, phi^4, and over the bonds of (phi_x - phi_y)^2 and phi_x phi_y, of one field."""
    values = np.zeros((5, len(phi)))
    for i in range(len(phi)):
        values[0, i] = phi[i]
        values[1, i] = phi[i] * phi[i]
        values[2, i] = (phi[i] * phi[i]) * (phi[i] * phi[i])
        values[3, i] = bond_squares(phi, neighbours, i)
        values[4, i] = bond_products(phi, neighbours, i)
    for c in range(5):
        sums[c] = sum_rows(values[c], width)


def measure_when_due(phi: Array, neighbours: Array, width: int, index: int, done: int, every: int, sums: Array) -> None:
    """Measure field ``index`` of the batch after step ``done`` (counted from 1) when it is due."""
    if sums.size > 0 and done % every == 0:
        measure(phi, neighbours, width, sums[done // every - 1, index])


def energies(phi: Array, momentum: Array, neighbours: Array, couplings: Array) -> Array:
    """p^2 / 2 and the part of S that belongs to each site."""
    g, a, b = couplings[0], couplings[1], couplings[2]
    out = np.zeros(len(phi))
    for i in range(len(phi)):
        square = phi[i] * phi[i]
        kinetic = 0.5 * momentum[i] * momentum[i]
        out[i] = (kinetic + g * bond_squares(phi, neighbours, i)) + square * (a + b * square)
    return out


def trajectory(
    phi: Array,
    neighbours: Array,
    width: int,
    couplings: Array,
    momentum: Array,
    length: float,
    kicks: Array,
    drifts: Array,
) -> tuple[Array, float]:
    """Follow one trajectory from ``momentum``, which is changed; return where it ends and its energy error."""
    before = energies(phi, momentum, neighbours, couplings)
    position = phi + length * drifts[0] * momentum
    for stage in range(len(kicks)):
        kick, drift = length * kicks[stage], length * drifts[stage + 1]
        for i in range(len(phi)):
            momentum[i] += kick * force(position, neighbours, couplings, i)
        for i in range(len(phi)):
            position[i] = position[i] + drift * momentum[i]
    return position, sum_rows(energies(position, momentum, neighbours, couplings) - before, width)

"""Trajectories of unit vectors in plain Python: the formulas of ``csrc/kernels/sphere.hpp``, and the same bytes.

Momenta are tangent to the sphere of their vector. Without a force a vector goes round a great circle,
s' = cos(w t) s + sin(w t) p / w and p' = cos(w t) p - sin(w t) w s with w = |p|, which is the exact flow of p^2 / 2:
reversible, and it preserves the volume of phase space. A kick is the part of the force that is tangent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyqmc_art.ops.plain_real import circle_at
from pyqmc_art.ops.plain_scalar import sum_rows
from pyqmc_art.ops.plain_vector import bond_products, dot

_TOO_FAR = 1099511627776.0  # 2^40 turns, where circle_at ends
_TURNS_IN_RADIAN = 0.15915494309189535

Array = Any


def pull_at(spins: Array, neighbours: Array, i: int) -> Array:
    """Sum of the neighbours of a site."""
    total = np.zeros(spins.shape[1])
    for j in neighbours[i]:
        if j >= 0:
            for a in range(len(total)):
                total[a] += spins[j, a]
    return total


def project(s: Array, p: Array) -> None:
    """Take from ``p`` what lies along ``s``."""
    lost = dot(s, p)
    for a in range(len(s)):
        p[a] = p[a] - lost * s[a]


def rotate(s: Array, p: Array, drift: float) -> None:
    """Go round the great circle of ``s`` and ``p`` for a time ``drift``; what turns too far becomes a NaN."""
    speed = math.sqrt(dot(p, p))
    turns = speed * drift * _TURNS_IN_RADIAN
    cosine, sine = math.nan, math.nan
    if abs(turns) < _TOO_FAR:
        cosine, sine = circle_at(turns)
    forward = sine / (speed + 1e-300)
    back = sine * speed
    for a in range(len(s)):
        here, there = s[a], p[a]
        s[a] = cosine * here + forward * there
        p[a] = cosine * there - back * here
    # Rounding would grow along a trajectory: one step of Newton's method for the length, and tangent again.
    square = dot(s, s)
    for a in range(len(s)):
        s[a] = s[a] * (1.5 - 0.5 * square)
    project(s, p)


def energies(spins: Array, momentum: Array, neighbours: Array, beta: float) -> Array:
    """p^2 / 2 and the bonds forward of each site."""
    out = np.zeros(len(spins))
    for i in range(len(spins)):
        out[i] = 0.5 * dot(momentum[i], momentum[i]) - beta * bond_products(spins, neighbours, i)
    return out


def trajectory(
    spins: Array,
    neighbours: Array,
    width: int,
    beta: float,
    momentum: Array,
    length: float,
    kicks: Array,
    drifts: Array,
) -> tuple[Array, float]:
    """Follow one trajectory from tangent momenta, which are changed; return where it ends and its energy error."""
    before = energies(spins, momentum, neighbours, beta)
    position = spins.copy()
    for i in range(len(position)):
        rotate(position[i], momentum[i], length * drifts[0])
    for stage in range(len(kicks)):
        strength, drift = length * kicks[stage] * beta, length * drifts[stage + 1]
        for i in range(len(position)):
            pull = pull_at(position, neighbours, i)
            along = dot(position[i], pull)
            for a in range(len(pull)):
                momentum[i, a] = momentum[i, a] + strength * (pull[a] - along * position[i, a])
        for i in range(len(position)):
            rotate(position[i], momentum[i], drift)
    return position, sum_rows(energies(position, momentum, neighbours, beta) - before, width)

"""Coloured sweeps and clusters of phi^4 and O(n) in plain Python: the reference, and (under njit) the Numba fallback.

The arguments every kernel takes are those of :mod:`pyqmc_art.ops.plain_scalar`; for O(n) row k of ``couplings`` holds
beta, 0, 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block, draw, scaled
from pyqmc_art.ops.plain_cluster import root_of
from pyqmc_art.ops.plain_real import exp_of, unit
from pyqmc_art.ops.plain_scalar import measure as measure_scalar
from pyqmc_art.ops.plain_scalar import neighbour_sum
from pyqmc_art.ops.plain_vector import dot, draw_vector, normalize, normals_at
from pyqmc_art.ops.plain_vector import measure as measure_vector
from pyqmc_art.ops.ziggurat import normal_of

_SITE, _BOND, _FLIP, _SEED, _USER = 0, 1, 2, 3, 8
_ATTEMPTS = 64
_ONE = np.uint64(1)
_HALF = np.uint64(32)

Words = Any
Array = Any


def measure_when_due(
    field: Array, neighbours: Array, width: int, index: int, done: int, every: int, sums: Array
) -> None:
    """Measure field ``index`` of the batch after step ``done`` (counted from 1) when it is due."""
    if sums.size > 0 and done % every == 0:
        measure(field[index], neighbours, width, sums[done // every - 1, index])


def measure(field: Array, neighbours: Array, width: int, sums: Array) -> None:
    """Sums of one field of shape (sites, components)."""
    if field.shape[1] == 1:
        measure_scalar(field[:, 0], neighbours, width, sums)
    else:
        measure_vector(field, neighbours, width, sums)


def measure_fields(field: Array, neighbours: Array, width: int, sums: Array) -> None:
    """Measure every field of the batch as it is; ``sums`` has shape (1, batch, columns)."""
    for index in range(field.shape[0]):
        measure(field[index], neighbours, width, sums[0, index])


def draw_scalar(key: Words, site: int, replica: int, step: int, a: float, b: float, h: float) -> tuple[bool, float]:
    """Draw x with density exp(-a x^2 - b x^4 + 2 h x) by a normal number and a rejection; whether it was accepted."""
    base = (a if a > 0.0 else 0.0) + math.sqrt(b)
    precision = base + math.sqrt(2.0 * b * h * h / base)
    for _ in range(6):
        f = precision * (precision * (precision - a) - b) - 2.0 * b * h * h
        precision = precision - f / (precision * (3.0 * precision - 2.0 * a) - b)
    centre = (precision - a) / (2.0 * b) if b > 0.0 else 0.0
    mean, width = h / precision, math.sqrt(0.5 / precision)
    for attempt in range(_ATTEMPTS):
        w0, w1, w2, w3 = block(key, _SITE, site, attempt, replica, step)
        x = mean + width * normal_of(key, _SITE, site, attempt, 0, replica, step, w0 | w1 << _HALF)
        off = x * x - centre
        if unit(w2, w3) < exp_of(-(b * (off * off))):
            return True, x
    return False, 0.0


def update_scalar(
    field: Array,
    neighbours: Array,
    couplings: Array,
    rule: int,
    key: Words,
    replica: int,
    step: int,
    width: float,
    i: int,
) -> bool:
    """Update one site of phi^4; whether it changed."""
    phi = field[:, 0]
    g, a, b = couplings[0], couplings[1], couplings[2]
    total, count = neighbour_sum(phi, neighbours, i)
    if rule == 1:
        drawn, x = draw_scalar(key, i, replica, step, g * count + a, b, g * total)
        if drawn:
            phi[i] = x
        return drawn
    w0, w1, w2, w3 = block(key, _SITE, i, 0, replica, step)
    start = phi[i]
    to = start + width * (2.0 * unit(w0, w1) - 1.0)
    square, old = to * to, start * start
    cost = (square - old) * (g * count + a + b * (square + old)) - 2.0 * g * total * (to - start)
    if cost > 0.0 and unit(w2, w3) >= exp_of(-cost):
        return False
    phi[i] = to
    return True


def update_vector(
    field: Array,
    neighbours: Array,
    beta: float,
    rule: int,
    key: Words,
    replica: int,
    step: int,
    width: float,
    i: int,
) -> bool:
    """Update one vector of O(n); whether it changed."""
    n = field.shape[1]
    s = field[i]
    h = np.zeros(n)
    for j in neighbours[i]:
        if j >= 0:
            for a in range(n):
                h[a] += field[j, a]
    if rule == 2:
        square = dot(h, h)
        if not square > 1e-30:
            return False
        twice = 2.0 * dot(s, h) / square
        for a in range(n):
            s[a] = twice * h[a] - s[a]
        normalize(s)
        return True
    for a in range(n):
        h[a] = beta * h[a]
    if rule == 1:
        return draw_vector(key, i, replica, step, h, s)
    to = np.zeros(n)
    normals_at(key, _SITE, i, 0, replica, step, to)
    for a in range(n):
        to[a] = s[a] + width * to[a]
    normalize(to)
    cost = dot(h, s) - dot(h, to)
    w0, w1, _, _ = block(key, _SITE, i, (n + 1) // 2, replica, step)
    if cost > 0.0 and unit(w0, w1) >= exp_of(-cost):
        return False
    for a in range(n):
        s[a] = to[a]
    return True


def local_steps(
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
    colour_of_site: Array,
    colours: int,
    rule: int,
    widths: Array,
) -> None:
    """Coloured sweeps; rule 0 Metropolis, 1 heat bath, 2 overrelaxation."""
    for index in range(field.shape[0]):
        own = couplings[index % len(couplings)]
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            for colour in range(colours):
                for i in range(field.shape[1]):
                    if colour_of_site[i] != colour:
                        continue
                    if field.shape[2] == 1:
                        changed = update_scalar(
                            field[index], neighbours, own, rule, key, replica, step, widths[index], i
                        )
                    else:
                        changed = update_vector(
                            field[index], neighbours, own[0], rule, key, replica, step, widths[index], i
                        )
                    if changed:
                        tally[index] += 1
            measure_when_due(field, neighbours, width, index, t + 1, every, sums)


def axis_of(key: Words, cluster: int, replica: int, step: int, n: int) -> Array:
    """Return the axis of the embedded Ising model: random for O(n)."""
    axis = np.ones(n)
    if n > 1:
        normals_at(key, _USER, cluster, 0, replica, step, axis)
        normalize(axis)
    return axis


def reflect(field: Array, axis: Array, i: int) -> None:
    """Reflect one vector: its component along the axis changes sign."""
    twice = 2.0 * dot(field[i], axis)
    for a in range(len(axis)):
        field[i, a] = field[i, a] - twice * axis[a]


def swendsen_wang_steps(
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
) -> None:
    """Swendsen-Wang of the embedded Ising model."""
    sites, n = field.shape[1], field.shape[2]
    parent = np.zeros(sites, np.int64)
    for index in range(field.shape[0]):
        spins = field[index]
        strength = (4.0 if n == 1 else 2.0) * couplings[index % len(couplings), 0]
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            axis = axis_of(key, 0, replica, step, n)
            for i in range(sites):
                parent[i] = i
            for i in range(sites):
                here = dot(spins[i], axis)
                for direction in range(neighbours.shape[1] // 2):
                    j = neighbours[i, 2 * direction]
                    if j < 0:
                        continue
                    product = here * dot(spins[j], axis)
                    if not product > 0.0:
                        continue
                    w0, w1, w2, w3 = block(key, _BOND, i, direction >> 1, replica, step)
                    chance = unit(w0, w1) if direction & 1 == 0 else unit(w2, w3)
                    if chance < 1.0 - exp_of(-(strength * product)):
                        one, two = root_of(parent, i), root_of(parent, j)
                        parent[max(one, two)] = min(one, two)
            for i in range(sites):
                root = root_of(parent, i)
                if root == i:
                    tally[index] += 1
                if draw(key, _FLIP, root >> 1, 0, root & 1, replica, step) >> np.uint64(62) == _ONE:
                    reflect(spins, axis, i)
            measure_when_due(field, neighbours, width, index, t + 1, every, sums)


def wolff_steps(
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
    clusters: int,
) -> None:
    """Wolff: ``clusters`` single clusters of embedded Ising models a step."""
    sites, n = field.shape[1], field.shape[2]
    queue = np.zeros(sites, np.int64)
    member = np.zeros(sites, np.int64)
    for index in range(field.shape[0]):
        spins = field[index]
        strength = (4.0 if n == 1 else 2.0) * couplings[index % len(couplings), 0]
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            for number in range(clusters):
                axis = axis_of(key, number, replica, step, n)
                queue[0] = scaled(draw(key, _SEED, number, 0, 0, replica, step), sites)
                member[queue[0]] = 1
                size, done = 1, 0
                while done < size:
                    i = queue[done]
                    done += 1
                    here = dot(spins[i], axis)
                    for slot in range(neighbours.shape[1]):
                        j = neighbours[i, slot]
                        if j < 0 or member[j] == 1:
                            continue
                        product = here * dot(spins[j], axis)
                        if not product > 0.0:
                            continue
                        direction = slot >> 1
                        origin = i if slot & 1 == 0 else j
                        w0, w1, w2, w3 = block(key, _BOND, origin, number << 3 | direction >> 1, replica, step)
                        chance = unit(w0, w1) if direction & 1 == 0 else unit(w2, w3)
                        if chance < 1.0 - exp_of(-(strength * product)):
                            member[j] = 1
                            queue[size] = j
                            size += 1
                for k in range(size):
                    member[queue[k]] = 0
                    reflect(spins, axis, queue[k])
                tally[index] += size
            measure_when_due(field, neighbours, width, index, t + 1, every, sums)

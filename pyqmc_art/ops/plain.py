"""The hot loops in plain Python: the reference, slow and obviously right, and (under njit) the Numba fallback in one.

Every function here runs unchanged in the interpreter and in Numba's nopython mode. Random words are explicit uint64
throughout: a mixed operation would turn into float64 in Numba, and a product of full words would wrap silently, so
products are taken of 32-bit halves only.

The arguments every kernel takes, in this order:

``field`` (batch, sites); ``neighbours`` (sites, 2 * directions), forward, backward, direction by direction, -1 absent;
``rungs``, ``q`` (0: Ising), ``key`` (uint64), ``first_replica``, ``first_step``, ``steps``, ``every``,
``sums`` (steps // every, batch, 2, or 4 or 5 with cluster moments), int64, or an empty array for no measurements;
``tally`` (batch), int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_SITE, _BOND, _FLIP, _SEED, _EXCHANGE = 0, 1, 2, 3, 4

Words = Any  # uint64, in the interpreter a NumPy scalar
Array = Any


def block(
    key: Words, purpose: int, index: int, number: int, replica: int, step: int
) -> tuple[Words, Words, Words, Words]:
    """One Philox4x32-10 block: four 32-bit words, each in a uint64."""
    c0 = np.uint64(index) & _LOW
    c1 = np.uint64(replica) & _LOW
    c2 = np.uint64(step) & _LOW
    c3 = np.uint64(purpose << 24 | number)
    k0 = key & _LOW
    k1 = key >> _HALF
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0 = (p1 >> _HALF) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _HALF) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


def draw(key: Words, purpose: int, index: int, number: int, half: int, replica: int, step: int) -> Words:
    """Uniform integer below 2^63 from one half of a block."""
    w0, w1, w2, w3 = block(key, purpose, index, number, replica, step)
    if half == 0:
        return (w0 | w1 << _HALF) >> _ONE
    return (w2 | w3 << _HALF) >> _ONE


def scaled(value: Words, n: Any) -> Any:
    """Uniform integer below n from a draw below 2^63: the high word of 2 value n."""
    a0, a1 = value << _ONE & _LOW, value >> np.uint64(31)
    b0, b1 = np.uint64(n) & _LOW, np.uint64(n) >> _HALF
    middle = (a0 * b0 >> _HALF) + (a1 * b0 & _LOW) + (a0 * b1 & _LOW)
    return np.int64(a1 * b1 + (a1 * b0 >> _HALF) + (a0 * b1 >> _HALF) + (middle >> _HALF))


def site_draw(key: Words, site: int, number: int, replica: int, step: int) -> Words:
    """The draw of a site: half (site >> 1) & 1 of block site >> 2, numbered by the parity of the site."""
    return draw(key, _SITE, site >> 2, number << 1 | site & 1, site >> 1 & 1, replica, step)


def other_colour(old: int, q: int, value: Words) -> Any:
    """Another colour than ``old``, uniformly."""
    return (old + 1 + scaled(value, q - 1)) % q


def measure(field: Array, neighbours: Array, q: int) -> tuple[int, int]:
    """Equal bonds and magnetization (Ising: sum of the spins; Potts: sites of the commonest colour) of one field."""
    sites = neighbours.shape[0]
    equal = 0
    for i in range(sites):
        for k in range(0, neighbours.shape[1], 2):
            j = neighbours[i, k]
            if j >= 0 and field[i] == field[j]:
                equal += 1
    if q == 0:
        magnetization = 0
        for i in range(sites):
            magnetization += int(field[i])
        return equal, magnetization
    count = np.zeros(q, np.int64)
    for i in range(sites):
        count[field[i]] += 1
    return equal, int(count.max())


def measure_when_due(field: Array, neighbours: Array, q: int, index: int, done: int, every: int, sums: Array) -> None:
    """Measure field ``index`` of the batch after step ``done`` (counted from 1) when it is due."""
    if sums.size > 0 and done % every == 0:
        equal, magnetization = measure(field[index], neighbours, q)
        sums[done // every - 1, index, 0] = equal
        sums[done // every - 1, index, 1] = magnetization


def flip_spin(field: Array, neighbours: Array, i: int, z: int, table: Array, value: Words) -> int:
    """Flip spin i with probability table[(s > 0)(2 z + 1) + sum + z]; return whether it flipped."""
    total = 0
    for j in neighbours[i]:
        if j >= 0:
            total += int(field[j])
    row = 2 * z + 1 if field[i] > 0 else 0
    if value < table[row + total + z]:
        field[i] = -field[i]
        return 1
    return 0


def count_equal(field: Array, neighbours: Array, i: int, colour: int) -> int:
    """Neighbours of site i that have a colour."""
    n = 0
    for j in neighbours[i]:
        if j >= 0 and field[j] == colour:
            n += 1
    return n


def draw_colour(field: Array, neighbours: Array, i: int, q: int, table: Array, value: Words) -> int:
    """Heat bath: draw a colour with integer weight table[equal neighbours]."""
    total = _ZERO
    for colour in range(q):
        total += table[count_equal(field, neighbours, i, colour)]
    target = np.uint64(scaled(value, total))
    for colour in range(q):
        weight = table[count_equal(field, neighbours, i, colour)]
        if target < weight:
            return colour
        target -= weight
    return q - 1


def local_steps(
    field: Array,
    neighbours: Array,
    rungs: int,
    q: int,
    key: Words,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: Array,
    tally: Array,
    colour_of_site: Array,
    colours: int,
    z: int,
    rule: int,
    table: Array,
) -> None:
    """Coloured sweeps; rule 0 Ising, 1 Potts Metropolis, 2 Potts heat bath; row k of ``table`` belongs to rung k."""
    for index in range(field.shape[0]):
        spins = field[index]
        own = table[index % rungs]
        for t in range(steps):
            step = first_step + t
            replica = first_replica + index
            for colour in range(colours):
                for i in range(spins.shape[0]):
                    if colour_of_site[i] != colour:
                        continue
                    value = site_draw(key, i, 0, replica, step)
                    if rule == 0:
                        tally[index] += flip_spin(spins, neighbours, i, z, own, value)
                    elif rule == 1:
                        old = int(spins[i])
                        new = other_colour(old, q, site_draw(key, i, 1, replica, step))
                        gain = count_equal(spins, neighbours, i, new) - count_equal(spins, neighbours, i, old)
                        if value < own[gain + z]:
                            spins[i] = new
                            tally[index] += 1
                    else:
                        drawn = draw_colour(spins, neighbours, i, q, own, value)
                        if drawn != spins[i]:
                            tally[index] += 1
                        spins[i] = drawn
            measure_when_due(field, neighbours, q, index, t + 1, every, sums)


def exchange_steps(
    field: Array,
    neighbours: Array,
    rungs: int,
    q: int,
    key: Words,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: Array,
    tally: Array,
    z: int,
    table: Array,
    reach: int,
) -> None:
    """Attempt as many pair exchanges as there are sites; ``reach`` 0 neighbours, 1 any two sites, 2 in turn."""
    sites, slots = neighbours.shape
    for index in range(field.shape[0]):
        spins = field[index]
        own = table[index % rungs]
        for t in range(steps):
            for attempt in range(sites):
                w0, w1, w2, w3 = block(key, _EXCHANGE, attempt, 0, first_replica + index, first_step + t)
                i = np.int64(w0 * np.uint64(sites) >> _HALF)
                if reach == 0 or (reach == 2 and attempt & 1 == 1):
                    j = np.int64(neighbours[i, np.int64(w1 * np.uint64(slots) >> _HALF)])
                else:
                    j = np.int64(w1 * np.uint64(sites) >> _HALF)
                if j < 0 or spins[i] == spins[j]:
                    continue
                cost = 0
                for k in range(slots):
                    if neighbours[i, k] >= 0 and neighbours[i, k] != j:
                        cost += int(spins[i]) * int(spins[neighbours[i, k]])
                    if neighbours[j, k] >= 0 and neighbours[j, k] != i:
                        cost += int(spins[j]) * int(spins[neighbours[j, k]])
                if (w2 | w3 << _HALF) >> _ONE < own[cost + 2 * z]:
                    swap = spins[i]
                    spins[i] = spins[j]
                    spins[j] = swap
                    tally[index] += 1
            measure_when_due(field, neighbours, q, index, t + 1, every, sums)


def measure_fields(field: Array, neighbours: Array, q: int, sums: Array) -> None:
    """Measure every field of the batch as it is; ``sums`` has shape (1, batch, 2)."""
    for index in range(field.shape[0]):
        measure_when_due(field, neighbours, q, index, 1, 1, sums)

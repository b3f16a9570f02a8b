"""Cluster updates in plain Python: bonds -> labels -> flips (Swendsen and Wang), and single clusters (Wolff).

The same rules and arguments as in :mod:`pyqmc_art.ops.plain`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block, draw, measure_when_due, other_colour, scaled

_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_GHOST = 7
_TIE = 2
_CERTAIN = np.uint64(1 << 63)
_DIGITS = np.uint64((1 << 31) - 1)
_BOND, _FLIP, _SEED = 1, 2, 3
_LARGE = 1 << 26  # a squared magnetization; 1024 fourth powers of smaller ones add up to a whole number below 2^63

Words = Any  # uint64, in the interpreter a NumPy scalar
Array = Any


def happens(key: Words, number: int, site: int, probability: Words, replica: int, step: int) -> bool:
    """Whether a site's number below 2^63 is below ``probability``.

    Its digits are spread over bit planes, the highest first: digit 2 k + b is bit site % 64 of half b of block
    site // 64, drawn under ``number`` and k.
    """
    if probability >= _CERTAIN:
        return True
    digits = probability << _ONE
    bit = np.uint64(site & 31)
    for k in range(32):
        if digits == _ZERO:
            return False
        w0, w1, w2, w3 = block(key, _BOND, site >> 6, number << 5 | k, replica, step)
        for word in (w0, w2) if site & 32 == 0 else (w1, w3):
            digit = word >> bit & _ONE
            wanted = digits >> np.uint64(63)
            if digit != wanted:
                return bool(digit < wanted)
            digits = digits << _ONE
    return False


def turns(key: Words, site: int, replica: int, step: int) -> bool:
    """Whether the cluster named by a site turns: bit site % 128 of block site // 128."""
    words = block(key, _FLIP, site >> 7, 0, replica, step)
    return bool(words[site >> 5 & 3] >> np.uint64(site & 31) & _ONE)


def colour_of(key: Words, site: int, q: int, replica: int, step: int) -> Any:
    """The colour of the cluster named by a site: from 32 upper and 31 lower digits in word site % 4 of two blocks."""
    upper = block(key, _FLIP, site >> 2, 0, replica, step)[site & 3]
    lower = block(key, _FLIP, site >> 2, 1, replica, step)[site & 3]
    return scaled(upper << np.uint64(31) | lower >> _ONE, q)


def root_of(parent: Array, i: int) -> int:
    """Smallest site of the cluster of i."""
    while parent[i] != i:
        i = parent[i]
    return i


def add_site(spin: Any, i: int, extents: Array, phases: Array, modes: Array) -> None:
    """Add a spin times its phases to the modes of its cluster: two numbers to each axis, the last axis first."""
    rest = i
    for back in range(extents.shape[0]):
        axis = extents.shape[0] - 1 - back
        x = rest % extents[axis]
        rest //= extents[axis]
        modes[2 * back] += spin * np.int64(phases[axis, x, 0])
        modes[2 * back + 1] += spin * np.int64(phases[axis, x, 1])


def add_cluster_moments(moment: Array, modes: Array, sums: Array) -> None:
    """Add the squares of the clusters' magnetizations to column 2; the fourth powers, as a float64, to column 3.

    Where there is a column 4, the squares of their modes, as a float64, go there. Floats are added in blocks of 1024
    sites, number by number, and then the blocks, so that every backend rounds alike; fourth powers that fit are whole
    numbers.
    """
    totals = np.zeros(2)
    for first in range(0, moment.shape[0], 1024):
        small, large = 0, 0.0
        squares = np.zeros(modes.shape[1])
        for i in range(first, min(first + 1024, moment.shape[0])):
            square = moment[i] * moment[i]
            sums[2] += square
            if square < _LARGE:
                small += square * square
            else:
                large += float(square) * float(square)
            for k in range(modes.shape[1]):
                squares[k] += float(modes[i, k]) * float(modes[i, k])
        totals[0] += float(small) + large
        block_total = 0.0
        for k in range(modes.shape[1]):
            block_total += squares[k]
        totals[1] += block_total
    sums[3:] = totals.view(np.int64)[: sums.shape[0] - 3]


def add_line_pairs(spins: Array, parent: Array, wraps: bool, width: int, lines: int, step: int, counts: Array) -> None:
    """Add products of spins of one cluster, at each distance along the last axis, on the lines of a step."""
    rows = spins.shape[0] // width
    for line in range(lines):
        first = (line * rows // lines + step) % rows * width
        for x in range(width):
            for distance in range(counts.shape[0]):
                y = x + distance
                if y >= width and not wraps:
                    break
                i, j = first + x, first + y % width
                if root_of(parent, i) == root_of(parent, j):
                    counts[distance] += int(spins[i]) * int(spins[j])


def swendsen_wang_steps(
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
    unequal: bool,
    bond: Array,
    ghost: Array,
    ghost_spin: int,
    phases: Array,
    lines: int,
    distances: int,
    of_fields: bool,
    extents: Array,
    wraps: bool,
) -> None:
    """Swendsen-Wang: bonds, then labels, then one flip or colour for each cluster not bound to the ghost spin."""
    sites = field.shape[1]
    parent = np.zeros(sites, np.int64)
    held = np.zeros(sites, np.int64)
    moment = np.zeros(sites, np.int64)
    modes = np.zeros((sites, 2 * extents.shape[0]), np.int64)
    columns = sums.shape[2] if sums.size > 0 else 0
    of_clusters = columns - distances if columns > 5 else columns  # the others count pairs
    for index in range(field.shape[0]):
        spins = field[index]
        rung = index % rungs
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            for i in range(sites):
                parent[i] = i
                held[i] = 0
            for i in range(sites):
                for direction in range(neighbours.shape[1] // 2):
                    j = neighbours[i, 2 * direction]
                    if j < 0 or (spins[i] == spins[j]) == unequal:
                        continue
                    if happens(key, direction, i, bond[rung], replica, step):
                        a, b = root_of(parent, i), root_of(parent, j)
                        parent[max(a, b)] = min(a, b)
            for i in range(sites):
                if spins[i] == ghost_spin and happens(key, _GHOST, i, ghost[rung], replica, step):
                    held[root_of(parent, i)] = 1
            if of_clusters > 2 and (t + 1) % every == 0:
                row = sums[(t + 1) // every - 1, index]
                moment[:] = 0
                modes[:] = 0
                for i in range(sites):
                    root = root_of(parent, i)
                    moment[root] += spins[i]
                    if of_clusters == 5:
                        add_site(np.int64(spins[i]), i, extents, phases, modes[root])
                add_cluster_moments(moment, modes, row[:of_clusters])
                add_line_pairs(spins, parent, wraps, extents[-1], lines, step, row[of_clusters:])
            for i in range(sites):
                root = root_of(parent, i)
                if root == i:
                    tally[index] += 1
                if q > 0:
                    spins[i] = colour_of(key, i, q, replica, step) if root == i else spins[root]
                elif held[root] == 0 and turns(key, root, replica, step):
                    spins[i] = -spins[i]
            if of_fields:
                measure_when_due(field, neighbours, q, index, t + 1, every, sums)


def is_active(key: Words, number: int, site: int, slot: int, probability: Words, replica: int, step: int) -> bool:
    """Whether the bond in a slot of a member is active: its number below 2^63 is below ``probability``.

    The upper 32 digits are a word of the member's block, the other 31 are only drawn where those decide nothing.
    """
    part, w = slot >> 2, slot & 3
    upper = block(key, _BOND, site, number << 3 | part, replica, step)[w]
    bound = probability >> np.uint64(31)
    if upper != bound:
        return bool(upper < bound)
    lower = block(key, _BOND, site, number << 3 | _TIE | part, replica, step)[w] >> _ONE
    return bool(lower < probability & _DIGITS)


def wolff_steps(
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
    unequal: bool,
    bond: Array,
    ghost: Array,
    ghost_spin: int,
    clusters: int,
) -> None:
    """Wolff: ``clusters`` single clusters a step, each grown from a random site; one bound to the ghost spin stays."""
    sites = field.shape[1]
    queue = np.zeros(sites, np.int64)
    member = np.zeros(sites, np.int64)
    for index in range(field.shape[0]):
        spins = field[index]
        rung = index % rungs
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            shares = np.zeros(1)
            for number in range(clusters):
                seed = scaled(draw(key, _SEED, number, 0, 0, replica, step), sites)
                queue[0] = seed
                member[seed] = 1
                size, done, held = 1, 0, False
                while done < size:
                    i = queue[done]
                    done += 1
                    if ghost[rung] > _ZERO and spins[i] == ghost_spin:
                        value = draw(key, _BOND, i, number << 3 | _GHOST, 0, replica, step)
                        held = held or value < ghost[rung]
                    for slot in range(neighbours.shape[1]):
                        j = neighbours[i, slot]
                        if j < 0 or member[j] == 1 or (spins[i] == spins[j]) == unequal:
                            continue
                        if is_active(key, number, i, slot, bond[rung], replica, step):
                            member[j] = 1
                            queue[size] = j
                            size += 1
                turn = other_colour(0, q, draw(key, _SEED, number, 0, 1, replica, step)) if q > 0 else 0
                for k in range(size):
                    i = queue[k]
                    member[i] = 0
                    if not held:
                        spins[i] = -spins[i] if q == 0 else (int(spins[i]) + turn) % q
                if not held:
                    tally[index] += size
                if sums.size > 0 and sums.shape[2] > 2:
                    total = 0 if unequal else size
                    for k in range(size if unequal else 0):
                        total += int(spins[queue[k]])
                    shares[0] += float(total * total) / float(size)
            if sums.size > 0 and sums.shape[2] > 2 and (t + 1) % every == 0:
                sums[(t + 1) // every - 1, index, 2] = shares.view(np.int64)[0]
            measure_when_due(field, neighbours, q, index, t + 1, every, sums)

"""Heat-bath sweeps of spin glasses in plain Python: the reference, and (under njit) the Numba fallback in one.

What is said in :mod:`pyqmc_art.ops.plain` and :mod:`pyqmc_art.ops.multispin` holds here too. A field holds two copies
at each site. Copy c of replica r, counted from the first replica of all, is bit (2 r + c) % 64 of word (2 r + c) // 64
of its rung. The sites of a colour are taken eight at a time, in their order; a generator, seeded by Philox for these
eight sites and the word, gives twelve words of random digits for each of them, the lowest digits first. A spin whose
twelve digits are those of its T takes 51 more from a Philox block of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqmc_art.ops.multispin import choose_digit, next_word, read_digits, settle_alone
from pyqmc_art.ops.plain import block

_HALF = np.uint64(32)
_SITE = 0
_TOGETHER, _DIGITS = 12, 63
_SITES_OF_SEED = 8

Array = Any
Words = Any


def entry_of(field: Array, neighbours: Array, negative: Array, uniform: bool, i: int, copy: int) -> tuple[Any, bool]:
    """Which entry of its row belongs to a spin, and whether the entry is the probability of -1 instead of +1."""
    entry = 0
    if uniform:
        for k in range(neighbours.shape[1]):
            entry += 1 if (field[neighbours[i, k], copy] > 0) != (negative[i, k] != 0) else 0
        return entry, False
    first = field[neighbours[i, 0], copy] > 0
    for k in range(1, neighbours.shape[1]):
        if (field[neighbours[i, k], copy] > 0) != first:
            entry |= 1 << (k - 1)
    return entry, first == (negative[i, 0] != 0)


def update_site(
    field: Array,
    tables: tuple[Array, Array, bool, Array],
    key: Words,
    bits: tuple[int, int, int],
    rung: int,
    rungs: int,
    word: int,
    step: int,
    i: int,
    random: Array,
) -> int:
    """Update one site of some copies of a word; return how many changed.

    ``bits`` from which copy to which, counted from the first replica of all, and the replica at the beginning of
    ``field`` (batch, sites, 2); ``tables`` neighbours, negative, uniform, and the row
    of thresholds of this site.
    """
    neighbours, negative, uniform, row = tables
    changed = 0
    for position in range(bits[0], bits[1]):
        bit = position % 64
        own = field[(position // 2 - bits[2]) * rungs + rung]
        entry, down = entry_of(own, neighbours, negative, uniform, i, position % 2)
        t = row[entry]
        mine = read_digits(random, _TOGETHER, bit)
        if mine != 0:
            up = choose_digit(mine << _DIGITS - _TOGETHER, t, 0)
        else:
            up = settle_alone(key, word * rungs + rung, step, i, 1 + bit, t, _TOGETHER)
        spin = 1 if up != down else -1
        if own[i, position % 2] != spin:
            own[i, position % 2] = spin
            changed += 1
    return changed


def measure(field: Array, bonds: Array, sums: Array) -> None:
    """Couplings of satisfied bonds minus those of the others over both copies, and the sum of the copies' products."""
    for b in range(len(bonds)):
        i, j = bonds[b, 0], bonds[b, 1]
        for copy in range(2):
            sums[0] += np.int64(bonds[b, 2]) * field[i, copy] * field[j, copy]
    for i in range(len(field)):
        sums[1] += np.int64(field[i, 0]) * field[i, 1]


def glass_steps(
    field: Array,
    key: Words,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: Array,
    tally: Array,
    order: Array,
    starts: Array,
    neighbours: Array,
    negative: Array,
    uniform: bool,
    row: Array,
    table: Array,
    bonds: Array,
) -> None:
    """Heat-bath sweeps; ``field`` (batch, sites, 2), replica r and rung k at index r * rungs + k."""
    rungs = len(table)
    begin, end = 2 * first_replica, 2 * (first_replica + len(field) // rungs)
    state = np.zeros(2, np.uint64)
    random = np.zeros(_TOGETHER, np.uint64)
    for t in range(steps):
        for rung in range(rungs):
            for word in range(begin // 64, (end + 63) // 64):
                bits = (max(begin, 64 * word), min(end, 64 * word + 64), first_replica)
                seed = 0
                for colour in range(len(starts) - 1):
                    for k in range(starts[colour], starts[colour + 1]):
                        if (k - starts[colour]) % _SITES_OF_SEED == 0:
                            w0, w1, w2, w3 = block(key, _SITE, seed, 0, word * rungs + rung, first_step + t)
                            state[0] = w0 | w1 << _HALF
                            state[1] = w2 | w3 << _HALF
                            seed += 1
                        for n in range(_TOGETHER):
                            random[n] = next_word(state)
                        i = order[k]
                        tables = (neighbours, negative, uniform, table[rung, row[i]])
                        tally[rung] += update_site(
                            field, tables, key, bits, rung, rungs, word, first_step + t, i, random
                        )
        if sums.size > 0 and (t + 1) % every == 0:
            for index in range(len(field)):
                measure(field[index], bonds, sums[(t + 1) // every - 1, index])

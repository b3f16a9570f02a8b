"""Sweeps of Ising spins that share random words, in plain Python: the reference of the compiled multi-spin sweeps.

What is said in :mod:`pyqmc_art.ops.plain` holds here too. A spin flips when u < T, where T / 2^63 is its probability
and u a number of 63 random binary digits. The digits come 64 spins at a time:

* The sites of one colour in a row are numbered j = x // 2; 64 of them are a word, bit j % 64 of word j // 64, so that
  each row starts a word of its own. Where rows are short, a plane (all of a square lattice, the last two axes of a
  cubic one) is divided into equal strips, as many as divide its rows and as a word can hold rows of: the same row of
  each strip, one after the other, is a word. The words of a plane are numbered row by row.
* Word w belongs to lane w % 8 of block w // 32, and there to group w // 8 % 4. A lane draws from a generator of its
  own, seeded by Philox: first seven words of random bits for each group in turn, for the upper seven digits.
* Spins of the lane whose digits are still those of their T go on with words that all groups share, eight digits at a
  time, each spin reading its own bit. Where two of them stand in the same bit, the spin of the later group takes its
  further digits from a Philox block of its own.

In each batch of digits the lowest comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block, draw, measure_when_due

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_ALL = np.uint64(64)
_SITE = 0
_LANES, _GROUPS = 8, 4
_FIRST, _MORE, _DIGITS = 7, 8, 63

Array = Any
Words = Any


def add_words(a: Words, b: Words) -> Words:
    """Sum modulo 2^64, by halves: the interpreter would complain about an overflow."""
    low = (a & _LOW) + (b & _LOW)
    high = (a >> _HALF) + (b >> _HALF) + (low >> _HALF)
    return high << _HALF | low & _LOW


def rotate(word: Words, left: int) -> Words:
    """Word rotated to the left."""
    return word << np.uint64(left) | word >> _ALL - np.uint64(left)


def next_word(state: Array) -> Words:
    """One word of xoroshiro128++ (Blackman, Vigna, ACM Trans. Math. Softw. 47 (2021) 36)."""
    s0, s1 = state[0], state[1]
    out = add_words(rotate(add_words(s0, s1), 17), s0)
    s1 = s1 ^ s0
    state[0] = rotate(s0, 49) ^ s1 ^ s1 << np.uint64(21)
    state[1] = rotate(s1, 28)
    return out


def threshold(field: Array, neighbours: Array, i: int, z: int, table: Array) -> Words:
    """Entry table[(s > 0)(2 z + 1) + sum + z] of spin i."""
    total = 0
    for j in neighbours[i]:
        total += int(field[j])
    return table[(2 * z + 1 if field[i] > 0 else 0) + total + z]


def read_digits(words: Array, count: int, bit: int) -> Any:
    """The number whose binary digits stand in one bit of the words, the lowest in the first word."""
    value: Any = 0
    for k in range(count):
        value |= np.int64(words[k] >> np.uint64(bit) & _ONE) << k
    return value


def update_lane(
    field: Array,
    neighbours: Array,
    z: int,
    table: Array,
    key: Words,
    replica: int,
    step: int,
    colour: int,
    extents: tuple[int, int, int, int],
    place: tuple[int, int, int],
    state: Array,
    words: Array,
    site_of: Array,
    rest_of: Array,
) -> int:
    """Update the spins of one lane; return how many flipped.

    ``extents`` planes, strips, rows of a strip, half the width; ``place`` plane, block, lane; ``words`` (8) scratch;
    ``site_of`` and ``rest_of`` (64): the open spin in each bit, -1 for none, and its threshold.
    """
    _, strips, rows, half = extents
    plane, number, lane = place
    in_row = (half + 63) // 64
    first = number * _GROUPS * _LANES
    groups = min(_GROUPS, (rows * in_row - first + _LANES - 1) // _LANES)
    flipped = 0
    site_of[:] = -1
    for group in range(groups):
        for k in range(_FIRST):
            words[k] = next_word(state)
        w = first + group * _LANES + lane
        if w >= rows * in_row:
            continue
        row, column = w // in_row, w % in_row
        for bit in range(min(64, strips * half - 64 * column)):
            y = bit // half * rows + row
            x = 2 * (64 * column + bit % half) + (plane + y + colour) % 2
            i = (plane * strips * rows + y) * 2 * half + x
            t = threshold(field, neighbours, i, z, table)
            mine, other = read_digits(words, _FIRST, bit), np.int64(t >> np.uint64(_DIGITS - _FIRST))
            flip = mine < other
            if mine == other:
                if site_of[bit] < 0:
                    site_of[bit] = i
                    rest_of[bit] = t
                else:
                    value = draw(key, _SITE, plane * rows * in_row + w, bit << 2 | 2 | colour, 0, replica, step)
                    flip = value >> np.uint64(_FIRST) < t & (_ONE << np.uint64(_DIGITS - _FIRST)) - _ONE
            if flip:
                field[i] = -field[i]
                flipped += 1
    for done in range(_FIRST, _DIGITS, _MORE):
        if site_of.max() < 0:
            break
        for k in range(_MORE):
            words[k] = next_word(state)
        for bit in range(64):
            i = site_of[bit]
            if i < 0:
                continue
            mine = read_digits(words, _MORE, bit)
            other = np.int64(rest_of[bit] >> np.uint64(_DIGITS - _MORE - done) & np.uint64(255))
            if mine < other:
                field[i] = -field[i]
                flipped += 1
            if mine != other:
                site_of[bit] = -1
    return flipped


def count_strips(rows: int, half: int) -> int:
    """How many equal strips of a plane share words: the largest divisor of its rows whose rows fit into a word.

    Examples
    --------
    >>> count_strips(64, 32), count_strips(10, 8), count_strips(64, 33)
    (2, 5, 1)
    """
    return max(n for n in range(1, max(1, 64 // half) + 1) if rows % n == 0)


def multispin_steps(
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
    extents: tuple[int, int, int, int],
    z: int,
    table: Array,
) -> None:
    """Checkerboard sweeps of Ising spins; ``extents`` planes, strips, rows of a strip, half the width."""
    planes, _, rows, half = extents
    blocks = (rows * ((half + 63) // 64) + _GROUPS * _LANES - 1) // (_GROUPS * _LANES)
    state = np.zeros(2, np.uint64)
    words = np.zeros(_MORE, np.uint64)
    site_of = np.zeros(64, np.int64)
    rest_of = np.zeros(64, np.uint64)
    for index in range(field.shape[0]):
        replica = first_replica + index
        for t in range(steps):
            step = first_step + t
            for colour in range(2):
                for unit in range(planes * blocks):
                    for lane in range(_LANES):
                        w0, w1, w2, w3 = block(key, _SITE, unit * _LANES + lane, colour, replica, step)
                        state[0] = w0 | w1 << _HALF
                        state[1] = w2 | w3 << _HALF
                        tally[index] += update_lane(
                            field[index],
                            neighbours,
                            z,
                            table[index % rungs],
                            key,
                            replica,
                            step,
                            colour,
                            extents,
                            (unit // blocks, unit % blocks, lane),
                            state,
                            words,
                            site_of,
                            rest_of,
                        )
            measure_when_due(field, neighbours, q, index, t + 1, every, sums)

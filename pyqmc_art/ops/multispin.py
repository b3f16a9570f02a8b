"""Sweeps of Ising spins that share random words, in plain Python: the reference of the compiled multi-spin sweeps.

What is said in :mod:`pyqmc_art.ops.plain` holds here too. A spin flips with probability T / 2^63. A number x of 63
random binary digits chooses a digit of T, that of its own highest one, and the spin flips where this digit is 1: digit
k is chosen with probability 2^-k, so that all of them together are T. The digits come 64 spins at a time:

* The sites of one colour in a row are numbered j = x // 2; 64 of them are a word, bit j % 64 of word j // 64, so that
  each row starts a word of its own. Where rows are short, a plane (all of a square lattice, the last two axes of a
  cubic one) is divided into equal strips, as many as divide its rows and as a word can hold rows of: the same row of
  each strip, one after the other, is a word. The words of a plane are numbered row by row.
* Word w belongs to lane w % 8 of block w // 64, and there to group w // 8 % 8. A lane draws from a generator of its
  own, seeded by Philox. Four groups lie on top of each other: first come seven words of random bits for each of them
  in turn, for the upper seven digits.
* Spins of these four whose digits so far are 0 go on with eight words that they share, each spin reading its own bit.
  Where two of them stand in the same bit the spin of the earlier group has it.
* The others, and those whose eight digits are 0 as well, take the rest from a Philox block of their own.

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
_LANES, _GROUPS, _LAYERS = 8, 8, 4
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
    """One word of xoroshiro128+ (Blackman, Vigna, ACM Trans. Math. Softw. 47 (2021) 36)."""
    s0, s1 = state[0], state[1]
    out = add_words(s0, s1)
    s1 = s1 ^ s0
    state[0] = rotate(s0, 24) ^ s1 ^ s1 << np.uint64(16)
    state[1] = rotate(s1, 37)
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


def choose_digit(x: Any, t: Words, done: int) -> bool:
    """Digit of ``t`` that the highest one of ``x`` chooses; ``x`` has the digits behind the first ``done``."""
    k = _DIGITS - done - 1
    while x >> k == 0:
        k -= 1
    return bool((t >> np.uint64(k) & _ONE) != 0)


def settle_alone(key: Words, replica: int, step: int, word: int, number: int, t: Words, done: int) -> bool:
    """Whether a spin flips that has seen ``done`` digits, all of them 0."""
    x = np.int64(draw(key, _SITE, word, number, 0, replica, step) >> np.uint64(done))
    return x != 0 and choose_digit(x, t, done)


def update_layers(
    field: Array,
    neighbours: Array,
    z: int,
    table: Array,
    key: Words,
    replica: int,
    step: int,
    colour: int,
    extents: tuple[int, int, int, int],
    place: tuple[int, int],
    state: Array,
    words: Array,
    site_of: Array,
    rest_of: Array,
    word_of: Array,
) -> int:
    """Update the spins of one lane in up to four groups; return how many flipped.

    ``extents`` planes, strips, rows of a strip, half the width; ``place`` plane, word of the first group; ``words`` (8)
    scratch; ``site_of``, ``rest_of`` and ``word_of`` (64): the open spin in each bit, -1 for none, its threshold, its
    word.
    """
    plane, first = place
    _, strips, rows, half = extents
    in_row = (half + 63) // 64
    groups = min(_LAYERS, (rows * in_row - first // _LANES * _LANES + _LANES - 1) // _LANES)
    flipped = 0
    site_of[:] = -1
    for group in range(groups):
        for k in range(_FIRST):
            words[k] = next_word(state)
        w = first + group * _LANES
        if w >= rows * in_row:
            continue
        row, column = w // in_row, w % in_row
        for bit in range(min(64, strips * half - 64 * column)):
            y = bit // half * rows + row
            x = 2 * (64 * column + bit % half) + (plane + y + colour) % 2
            i = (plane * strips * rows + y) * 2 * half + x
            t = threshold(field, neighbours, i, z, table)
            flip = t >> np.uint64(_DIGITS) != 0
            mine = read_digits(words, _FIRST, bit)
            if mine != 0:
                flip = flip or choose_digit(mine << _DIGITS - _FIRST, t, 0)
            elif not flip and site_of[bit] < 0:
                site_of[bit], rest_of[bit], word_of[bit] = i, t, w
            elif not flip:
                number = bit << 2 | 2 | colour
                flip = settle_alone(key, replica, step, plane * rows * in_row + w, number, t, _FIRST)
            if flip:
                field[i] = -field[i]
                flipped += 1
    for k in range(_MORE):
        words[k] = next_word(state)
    for bit in range(64):
        i = site_of[bit]
        if i < 0:
            continue
        mine = read_digits(words, _MORE, bit)
        if mine != 0:
            flip = choose_digit(mine << _DIGITS - _FIRST - _MORE, rest_of[bit], _FIRST)
        else:
            word = plane * rows * in_row + word_of[bit]
            flip = settle_alone(key, replica, step, word, bit << 2 | 2 | colour, rest_of[bit], _FIRST + _MORE)
        if flip:
            field[i] = -field[i]
            flipped += 1
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
    word_of = np.zeros(64, np.int64)
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
                        for group in range(0, _GROUPS, _LAYERS):
                            first = unit % blocks * _GROUPS * _LANES + group * _LANES
                            if first >= rows * ((half + 63) // 64):
                                break
                            tally[index] += update_layers(
                                field[index],
                                neighbours,
                                z,
                                table[index % rungs],
                                key,
                                replica,
                                step,
                                colour,
                                extents,
                                (unit // blocks, first + lane),
                                state,
                                words,
                                site_of,
                                rest_of,
                                word_of,
                            )
            measure_when_due(field, neighbours, q, index, t + 1, every, sums)

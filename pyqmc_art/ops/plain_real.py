"""Random numbers and functions of them in plain Python: the formulas of ``csrc/core/real.hpp``, and the same bytes.

They use additions, products, quotients and square roots only, which are rounded alike everywhere; the logarithms, sines
and exponentials of two libraries are not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block

_ONE = np.uint64(1)
_HALF = np.uint64(32)
_DROPPED = np.uint64(12)
_ROUNDING = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to the nearest integer
_ROOT_HALF = 0.7071067811865476

Words = Any
Array = Any


def unit(w0: Words, w1: Words) -> float:
    """Uniform in [0, 1), a multiple of 2^-52, from two words of a block."""
    return float((w0 | w1 << _HALF) >> _DROPPED) * 2.220446049250313e-16


def log_of(x: float) -> float:
    """Natural logarithm of a positive number."""
    m, exponent = math.frexp(x)
    e = float(exponent)
    if m < _ROOT_HALF:
        m = m * 2.0
        e = e - 1.0
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    series = 1.0 / 21.0
    series = series * z + 1.0 / 19.0
    series = series * z + 1.0 / 17.0
    series = series * z + 1.0 / 15.0
    series = series * z + 1.0 / 13.0
    series = series * z + 1.0 / 11.0
    series = series * z + 1.0 / 9.0
    series = series * z + 1.0 / 7.0
    series = series * z + 1.0 / 5.0
    series = series * z + 1.0 / 3.0
    series = series * z + 1.0
    return e * 0.6931471805599453 + 2.0 * s * series


def exp_of(x: float) -> float:
    """exp(x) for x <= 700; what lies below -708 counts as -708."""
    bounded = -708.0 if x < -708.0 else x
    k = bounded * 1.4426950408889634 + _ROUNDING - _ROUNDING
    r = (bounded - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    series = 1.0 / 6227020800.0
    series = series * r + 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    series = series * r + 1.0
    return math.ldexp(series, int(k))


def circle_at(turns: float) -> tuple[float, float]:
    """Cosine and sine of 2 pi turns."""
    quarters = 4.0 * turns
    k = quarters + _ROUNDING - _ROUNDING
    x = (quarters - k) * 1.5707963267948966
    z = x * x
    s = 1.0 / 355687428096000.0
    s = s * z - 1.0 / 1307674368000.0
    s = s * z + 1.0 / 6227020800.0
    s = s * z - 1.0 / 39916800.0
    s = s * z + 1.0 / 362880.0
    s = s * z - 1.0 / 5040.0
    s = s * z + 1.0 / 120.0
    s = s * z - 1.0 / 6.0
    s = x + x * z * s
    c = -1.0 / 6402373705728000.0
    c = c * z + 1.0 / 20922789888000.0
    c = c * z - 1.0 / 87178291200.0
    c = c * z + 1.0 / 479001600.0
    c = c * z - 1.0 / 3628800.0
    c = c * z + 1.0 / 40320.0
    c = c * z - 1.0 / 720.0
    c = c * z + 1.0 / 24.0
    c = c * z - 0.5
    c = 1.0 + z * c
    quadrant = int(k) % 4
    if quadrant == 0:
        return c, s
    if quadrant == 1:
        return -s, c
    if quadrant == 2:
        return -c, -s
    return s, -c


def normals(key: Words, purpose: int, index: int, number: int, replica: int, step: int) -> tuple[float, float]:
    """Two independent standard normal numbers from one block, none but this (Box and Muller 1958)."""
    w0, w1, w2, w3 = block(key, purpose, index, number, replica, step)
    radius = math.sqrt(-2.0 * log_of(1.0 - unit(w0, w1)))
    cosine, sine = circle_at(unit(w2, w3))
    return radius * cosine, radius * sine


def lane_sum(values: Array, first: int, last: int) -> float:
    """Sum of values[first:last] in eight lanes, then pairs."""
    lane = np.zeros(8)
    for i in range(first, last):
        lane[(i - first) % 8] += values[i]
    return float(((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7])))


def compensated_sum(values: Array) -> float:
    """Neumaier's compensated sum."""
    total, lost = 0.0, 0.0
    for x in values:
        partial = total + x
        if abs(total) >= abs(x):
            lost += (total - partial) + x
        else:
            lost += (x - partial) + total
        total = partial
    return total + lost

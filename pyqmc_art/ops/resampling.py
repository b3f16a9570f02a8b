"""Antialiased resampling in plain Python: the reference and, under njit, the Numba fallback.

The arithmetic is Pillow's: weights of the filter stretched by the downscaling factor, normalized, rounded to 22 bits;
across the rows first, rounded to bytes, then down the columns. Of float32 the weights stay as they are.
Nothing here may be reassociated: the result is compared to the bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any

_HALF = 1 << 21
_ONE = 1 << 22


def support_of(kind: int) -> float:
    """Half the width of a filter at scale 1: box, bilinear, bicubic, lanczos."""
    if kind == 0:
        return 0.5
    return float(kind)


def sinc(x: float) -> float:
    """Sinus cardinalis of pi x."""
    if x == 0.0:
        return 1.0
    x = x * math.pi
    return math.sin(x) / x


def filter_value(kind: int, x: float) -> float:
    """Value of a filter: 0 box, 1 bilinear, 2 bicubic (Keys 1981 with a = -1/2), 3 Lanczos."""
    if kind == 0:
        return 1.0 if -0.5 < x <= 0.5 else 0.0
    if kind == 3:
        return sinc(x) * sinc(x / 3.0) if -3.0 <= x < 3.0 else 0.0
    x = abs(x)
    if kind == 1:
        return 1.0 - x if x < 1.0 else 0.0
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


def weigh_axis(kind: int, source: int, low: float, extent: float, size: int) -> tuple[Array, Array, Array]:
    """Taps of one axis: first source pixel, number of taps and normalized weights of each output pixel."""
    scale = extent / size
    stretch = max(scale, 1.0)
    support = support_of(kind) * stretch
    squeeze = 1.0 / stretch
    most = math.ceil(support) * 2 + 1
    start = np.zeros(size, np.int64)
    count = np.zeros(size, np.int64)
    weight = np.zeros((size, most), np.float64)
    for i in range(size):
        center = low + (i + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        stop = min(int(center + support + 0.5), source)
        total = 0.0
        for k in range(stop - first):
            weight[i, k] = filter_value(kind, (k + first - center + 0.5) * squeeze)
            total += weight[i, k]
        start[i] = first
        count[i] = stop - first
        if total != 0.0:
            for k in range(stop - first):
                weight[i, k] /= total
    return start, count, weight


def make_taps(kind: int, source: int, low: float, extent: float, size: int) -> tuple[Array, Array, Array]:
    """The same with weights rounded to integers, in units of 2^-22."""
    start, count, real = weigh_axis(kind, source, low, extent, size)
    weight = np.zeros(real.shape, np.int64)
    for i in range(size):
        for k in range(count[i]):
            w = real[i, k] * _ONE
            weight[i, k] = int(w - 0.5) if w < 0 else int(w + 0.5)
    return start, count, weight


def as_byte(total: int) -> int:
    """Round a sum in units of 2^-22 (half already added) and clip it."""
    return min(max(total >> 22, 0), 255)


def resample(picture: Array, boxes: Array, out: Array, kind: int) -> None:
    """Resample cuts of ``picture`` (h, w, c) by ``boxes`` (n, 4) into ``out`` (n, height, width, c)."""
    for n in range(boxes.shape[0]):
        # The difference of two float32 is taken in float32 before anything becomes double.
        across = float(np.float32(boxes[n, 2] - boxes[n, 0]))
        down = float(np.float32(boxes[n, 3] - boxes[n, 1]))
        x_start, x_count, x_weight = make_taps(kind, picture.shape[1], float(boxes[n, 0]), across, out.shape[2])
        y_start, y_count, y_weight = make_taps(kind, picture.shape[0], float(boxes[n, 1]), down, out.shape[1])
        first = y_start[0]
        last = int((y_start + y_count).max())
        rows = np.zeros((last - first, out.shape[2], out.shape[3]), np.uint8)
        for y in range(first, last):
            for x in range(out.shape[2]):
                for c in range(out.shape[3]):
                    total = _HALF
                    for k in range(x_count[x]):
                        total += x_weight[x, k] * int(picture[y, x_start[x] + k, c])
                    rows[y - first, x, c] = as_byte(total)
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                for c in range(out.shape[3]):
                    total = _HALF
                    for k in range(y_count[y]):
                        total += y_weight[y, k] * int(rows[y_start[y] - first + k, x, c])
                    out[n, y, x, c] = as_byte(total)


def resample_real(picture: Array, boxes: Array, out: Array, kind: int) -> None:
    """The same for float32: sums in double, tap by tap, rounded to float32 after each pass and never clipped."""
    for n in range(boxes.shape[0]):
        across = float(np.float32(boxes[n, 2] - boxes[n, 0]))
        down = float(np.float32(boxes[n, 3] - boxes[n, 1]))
        x_start, x_count, x_weight = weigh_axis(kind, picture.shape[1], float(boxes[n, 0]), across, out.shape[2])
        y_start, y_count, y_weight = weigh_axis(kind, picture.shape[0], float(boxes[n, 1]), down, out.shape[1])
        first = y_start[0]
        last = int((y_start + y_count).max())
        rows = np.zeros((last - first, out.shape[2], out.shape[3]), np.float32)
        for y in range(first, last):
            for x in range(out.shape[2]):
                for c in range(out.shape[3]):
                    total = 0.0
                    for k in range(x_count[x]):
                        total += float(picture[y, x_start[x] + k, c]) * x_weight[x, k]
                    rows[y - first, x, c] = total
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                for c in range(out.shape[3]):
                    total = 0.0
                    for k in range(y_count[y]):
                        total += float(rows[y_start[y] - first + k, x, c]) * y_weight[y, k]
                    out[n, y, x, c] = total

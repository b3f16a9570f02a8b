"""Standard normal numbers by the ziggurat in plain Python: the formulas of ``csrc/core/ziggurat.hpp``, the same bytes.

The area under exp(-x^2 / 2), x > 0, is covered by 1024 layers of equal area (Marsaglia, Tsang, J. Stat. Softw. 5 (2000)
8). A word of 64 random bits chooses a layer (10 bits), a sign (1 bit) and a place in the layer (52 bits). Places that
lie under the curve over the whole height of their layer need no more; the others are compared with the curve, and the
lowest layer goes on with the tail of the distribution.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.ops.plain import block
from pyqmc_art.ops.plain_real import exp_of, log_of, unit

LAYERS: Final = 1024
TAIL_BEGIN: Final = 4.038849846109505
LAYER_AREA: Final = 0.0012263246463530852
"""Where the tail begins, and the area of a layer: the only pair for which the last layer ends at height 1."""

_PLACES = 4503599627370496.0  # 2^52
_RETRY = 1 << 23

Words = Any


def build_layers() -> tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the tables of the layers.

    Layer k reaches to x_k: x_1 is where the tail begins, x_0 what the lowest layer would reach to if it were a
    rectangle, and x_1024 = 0.

    Returns
    -------
    places up to x_{k + 1}, the width of a place, and exp(-x_k^2 / 2), where layer k begins; the lowest begins at 0

    Examples
    --------
    >>> inside, width, height = build_layers()
    >>> bool(height[-2] < height[-1] == 1.0), int(inside[-1])
    (True, 0)
    """
    x, height = np.zeros(LAYERS + 1), np.zeros(LAYERS + 1)
    x[1] = TAIL_BEGIN
    height[1] = exp_of(-0.5 * (TAIL_BEGIN * TAIL_BEGIN))
    x[0] = LAYER_AREA / height[1]
    for k in range(1, LAYERS - 1):
        height[k + 1] = height[k] + LAYER_AREA / x[k]
        x[k + 1] = math.sqrt(-2.0 * log_of(float(height[k + 1])))
    height[LAYERS] = 1.0
    return (x[1:] / x[:-1] * _PLACES).astype(np.uint64), x[:-1] / _PLACES, height


_INSIDE, _WIDTH, _HEIGHT = build_layers()


def open_unit(w0: Words, w1: Words) -> float:
    """Uniform in (0, 1), however small, from two words of a block."""
    return (float((w0 | w1 << np.uint64(32)) >> np.uint64(1)) + 0.5) / 9223372036854775808.0


def normal_of(
    key: Words, purpose: int, index: int, number: int, half: int, replica: int, step: int, word: Words
) -> float:
    """The normal number of one half of the block (purpose, index, number), whose 64 bits are ``word``.

    Whoever is refused takes another block, number (attempt, half, number) with the topmost bit set; ``number`` is below
    2^12.
    """
    attempt = 0
    while True:
        layer = np.int64(word & np.uint64(LAYERS - 1))
        place = word >> np.uint64(12)
        x = float(place) * _WIDTH[layer]
        done = place < _INSIDE[layer]
        if not done:
            retry = _RETRY | (attempt & 1023) << 13 | half << 12 | number
            w0, w1, w2, w3 = block(key, purpose, index, retry, replica, step)
            if layer > 0:
                low, high = _HEIGHT[layer], _HEIGHT[layer + 1]
                done = low + unit(w0, w1) * (high - low) < exp_of(-0.5 * (x * x))
            else:
                # The tail (Marsaglia 1964): the same word again until an attempt succeeds.
                x = TAIL_BEGIN - log_of(open_unit(w0, w1)) / TAIL_BEGIN
                beyond = x - TAIL_BEGIN
                done = -2.0 * log_of(open_unit(w2, w3)) > beyond * beyond
        if done:
            return float(-x if word & np.uint64(LAYERS) else x)
        if layer > 0:
            word = w2 | w3 << np.uint64(32)
        attempt += 1


def normals(key: Words, purpose: int, index: int, number: int, replica: int, step: int) -> tuple[float, float]:
    """Two independent standard normal numbers from one block."""
    w0, w1, w2, w3 = block(key, purpose, index, number, replica, step)
    first = normal_of(key, purpose, index, number, 0, replica, step, w0 | w1 << np.uint64(32))
    return first, normal_of(key, purpose, index, number, 1, replica, step, w2 | w3 << np.uint64(32))

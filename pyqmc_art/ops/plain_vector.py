"""Unit vectors of O(n) in plain Python: drawing them, drawing one given its neighbours, and their sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyqmc_art.ops.plain import block
from pyqmc_art.ops.plain_real import log_of, unit
from pyqmc_art.ops.plain_scalar import sum_rows
from pyqmc_art.ops.ziggurat import normals

_SITE = 0
_ATTEMPTS = 64

Words = Any
Array = Any


def dot(a: Array, b: Array) -> float:
    """Scalar product, summed in order."""
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


def normals_at(key: Words, purpose: int, index: int, number: int, replica: int, step: int, out: Array) -> None:
    """Fill ``out`` with normal numbers from the blocks numbered ``number``, ``number`` + 1, ... of an index."""
    for k in range(0, len(out), 2):
        pair = normals(key, purpose, index, number + k // 2, replica, step)
        out[k] = pair[0]
        if k + 1 < len(out):
            out[k + 1] = pair[1]


def normalize(v: Array) -> None:
    """Divide a vector by its length."""
    length = math.sqrt(dot(v, v))
    for k in range(len(v)):
        v[k] = v[k] / length


def draw_vector(key: Words, site: int, replica: int, step: int, h: Array, out: Array) -> bool:
    """Draw a vector with density exp(h . s) (Wood 1994); whether an attempt was accepted."""
    n = len(h)
    strength, m = math.sqrt(dot(h, h)), float(n - 1)
    b = m / (2.0 * strength + math.sqrt(4.0 * strength * strength + m * m))
    x0 = (1.0 - b) / (1.0 + b)
    c = strength * x0 + m * log_of(1.0 - x0 * x0)
    blocks = (n + 1) // 2
    v = np.zeros(n)
    for attempt in range(_ATTEMPTS):
        number = attempt * (blocks + 1)
        normals_at(key, _SITE, site, number, replica, step, v)
        normalize(v)
        z = 0.5 * (1.0 + v[0])
        w = (1.0 - (1.0 + b) * z) / (1.0 - (1.0 - b) * z)
        w0, w1, _, _ = block(key, _SITE, site, number + blocks, replica, step)
        if strength * w + m * log_of(1.0 - x0 * w) - c < log_of(1.0 - unit(w0, w1)):
            continue
        across = math.sqrt(max(0.0, 1.0 - w * w))
        side = math.sqrt(dot(v[1:], v[1:]))
        out[0] = w
        for k in range(1, n):
            out[k] = across * (v[k] / side)
        if strength > 0.0:
            r = np.zeros(n)
            for k in range(n):
                r[k] = -(h[k] / strength)
            r[0] = r[0] + 1.0
            norm = dot(r, r)
            if norm > 1e-30:
                twice = 2.0 * dot(r, out) / norm
                for k in range(n):
                    out[k] = out[k] - twice * r[k]
        normalize(out)
        return True
    return False


def bond_products(field: Array, neighbours: Array, i: int) -> float:
    """Sum of s . s' over the forward bonds of one site."""
    total = 0.0
    for k in range(0, neighbours.shape[1], 2):
        j = neighbours[i, k]
        if j >= 0:
            total += dot(field[i], field[j])
    return total


def measure(field: Array, neighbours: Array, width: int, sums: Array) -> None:
    """Sum of s . s' over the bonds, and the components of the sum of s, of one field (sites, n)."""
    sites, n = field.shape
    products = np.zeros(sites)
    for i in range(sites):
        products[i] = bond_products(field, neighbours, i)
    sums[0] = sum_rows(products, width)
    for a in range(n):
        sums[1 + a] = sum_rows(field[:, a], width)

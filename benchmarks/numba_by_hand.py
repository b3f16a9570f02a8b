"""What a physicist writes in an afternoon: the 2D Ising model in Numba, periodic, each update as in a textbook.

Random numbers are Numba's own (a Mersenne twister); spins are int8 in an (L, M) array.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Spins = NDArray[np.int8]


@njit
def set_seed(seed: int) -> None:
    """Seed Numba's generator, which is not NumPy's."""
    np.random.seed(seed)


@njit
def sweep_metropolis(spins: Spins, beta: float, sweeps: int) -> int:
    """Checkerboard Metropolis; returns the spins updated."""
    rows, columns = spins.shape
    accept = np.array([math.exp(-2.0 * beta * max(k - 4, 0)) for k in range(9)])
    for _ in range(sweeps):
        for parity in range(2):
            for i in range(rows):
                above, below = spins[i - 1], spins[i + 1 if i + 1 < rows else 0]
                row = spins[i]
                for j in range((i + parity) & 1, columns, 2):
                    right = row[j + 1 if j + 1 < columns else 0]
                    cost = row[j] * (above[j] + below[j] + row[j - 1] + right)
                    if cost <= 0 or np.random.random() < accept[cost + 4]:
                        row[j] = -row[j]
    return sweeps * rows * columns


@njit
def find_root(parent: NDArray[np.int32], site: int) -> int:
    """Follow the pointers, halving the path."""
    while parent[site] != site:
        parent[site] = parent[parent[site]]
        site = parent[site]
    return site


@njit
def sweep_swendsen_wang(spins: Spins, beta: float, sweeps: int) -> int:
    """Bonds, union-find, a coin for each cluster; returns the sites updated."""
    rows, columns = spins.shape
    flat = spins.reshape(-1)
    bond = 1.0 - math.exp(-2.0 * beta)
    parent = np.empty(flat.size, np.int32)
    turn = np.empty(flat.size, np.int8)
    for _ in range(sweeps):
        for site in range(flat.size):
            parent[site] = site
        for i in range(rows):
            down = (i + 1 if i + 1 < rows else 0) * columns
            for j in range(columns):
                site = i * columns + j
                for other in (i * columns + (j + 1 if j + 1 < columns else 0), down + j):
                    if flat[site] == flat[other] and np.random.random() < bond:
                        a, b = find_root(parent, site), find_root(parent, other)
                        parent[max(a, b)] = min(a, b)
        for site in range(flat.size):
            turn[site] = 1 if np.random.random() < 0.5 else -1
        for site in range(flat.size):
            flat[site] *= turn[find_root(parent, site)]
    return sweeps * flat.size


@njit
def sweep_wolff(spins: Spins, beta: float, clusters: int) -> int:
    """Grow and turn single clusters; returns the spins turned."""
    rows, columns = spins.shape
    flat = spins.reshape(-1)
    bond = 1.0 - math.exp(-2.0 * beta)
    stack = np.empty(flat.size, np.int32)
    turned = 0
    for _ in range(clusters):
        seed = np.random.randint(flat.size)
        old = flat[seed]
        flat[seed] = -old
        stack[0] = seed
        waiting = 1
        while waiting > 0:
            waiting -= 1
            site = stack[waiting]
            turned += 1
            i, j = site // columns, site % columns
            up, down = (i if i > 0 else rows) - 1, i + 1 if i + 1 < rows else 0
            left, right = (j if j > 0 else columns) - 1, j + 1 if j + 1 < columns else 0
            for other in (i * columns + left, i * columns + right, up * columns + j, down * columns + j):
                if flat[other] == old and np.random.random() < bond:
                    flat[other] = -old
                    stack[waiting] = other
                    waiting += 1
    return turned

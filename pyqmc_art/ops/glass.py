"""Compiled loops of spin glasses: operation -> backend -> function; every backend writes the same bytes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.ops import plain_glass
from pyqmc_art.ops.jit import jitted

SLOTS = (4, 6)
"""How many neighbours the tables of a lattice may have room for."""

DIGITS = 12
"""Digits of a probability that the compiled loops compare for all copies at once."""


@dataclass(frozen=True)
class GlassTables:
    """The couplings of a spin glass, and what follows from them.

    Attributes
    ----------
    order, starts : the sites colour by colour, and where each colour starts, with the end
    neighbours : shape (sites, slots); a site that has fewer names itself, with strength 0
    negative : uint64 of the same shape, all ones where the coupling is negative; only that to neighbour 0 is looked
        at if not all couplings have one strength, for the rows know the others
    uniform : whether all couplings have one strength and every slot a neighbour. Then entry n of a row belongs to n
        neighbours that pull upwards. Else bit k of an entry tells whether neighbour k + 1 differs from neighbour 0, and
        the entry is the probability to go the way neighbour 0 pulls
    row : the row of the table for each site
    table : shape (rungs, rows, entries), integers below 2^63
    upper : shape (rungs, rows, DIGITS, functions): 8 n for four entries each, bit e % 4 of n being the binary digit
    bytes : shape (rungs, rows, 2, entries): of each entry the first eight binary digits, and the next four
    bonds : shape (bonds, 3): both sites, and the coupling in units
    """

    order: NDArray[np.int32]
    starts: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    negative: NDArray[np.uint64]
    uniform: bool
    row: NDArray[np.int32]
    table: NDArray[np.uint64]
    upper: NDArray[np.uint8]
    bytes: NDArray[np.uint8]
    bonds: NDArray[np.int32]


@dataclass(frozen=True)
class GlassBatch:
    """Fields with the steps to do on them and the place where measurements go.

    Attributes
    ----------
    field : int8, shape (batch, sites, 2), replica r and rung k at index r * rungs + k; changed in place
    key, first_replica, first_step : the random stream; first_replica counts replicas alone
    steps, every : how many steps, and after which of them to measure
    sums : int64, shape (steps // every, batch, 2): couplings of satisfied bonds minus those of the others, in units and
        over both copies, and the sum of the copies' products; an empty array measures nothing
    tally : int64, shape (rungs,): changed spins are added
    """

    tables: GlassTables
    field: NDArray[np.int8]
    key: int
    first_replica: int
    first_step: int
    steps: int
    every: int
    sums: NDArray[np.int64]
    tally: NDArray[np.int64]
    threads: int


class _Compiled:
    def __init__(self) -> None:
        self._core = importlib.import_module("pyqmc_art._core")

    def glass_steps(self, batch: GlassBatch) -> None:
        given = {**vars(batch), **vars(batch.tables)}
        del given["tables"]
        self._core.glass_steps(given.pop("field"), **given)


class _Plain:
    def __init__(self, loops: Any) -> None:
        self._loops = loops

    def glass_steps(self, batch: GlassBatch) -> None:
        t = batch.tables
        self._loops.glass_steps(
            batch.field,
            np.uint64(batch.key),
            batch.first_replica,
            batch.first_step,
            batch.steps,
            batch.every,
            batch.sums,
            batch.tally,
            t.order,
            t.starts,
            t.neighbours,
            t.negative,
            t.uniform,
            t.row,
            t.table,
            t.bonds,
        )


@cache
def operations(backend: str) -> Any:
    """Return the operations of a backend: glass_steps.

    Raises
    ------
    InputError
        If the backend has no operations for spin glasses.
    """
    if backend == "cpp":
        return _Compiled()
    if backend == "numba":
        return _Plain(jitted(plain_glass))
    if backend == "python":
        return _Plain(plain_glass)
    raise InputError(f"the backend {backend!r} has no kernels for spin glasses; use cpp, numba or python")

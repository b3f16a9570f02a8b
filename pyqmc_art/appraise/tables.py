"""One ensemble as judges see it: features of its members, which of them belong together, and in what order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.autocorrelation import gamma_method

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SEGMENTS: Final = 6
FEWEST_UNITS: Final = 12
"""Independent members of an ensemble below which nothing is said."""

LENGTH_IN_TAU: Final = 4.0
"""Measurements of a block in units of tau_int - 1/2: members this far apart count as independent."""


@dataclass(frozen=True, eq=False)
class Table:
    """Members of one ensemble.

    Attributes
    ----------
    name : of the ensemble
    views : what judges look at, by name: arrays whose first axis is the members
    units : number of the independent unit (a block of a chain, a work) that each member belongs to, shape (n,)
    segments : number of the part, 0 .. SEGMENTS - 1, that each member belongs to; no unit lies in two parts
    spoken : whether the member speaks for its unit when answers are counted; one of each unit does
    """

    name: str
    views: Mapping[str, NDArray[Any]]
    units: Integers
    segments: Integers
    spoken: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.units)

    @property
    def unit_count(self) -> int:
        """Number of independent units."""
        return int(np.unique(self.units).size)

    def take(self, chosen: NDArray[Any]) -> Table:
        """Some of the members."""
        views = {name: view[chosen] for name, view in self.views.items()}
        return Table(self.name, views, self.units[chosen], self.segments[chosen], self.spoken[chosen])


def check_units(table: Table) -> Table:
    """Return the table, or say that it has too few independent members.

    Raises
    ------
    InputError
        For fewer than ``FEWEST_UNITS`` of them, or fewer than one in each part.
    NumericalError
        When a view is not finite.
    """
    for view in table.views.values():
        if view.dtype.kind == "f" and not np.isfinite(view).all():
            raise NumericalError(f"{table.name} holds numbers that are not finite; check how it was made")
    if table.unit_count < FEWEST_UNITS or np.unique(table.segments).size < SEGMENTS:
        raise InputError(
            f"{table.name} has {table.unit_count} independent members (of {len(table)}; what is correlated counts "
            f"once); at least {FEWEST_UNITS} are needed to tell anything. Run longer, or add works"
        )
    return table


def find_block(series: Mapping[str, Floats]) -> tuple[int, float]:
    """Choose the length of blocks that are independent in all series, and the largest autocorrelation time.

    Parameters
    ----------
    series : name -> numbers of shape (measurements, replicas)

    Returns
    -------
    Measurements in a block, 1 for independent ones, and tau_int in measurements (1/2 for independent ones). A time
    counts only where it exceeds 1/2 by more than two of its errors.

    Examples
    --------
    >>> find_block({"noise": np.random.default_rng(1).normal(size=(1000, 2))})
    (1, 0.5)
    """
    slowest = 0.5
    for one in series.values():
        if len(one) < 8 or np.ptp(one) == 0:
            continue
        found = gamma_method(one)
        if found.tau_int is not None and found.tau_int - 2 * (found.tau_int_error or 0.0) > 0.5:
            slowest = max(slowest, found.tau_int)
    return max(1, math.ceil(LENGTH_IN_TAU * (slowest - 0.5))), slowest


def cut_chains(measurements: int, replicas: int, block: int) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Cut chains into blocks and these into parts of consecutive blocks.

    A chain may be in all parts, since its blocks are independent; a single block of a chain that is shorter than one
    is not. In the middle of each block stands the member that speaks for it.

    Returns
    -------
    units, segments and spoken of members in the order of an array of shape (measurements, replicas)

    Examples
    --------
    >>> units, segments, spoken = cut_chains(12, 1, 2)
    >>> units.tolist(), segments.tolist(), int(spoken.sum())
    ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], 6)
    """
    each = max(1, measurements // block)
    row = np.minimum(np.arange(measurements) * each // max(1, measurements), each - 1)
    units = row[:, None] * replicas + np.arange(replicas)
    # Blocks in their order in time, replicas beside each other: parts are cut of this order.
    order = units * SEGMENTS // (each * replicas)
    spoken = np.zeros(measurements, bool)
    for number in range(each):
        inside = np.flatnonzero(row == number)
        spoken[inside[len(inside) // 2]] = True
    return units.reshape(-1), order.reshape(-1), np.repeat(spoken, replicas)

"""Probabilities as integers: the tables every backend compares its draws with.

An event of probability p happens when a uniform integer below 2^63 is below round(2^63 p). The integers are computed
here, once, when a kernel is constructed: two implementations of exp() differ in the last place, integers do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.actions import Ising, Potts

ONE: Final = 1 << 63
"""The integer of probability 1."""

LARGEST_UPHILL_ACCEPTANCE: Final = 15 / 16
"""Metropolis acceptance that no change which costs something, or nothing, exceeds.

With 1 the checkerboard sweep would be deterministic wherever no site feels a field: at beta = 0, but also on stripes
such as ++-- along a diagonal, which it would carry round for ever; the chain would be reducible. So where exp(-|cost|)
is larger than this, both a change and its reverse are accepted by this factor less often: the factor depends on the
modulus of the cost only, detailed balance stays, and rounding of a cost that should be zero does no harm.
"""

_HEAT_BATH_SCALE: Final = 1 << 48  # weights of up to 2^15 colours sum to at most 2^63

Table: TypeAlias = NDArray[np.uint64]


def integer_probability(p: float) -> int:
    """Return round(2^63 p) for p in [0, 1].

    Examples
    --------
    >>> integer_probability(0.5) == 2**62
    True
    """
    return round(math.ldexp(p, 63))


def metropolis(cost: float) -> float:
    """Acceptance of a change of S by ``cost``: min(1, exp(-cost)), a little less where that is close to 1 both ways.

    Examples
    --------
    >>> metropolis(-2.0), metropolis(0.0)
    (1.0, 0.9375)
    """
    patience = LARGEST_UPHILL_ACCEPTANCE if math.exp(-abs(cost)) > LARGEST_UPHILL_ACCEPTANCE else 1.0
    return patience * math.exp(-max(0.0, cost))


def heat_bath(cost: float) -> float:
    """Probability of moving to the other of two states that costs ``cost`` more: 1 / (1 + exp(cost))."""
    return math.exp(-cost) / (1 + math.exp(-cost)) if cost > 0 else 1 / (1 + math.exp(cost))


def ising_flips(targets: Sequence[Ising], rule: Callable[[float], float]) -> Table:
    """Flip probabilities by spin and sum of the neighbours, shape (rungs, 2 (2 z + 1)).

    A flip of s costs 2 beta s (J sum + h).
    """
    z = targets[0].lattice.coordination
    return _table(
        [[rule(2 * a.beta * s * (a.J * total + a.h)) for s in (-1, 1) for total in range(-z, z + 1)] for a in targets]
    )


def potts_acceptances(targets: Sequence[Potts]) -> Table:
    """Metropolis acceptance of a colour with ``gain`` more equal neighbours, shape (rungs, 2 z + 1)."""
    z = targets[0].lattice.coordination
    return _table([[metropolis(-a.beta * a.J * gain) for gain in range(-z, z + 1)] for a in targets])


def potts_weights(targets: Sequence[Potts]) -> Table:
    """Integer heat-bath weights exp(beta J n) of a colour with n equal neighbours, shape (rungs, z + 1).

    The largest weight is 2^48; the smallest is never rounded to zero, so that every colour stays reachable.
    """
    z = targets[0].lattice.coordination
    rows = []
    for a in targets:
        top = max(0.0, a.beta * a.J * z)
        rows.append([max(1, round(_HEAT_BATH_SCALE * math.exp(a.beta * a.J * n - top))) for n in range(z + 1)])
    return np.array(rows, np.uint64)


def upward(beta: float, unit: float, pulls: NDArray[np.int64]) -> Table:
    """Heat-bath probability of +1 for a spin whose neighbours pull by ``pulls`` units, of the same shape.

    The integers are below 2^63, where a probability closer to 1 than 2^-63 counts as 1 - 2^-63.
    """
    different, place = np.unique(pulls, return_inverse=True)
    chances = [min(integer_probability(heat_bath(-2 * beta * unit * pull)), ONE - 1) for pull in different.tolist()]
    return np.array(chances, np.uint64)[place].reshape(pulls.shape)


def exchanges(targets: Sequence[Ising]) -> Table:
    """Acceptance of exchanges by s_i n_i + s_j n_j without the common bonds of i and j, shape (rungs, 4 z + 1)."""
    z = targets[0].lattice.coordination
    return _table([[metropolis(2 * a.beta * a.J * total) for total in range(-2 * z, 2 * z + 1)] for a in targets])


def bonds(strengths: Sequence[float]) -> Table:
    """Probability 1 - exp(-strength) of a cluster bond for each rung; strengths are not negative."""
    return np.array([integer_probability(-math.expm1(-strength)) for strength in strengths], np.uint64)


def _table(rows: Sequence[Sequence[float]]) -> Table:
    return np.array([[integer_probability(p) for p in row] for row in rows], np.uint64)

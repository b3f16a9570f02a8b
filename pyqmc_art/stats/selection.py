r"""Members chosen by their log weights: a Metropolis chain, rejection, and averages over weighted blocks.

With weights w = p/q of independent draws of q, both choices follow p: the chain in the long run (and at once if its
start does), rejection exactly if no weight of q exceeds the largest that was seen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.stats.estimate import Estimate

Floats = NDArray[np.float64]


def walk(log_weights: Floats, uniform: Floats, start: Floats | None = None) -> NDArray[np.int64]:
    r"""Offer draws to independent chains in their order; each accepts with probability :math:`\min(1, w'/w)`.

    Parameters
    ----------
    log_weights : of the draws offered, shape (steps, chains)
    uniform : in [0, 1), of the same shape
    start : log weights of the states that chains start from, shape (chains,); None: they take what comes first

    Returns
    -------
    Number of the draw that each chain stands at after each step, shape (steps, chains); -1 is its start.

    References
    ----------
    L. Tierney, Ann. Stat. 22 (1994) 1701, section 2.3.3; R. Turner et al., ICML 2019 (arXiv:1811.11357), algorithm 1.

    Examples
    --------
    >>> walk(np.array([[0.0], [-5.0], [1.0]]), np.full((3, 1), 0.5))[:, 0].tolist()
    [0, 0, 2]
    """
    if log_weights.ndim != 2 or log_weights.shape != uniform.shape:
        raise InputError(f"log weights {log_weights.shape} and uniform {uniform.shape}; expected one (steps, chains)")
    chains = log_weights.shape[1]
    here = np.full(chains, -np.inf) if start is None else np.asarray(start, np.float64).copy()
    place = np.full(chains, -1)
    path = np.empty(log_weights.shape, np.int64)
    # 1 - u is uniform in (0, 1]: its logarithm is finite.
    least = np.log1p(-uniform)
    for step, offered in enumerate(log_weights):
        with np.errstate(invalid="ignore"):
            accept = (here == -np.inf) | (least[step] < offered - here)
        place = np.where(accept, step, place)
        here = np.where(accept, offered, here)
        path[step] = place
    return path


def reject(log_weights: Floats, uniform: Floats, gamma: float = 0.0) -> NDArray[np.bool_]:
    r"""Accept draws with probability :math:`w / w_{max}`, or more often for gamma above 0.

    The logit of the acceptance is :math:`F = \ln w - \ln w_{max} - \ln(1 - w/w_{max}) + \gamma`. With gamma = 0 that is
    rejection sampling; above it more is accepted, and the result lies between p and q.

    Parameters
    ----------
    log_weights : shape (n,)
    uniform : in [0, 1), shape (n,)
    gamma : not negative

    References
    ----------
    S. Azadi et al., ICLR 2019 (arXiv:1810.06758), equations 8 and 9.

    Examples
    --------
    >>> reject(np.log([1.0, 0.4, 0.1]), np.full(3, 0.3)).tolist()
    [True, True, False]
    """
    if not gamma >= 0 or not math.isfinite(gamma):
        raise InputError(f"gamma is {gamma}; expected a finite number of at least 0")
    ratio = np.minimum(0.0, log_weights - log_weights.max())
    chance = np.exp(ratio)
    if gamma:
        chance = np.where(chance < 1, chance / (chance + (1 - chance) * math.exp(-gamma)), 1.0)
    return np.asarray(uniform < chance, bool)


def average_blocks(values: Floats, log_weights: Floats, units: NDArray[Any]) -> Estimate:
    """Weighted mean of correlated members, its error by a jackknife over independent units.

    Parameters
    ----------
    values, log_weights : shape (n,)
    units : the unit of each member

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=500)
    >>> found = average_blocks(noise, np.zeros(500), np.arange(500))
    >>> bool(np.isclose(found.error, noise.std(ddof=1) / 500**0.5))
    True
    """
    weights = np.exp(log_weights - log_weights.max())
    _, inverse = np.unique(units, return_inverse=True)
    own = np.bincount(inverse.reshape(-1), weights)
    sums = np.bincount(inverse.reshape(-1), weights * values)
    count = len(own)
    if count < 2:
        raise InputError("an error needs two independent members or more")
    value = float(sums.sum() / own.sum())
    rest = own.sum() - own
    others = np.divide(sums.sum() - sums, rest, out=np.full(count, value), where=rest > 0)
    error = math.sqrt((count - 1) * float(np.mean((others - others.mean()) ** 2)))
    return Estimate(value, error, n=len(values), ess=float(own.sum() ** 2 / (own**2).sum()))

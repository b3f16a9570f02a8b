r"""Errors of numbers that compare two sets, by looking at random halves of them.

A half is drawn without replacement, because drawing with it makes twins, and neighbours and distances between sets
are sensitive to nothing more than to twins. For an average of n numbers the spread of the half's average is

.. math:: \sigma^2/(n/2) \cdot (1 - 1/2) = \sigma^2/n,

that of the whole; so the standard deviation over halves is the standard error, without a factor. What falls faster
than :math:`1/\sqrt n` (a distance between equal sets) gets an error that is too large, not too small.

References
----------
D. N. Politis, J. P. Romano, Ann. Stat. 22 (1994) 2031 (subsampling); B. Efron, The jackknife, the bootstrap and other
resampling plans (1982), chapter 8 (half-sampling).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

SAMPLES: Final = 50
FEWEST: Final = 8
"""Units below which halves say nothing."""

Index = NDArray[np.int64]
Statistic = Callable[..., float]
"""Takes one index array for each set; gives a number."""


def estimate_by_halves(
    statistic: Statistic,
    counts: Sequence[int],
    stream: Stream,
    *,
    groups: Sequence[NDArray[Any] | None] = (),
    samples: int = SAMPLES,
    warnings: tuple[str, ...] = (),
) -> Estimate:
    """Evaluate a statistic of one or more sets, with its standard error.

    Parameters
    ----------
    statistic : takes the members of each set, as index arrays
    counts : members of each set
    stream : of the halves
    groups : work of each member of each set; members of one work stay together. None: each is its own
    samples : number of halves
    warnings : passed on

    Raises
    ------
    InputError
        For fewer than eight works in a set.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=400)
    >>> found = estimate_by_halves(lambda chosen: float(x[chosen].mean()), [400], Stream.from_seed(1), samples=200)
    >>> bool(abs(found.error / (x.std() / 20) - 1) < 0.15)
    True
    """
    members = [_members(n, g) for n, g in zip(counts, groups or [None] * len(counts), strict=True)]
    fewest = min(len(one) for one in members)
    if fewest < FEWEST:
        raise InputError(f"a set has {fewest} works; expected at least {FEWEST}, or nothing is known of the error")
    value = statistic(*(np.arange(n) for n in counts))
    generator = np.random.default_rng(stream.fold("halves").key)
    drawn = []
    for _ in range(samples):
        halves = [generator.permutation(len(one))[: len(one) // 2] for one in members]
        drawn.append(
            statistic(*(np.concatenate([one[k] for k in half]) for one, half in zip(members, halves, strict=True)))
        )
    return Estimate(value, float(np.std(drawn, ddof=1)), n=min(counts), warnings=warnings)


def _members(count: int, groups: NDArray[Any] | None) -> list[Index]:
    """Members of each work."""
    if groups is None:
        return list(np.arange(count)[:, None])
    if len(groups) != count:
        raise InputError(f"{len(groups)} works are named for {count} images; expected one for each")
    _, inverse = np.unique(groups, return_inverse=True)
    return [np.flatnonzero(inverse == k) for k in range(int(inverse.max()) + 1)]

"""Jackknife and bootstrap over blocks of measurements, for any function of means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from pyqmc_art.errors import InputError
from pyqmc_art.stats.autocorrelation import Floats, checked_stack, evaluate, gamma_method
from pyqmc_art.stats.estimate import Estimate

MINIMUM_BLOCKS: Final = 8
"""Fewest blocks (all replicas together) that an error is trusted from."""


def jackknife(
    function: Callable[[Floats], float], series: Sequence[ArrayLike] | Floats, block: int | None = None
) -> Estimate:
    """Delete-one-block jackknife of a function of means, its leading bias removed.

    ``error^2 = (B - 1)/B sum_b (F_b - mean F)^2`` and ``value = B F - (B - 1) mean F``, F_b without block b.

    Parameters
    ----------
    function : F, takes the means, shape (observables,), and returns one number
    series : for each observable an array of shape (measurements, replicas), or all of them stacked
    block : measurements in a block; chosen from the autocorrelation time if not given

    Returns
    -------
    Estimate with ``n`` and ``warnings``

    Raises
    ------
    InputError
        For a wrong shape, or a block that leaves fewer than two blocks.
    NumericalError
        If a measurement or the function is not finite.

    References
    ----------
    B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (SIAM, 1982), chapters 2 and 3.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(1000, 2))
    >>> estimate = jackknife(lambda a: a[0], [noise], block=1)
    >>> bool(np.isclose(estimate.error, noise.std(ddof=1) / np.sqrt(2000)))
    True
    """
    stack = checked_stack(series)
    sums, sizes, warnings = _block_sums(stack, block)
    count = len(sizes)
    value = evaluate(function, stack.mean(axis=(1, 2)))
    others = (sums.sum(axis=0) - sums) / (sizes.sum() - sizes)[:, None]
    replicates = np.array([evaluate(function, means) for means in others])
    error = math.sqrt((count - 1) * float(np.mean((replicates - replicates.mean()) ** 2)))
    unbiased = count * value - (count - 1) * float(replicates.mean())
    return Estimate(unbiased, error, n=stack[0].size, error_error=_error_error(error, count), warnings=warnings)


def block_bootstrap(
    function: Callable[[Floats], float],
    series: Sequence[ArrayLike] | Floats,
    seed: int,
    samples: int = 1000,
    block: int | None = None,
) -> Estimate:
    """Bootstrap of a function of means, drawing whole blocks with replacement.

    Parameters
    ----------
    function : F, takes the means, shape (observables,), and returns one number
    series : for each observable an array of shape (measurements, replicas), or all of them stacked
    seed : of the drawing; the same seed gives the same error
    samples : number of bootstrap samples, at least 2
    block : measurements in a block; chosen from the autocorrelation time if not given

    Returns
    -------
    Estimate with ``n`` and ``warnings``; the value is F of the means

    Raises
    ------
    InputError, NumericalError
        As :func:`jackknife`; also for fewer than 2 samples.

    References
    ----------
    H. R. Kunsch, Ann. Statist. 17 (1989) 1217 (blocks); Efron (1982), chapter 5.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(1000, 2))
    >>> block_bootstrap(lambda a: a[0], [noise], seed=7) == block_bootstrap(lambda a: a[0], [noise], seed=7)
    True
    """
    if samples < 2:
        raise InputError(f"samples is {samples}; expected at least 2 bootstrap samples (1000 is usual)")
    stack = checked_stack(series)
    sums, sizes, warnings = _block_sums(stack, block)
    count = len(sizes)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=samples)
    means = (drawn @ sums) / (drawn @ sizes)[:, None]
    replicates = np.array([evaluate(function, one) for one in means])
    # Drawing from B blocks has the variance (B - 1)/B of the true one.
    error = float(replicates.std(ddof=1)) * math.sqrt(count / (count - 1))
    value = evaluate(function, stack.mean(axis=(1, 2)))
    spread = math.hypot(_error_error(error, count), _error_error(error, samples))
    return Estimate(value, error, n=stack[0].size, error_error=spread, warnings=warnings)


def block_length(series: Sequence[ArrayLike] | Floats) -> int:
    """Choose the block length that balances the bias and the noise of a blocked error.

    For exponential autocorrelation blocks of length b miss the fraction c/b of the variance,
    ``c = tau - 1/(4 tau)``, and N/b blocks know it to a fraction ``sqrt(2 b / N)``; the sum of the squares is least at
    ``b = (c^2 N)^(1/3)``.

    Parameters
    ----------
    series : one or more series, as in :func:`jackknife`; the slowest decides

    Returns
    -------
    measurements in a block, at least 1

    Examples
    --------
    >>> block_length([np.ones((100, 1))])
    1
    """
    stack = checked_stack(series)
    tau = max(gamma_method(one).tau_int or 0.5 for one in stack)
    missed = max(0.0, tau - 1 / (4 * tau))
    return max(1, math.ceil(math.cbrt(missed**2 * stack[0].size)))


def block_edges(measurements: int, block: int) -> list[tuple[int, int]]:
    """Split a replica in blocks of ``block`` measurements or, to use every one, slightly more.

    Examples
    --------
    >>> block_edges(10, 3)
    [(0, 3), (3, 6), (6, 10)]
    """
    count = max(1, measurements // block)
    return list(pairwise(measurements * i // count for i in range(count + 1)))


def _block_sums(stack: Floats, block: int | None) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return the sums over each block of every replica, shape (blocks, observables), the sizes, and warnings."""
    _, measurements, replicas = stack.shape
    if block is None:
        # Two blocks there must be; if they are too few or too short the warnings say so.
        wanted = block_length(stack)
        block = min(wanted, measurements if replicas > 1 else measurements // 2)
    elif block < 1 or block > measurements or replicas * (measurements // block) < 2:
        raise InputError(
            f"block is {block}; expected 1 to {measurements if replicas > 1 else measurements // 2} measurements, "
            "so that there are two blocks or more"
        )
    else:
        wanted = block
    edges = block_edges(measurements, block)
    sums = np.concatenate([stack[:, start:stop].sum(axis=1) for start, stop in edges], axis=1).T
    sizes = np.repeat([float(stop - start) for start, stop in edges], replicas)
    warnings = []
    if block < wanted:
        warnings.append(f"blocks of {block} measurements are shorter than the {wanted} that were needed: run longer")
    if len(sizes) < MINIMUM_BLOCKS:
        warnings.append(f"an error from {len(sizes)} blocks is uncertain; {MINIMUM_BLOCKS} are needed: run longer")
    return sums, sizes, tuple(warnings)


def _error_error(error: float, count: int) -> float:
    return error / math.sqrt(2 * (count - 1))

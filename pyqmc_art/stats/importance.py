"""Importance weights: how many draws count, how heavy the tail is, and ln Z with its error.

An effective number of draws depends on how many there were: a proposal that misses a part of the target looks better
the fewer draws it is judged by. So it never stands alone here; :class:`Weights` carries what tells the two apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.estimate import Estimate

Floats = NDArray[np.float64]

HEAVY_TAIL: Final = 0.7
"""Pareto k above which averages over the weights are not to be trusted (Vehtari et al., section 3.2.4)."""

_FEWEST_IN_TAIL: Final = 5
_PRIOR: Final = 10.0  # draws that pull k towards 1/2


@dataclass(frozen=True)
class Weights:
    """What the log weights of independent draws say about a proposal.

    Attributes
    ----------
    count : draws
    effective : (sum w)^2 / sum w^2
    largest_share : of one draw in the sum of all weights
    pareto_k : shape of the tail; None for too few draws. The variance of the weights is infinite above 1/2
    acceptance : of an independence chain that is offered the draws in their order
    longest_rejection : draws that chain refused in a row at most
    log_partition : ln of the mean weight, which is ln Z of exp(-S) if q is normalized
    lower_bound : mean of the log weights; not above ln Z but for its error
    nonfinite : draws without a finite weight, which count as weight 0
    """

    count: int
    effective: float
    largest_share: float
    pareto_k: float | None
    acceptance: float
    longest_rejection: int
    log_partition: Estimate
    lower_bound: Estimate
    nonfinite: int = 0

    def __str__(self) -> str:
        """Return all of them in a line."""
        k = "not known" if self.pareto_k is None else f"{self.pareto_k:.2f}"
        bad = f", {self.nonfinite} not finite" if self.nonfinite else ""
        return (
            f"ESS {self.effective / self.count:.3f} of N = {self.count}{bad}; longest rejection run "
            f"{self.longest_rejection}; largest weight share {self.largest_share:.2g}; Pareto k {k}; acceptance "
            f"{self.acceptance:.3f}; ln Z {self.log_partition}"
        )


def summarize_weights(log_weights: ArrayLike, uniform: ArrayLike) -> Weights:
    """Summarize the log weights of independent draws.

    Parameters
    ----------
    log_weights : -S - log q of each draw, shape (n,); -inf is weight 0, NaN and +inf are counted and left out
    uniform : independent of them, uniform in [0, 1), shape (n,): what the independence chain decides by

    Raises
    ------
    InputError
        For fewer than two draws or shapes that differ.
    NumericalError
        If no weight is finite.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao, Gabry, J. Mach. Learn. Res. 25 (2024) 72 (Pareto k of importance weights).

    Examples
    --------
    >>> found = summarize_weights(np.full(1000, 0.5), np.linspace(0, 0.999, 1000))
    >>> found.effective, found.longest_rejection, found.log_partition.value
    (1000.0, 0, 0.5)
    """
    given, chance = np.asarray(log_weights, np.float64), np.asarray(uniform, np.float64)
    if given.ndim != 1 or len(given) < 2 or given.shape != chance.shape:
        raise InputError(f"log weights {given.shape} and uniform {chance.shape}; expected one shape (n,), n at least 2")
    finite = np.isfinite(given)
    if not finite.any():
        raise NumericalError(f"none of {len(given)} log weights is finite; the proposal never meets the target")
    logs = np.where(finite, given, -np.inf)
    top = float(logs.max())
    weights = np.exp(logs - top)
    total, count = float(weights.sum()), len(weights)
    relative = float(weights.std(ddof=1)) * count / total
    k = fit_pareto(logs)
    accepted, longest = follow_chain(logs, chance)
    known = given[finite]
    scatter = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.nan
    bound = Estimate(float(known.mean()), scatter, n=len(known))
    effective = total**2 / float((weights**2).sum())
    # The error of ln <w> to first order.
    error = relative / math.sqrt(count)
    log_partition = Estimate(top + math.log(total / count), error, n=count, ess=effective, warnings=_doubts(k))
    lost = int(np.count_nonzero(np.isnan(given) | (given == np.inf)))
    return Weights(count, effective, float(weights.max()) / total, k, accepted, longest, log_partition, bound, lost)


def average_weighted(log_weights: ArrayLike, values: ArrayLike) -> Estimate:
    r"""Average an observable over the target with the weights of independent draws.

    ``O = sum w O_i / sum w`` with ``error^2 = sum w^2 (O_i - O)^2 / (sum w)^2``, to first order in the fluctuations of
    both sums; what is left of the bias is smaller than the error by the root of the effective number of draws.

    Parameters
    ----------
    log_weights : -S - log q of each draw, shape (n,); what is not finite counts as weight 0
    values : of the observable, shape (n,)

    Returns
    -------
    Estimate with ``n``, ``ess`` (the effective number of draws, of whatever observable) and ``warnings``

    Raises
    ------
    InputError
        For fewer than two draws, shapes that differ, or a value that is not finite where the weight is not 0.
    NumericalError
        If no weight is finite.

    References
    ----------
    A. B. Owen, Monte Carlo theory, methods and examples, chapter 9.2 (the ratio of two averages and its variance).

    Examples
    --------
    The mean of x^2 under a normal law, from draws of a wider one:

    >>> x = 1.5 * np.random.default_rng(2).normal(size=20_000)
    >>> found = average_weighted(-0.5 * x**2 + 0.5 * (x / 1.5) ** 2, x**2)
    >>> abs(found.deviation(1.0)) < 4
    True
    """
    logs, observed = np.asarray(log_weights, np.float64), np.asarray(values, np.float64)
    if logs.ndim != 1 or len(logs) < 2 or logs.shape != observed.shape:
        raise InputError(f"log weights {logs.shape} and values {observed.shape}; expected one shape (n,), n at least 2")
    counted = np.isfinite(logs)
    if not counted.any():
        raise NumericalError(f"none of {len(logs)} log weights is finite; the proposal never meets the target")
    if not np.isfinite(observed[counted]).all():
        raise InputError("a value is not finite where the weight is not 0; leave that observable out, or mask the draw")
    weights = np.where(counted, np.exp(np.where(counted, logs, 0.0) - logs[counted].max()), 0.0)
    total, count = float(weights.sum()), len(logs)
    shares, observed = weights / total, np.where(counted, observed, 0.0)
    value = float(shares @ observed)
    scatter = float(((shares * (observed - value)) ** 2).sum()) * count / (count - 1)
    k = fit_pareto(np.where(counted, logs, -np.inf))
    return Estimate(value, math.sqrt(scatter), n=count, ess=1 / float((shares**2).sum()), warnings=_doubts(k))


def follow_chain(log_weights: Floats, uniform: Floats) -> tuple[float, int]:
    """Acceptance and longest rejection run of a chain that is offered draws in their order, from the first on."""
    threshold = np.log1p(-uniform)
    here = -math.inf
    accepted, run, longest = -1, 0, 0
    for weight, least in zip(log_weights.tolist(), threshold.tolist(), strict=True):
        if here == -math.inf or least < weight - here:
            here, run, accepted = weight, 0, accepted + 1
        else:
            run += 1
            longest = max(longest, run)
    return max(accepted, 0) / max(1, len(log_weights) - 1), longest


def fit_pareto(log_weights: Floats) -> float | None:
    """Shape k of the generalized Pareto law of the largest weights; None if fewer than 25 draws are there.

    The tail is the min(n/5, 3 sqrt n) largest. k comes from the estimator of Zhang and Stephens, a mean over a grid of
    profile likelihoods, and is drawn a little to 1/2, as ten more draws in the tail would.

    References
    ----------
    Zhang, Stephens, Technometrics 51 (2009) 316, equations 6 to 9. Vehtari et al. (2024), appendix G.

    Examples
    --------
    >>> fit_pareto(np.zeros(10)) is None
    True
    """
    logs = np.sort(np.asarray(log_weights, np.float64))
    tail = math.ceil(min(len(logs) / 5, 3 * math.sqrt(len(logs))))
    if tail < _FEWEST_IN_TAIL or not np.isfinite(logs[-tail - 1]):
        return None
    largest = np.exp(logs[-tail:] - logs[-1])
    excess = largest - math.exp(logs[-tail - 1] - logs[-1])
    if excess[0] <= 0 or excess[-1] <= excess[0]:
        return -math.inf if excess[-1] <= 0 else None  # equal weights have no tail
    points = 30 + int(math.sqrt(tail))
    quartile = excess[int(tail / 4 + 0.5) - 1]
    grid = 1 / excess[-1] + (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * quartile)
    shapes = np.log1p(-grid[:, None] * excess).mean(axis=1)
    profile = tail * (np.log(-grid / shapes) - shapes - 1)
    share = np.exp(profile - profile.max())
    theta = float(grid @ share / share.sum())
    k = float(np.log1p(-theta * excess).mean())
    return (tail * k + 0.5 * _PRIOR) / (tail + _PRIOR)


def _doubts(k: float | None) -> tuple[str, ...]:
    """Why averages over weights of this tail should not be trusted."""
    if k is None or k <= HEAVY_TAIL:
        return ()
    return (f"Pareto k of the weights is {k:.2f}, above {HEAVY_TAIL}: the mean has not been seen yet",)

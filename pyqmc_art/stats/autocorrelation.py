"""The Gamma method: errors and autocorrelation times of Monte Carlo averages over several replicas.

Equation numbers are those of U. Wolff, Comput. Phys. Commun. 156 (2004) 143, hep-lat/0306017 (erratum: 176 (2007) 383).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.estimate import Estimate

MINIMUM_MEASUREMENTS: Final = 4
"""Fewest measurements of each replica that an error is computed from."""

LENGTH_IN_TAU: Final = 50
"""Fewest autocorrelation times (all replicas together) that an error is trusted from."""

INCONSISTENT_REPLICAS: Final = 1e-4
"""Replicas whose scatter has a smaller probability than this are reported."""

Floats = NDArray[np.float64]


class AutocorrelationFunction(NamedTuple):
    """Normalised autocorrelation ``rho`` with its standard ``error`` at ``lag`` steps."""

    lag: NDArray[np.int64]
    rho: Floats
    error: Floats


def gamma_method(series: ArrayLike, every: int = 1, s: float = 1.5) -> Estimate:
    """Mean of a series with its error and integrated autocorrelation time.

    ``error^2 = 2 tau_int Gamma(0) / N`` with ``tau_int = 1/2 + sum_{t=1}^W rho(t)``.

    Parameters
    ----------
    series : measurements, shape (measurements, replicas), or (measurements,) for one replica
    every : steps from one measurement to the next
    s : assumed ratio of exponential to integrated autocorrelation time, sets the window W

    Returns
    -------
    Estimate; ``tau_int`` in steps, ``n`` and ``ess`` summed over the replicas

    Raises
    ------
    InputError
        For a wrong shape, fewer than 4 measurements, or an ``every`` or ``s`` that is not positive.
    NumericalError
        If a measurement is not finite.

    References
    ----------
    U. Wolff, hep-lat/0306017, eqs. (31), (35), (41), (42), (49), (51), (52).

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(1000, 4))
    >>> estimate = gamma_method(noise)
    >>> bool(abs(estimate.deviation(0.0)) < 3), estimate.n
    (True, 4000)
    """
    data = checked_series(series)
    _check_options(every, s)
    if np.ptp(data) == 0.0:
        return Estimate(data[0, 0], 0.0, n=data.size)
    value = float(data.mean())
    return _analyse(value, data - value, every, s, data.mean(axis=0) - value)


def gamma_method_derived(
    function: Callable[[Floats], float], series: Sequence[ArrayLike] | Floats, every: int = 1, s: float = 1.5
) -> Estimate:
    """Estimate a function of several means, with the error propagated linearly along the series.

    ``F(A_1, A_2, ...)`` is expanded about the means; its gradient projects the fluctuations of all series on one, whose
    autocorrelation gives the error. Correlations among the series are thereby included. With two replicas or more the
    leading bias of a nonlinear F is cancelled.

    Parameters
    ----------
    function : F, takes the means, shape (observables,), and returns one number
    series : for each observable an array of shape (measurements, replicas), or all of them stacked
    every : steps from one measurement to the next
    s : as in :func:`gamma_method`

    Returns
    -------
    Estimate of F; ``tau_int`` is that of the projected fluctuations

    Raises
    ------
    InputError, NumericalError
        As :func:`gamma_method`; also if F is not finite at the means.

    Examples
    --------
    >>> m = np.random.default_rng(1).normal(size=(4000, 2))
    >>> binder = gamma_method_derived(lambda a: 1 - a[1] / (3 * a[0] ** 2), [m**2, m**4])
    >>> bool(abs(binder.deviation(0.0)) < 3)
    True
    """
    stack = checked_stack(series)
    _check_options(every, s)
    means = stack.mean(axis=(1, 2))
    value = evaluate(function, means)
    gradient = _gradient(function, means, stack.std(axis=(1, 2)) / math.sqrt(stack[0].size))
    deviations = np.tensordot(gradient, stack - means[:, None, None], axes=1)
    # Rounding of the projection, not fluctuations of F.
    noise = 16 * np.finfo(float).eps * float(np.abs(gradient) @ np.abs(stack).max(axis=(1, 2)))
    if np.ptp(deviations) <= noise:
        return Estimate(value, 0.0, n=deviations.size)
    replicas = stack.shape[2]
    notes: tuple[str, ...] = ()
    per_replica = deviations.mean(axis=0)
    if replicas > 1:
        of_replicas = np.array([float(function(stack[:, :, r].mean(axis=1))) for r in range(replicas)])
        if np.isfinite(of_replicas).all():
            # The bias of F is R times larger from one replica than from all: cancel it to leading order.
            bias = float(of_replicas.mean() - value) / (replicas - 1)
            value -= bias
            per_replica = of_replicas - of_replicas.mean()
        else:
            notes = ("the function is not finite on each replica alone; its bias was not cancelled",)
    return _analyse(value, deviations, every, s, per_replica, notes)


def gamma_method_components(series: ArrayLike, every: int = 1, s: float = 1.5) -> NDArray[Any]:
    """Apply :func:`gamma_method` to every component of a series with trailing axes (the rungs of a ladder, ...).

    Parameters
    ----------
    series : shape (measurements, replicas, ...)
    every, s : as in :func:`gamma_method`

    Returns
    -------
    object array of Estimates with the trailing shape

    Examples
    --------
    >>> ladder = np.random.default_rng(1).normal(size=(100, 2, 3))
    >>> [estimate.n for estimate in gamma_method_components(ladder)]
    [200, 200, 200]
    """
    data = np.asarray(series)
    if data.ndim < 2:
        raise InputError(f"a series of components has shape {data.shape}; expected (measurements, replicas, ...)")
    estimates = np.empty(data.shape[2:], dtype=object)
    for index in np.ndindex(estimates.shape):
        estimates[index] = gamma_method(data[(slice(None), slice(None), *index)], every, s)
    return estimates


def autocorrelation_function(
    series: ArrayLike, every: int = 1, s: float = 1.5, maximum: int | None = None
) -> AutocorrelationFunction:
    """Return the normalised autocorrelation function with its errors, for plots.

    ``var rho(t) = 1/N sum_{k>=1} [rho(k+t) + rho(k-t) - 2 rho(k) rho(t)]^2``

    Parameters
    ----------
    series : shape (measurements, replicas)
    every : steps from one measurement to the next
    s : as in :func:`gamma_method`
    maximum : largest lag in measurements; three times the window if not given

    Returns
    -------
    lag (in steps), rho and error, each of shape (lags,)

    Raises
    ------
    InputError, NumericalError
        As :func:`gamma_method`; also if the series does not vary.

    References
    ----------
    M. Luscher, hep-lat/0409106, eq. (E.11), after N. Madras and A. D. Sokal, J. Stat. Phys. 50 (1988) 109.

    Examples
    --------
    >>> lag, rho, error = autocorrelation_function(np.random.default_rng(1).normal(size=1000), maximum=2)
    >>> lag.tolist(), float(rho[0]), float(error[0])
    ([0, 1, 2], 1.0, 0.0)
    """
    data = checked_series(series)
    _check_options(every, s)
    if np.ptp(data) == 0.0:
        raise InputError("the series does not vary, so that it has no autocorrelation function; measure something else")
    deviations = data - data.mean()
    gamma = autocovariance(deviations / np.abs(deviations).max())
    window, _ = _window(gamma, data.size, s)
    gamma += _summed(gamma, window) / data.size  # eq. (49)
    rho = gamma / gamma[0]
    last = min(3 * window if maximum is None else maximum, len(rho) - 1)
    known = np.zeros(2 * last + window + 1)  # beyond the window there is nothing but noise
    known[: window + 1] = rho[: window + 1]
    error = np.empty(last + 1)
    for t in range(last + 1):
        k = np.arange(1, t + window + 1)
        terms = known[k + t] + known[np.abs(k - t)] - 2 * known[k] * known[t]
        error[t] = math.sqrt(float(terms @ terms) / data.size)
    return AutocorrelationFunction(np.arange(last + 1) * every, rho[: last + 1], error)


def autocovariance(deviations: Floats) -> Floats:
    """Autocovariance of deviations from the overall mean, averaged over the replicas, eq. (31).

    ``Gamma(t) = 1 / (N - R t) sum_r sum_i d[i, r] d[i + t, r]`` for t up to half of the measurements.

    Parameters
    ----------
    deviations : shape (measurements, replicas)

    Returns
    -------
    array of shape (measurements // 2 + 1,)
    """
    length, replicas = deviations.shape
    lags = length // 2 + 1
    padded = _find_smooth(length + lags - 1)  # zeros keep the ends from meeting within these lags
    power = np.zeros(padded // 2 + 1)
    for replica in deviations.T:
        spectrum = np.fft.rfft(replica, padded)
        power += spectrum.real**2
        power += spectrum.imag**2
    products: Floats = np.fft.irfft(power, padded)[:lags]
    products /= replicas * (length - np.arange(lags))
    return products


def _find_smooth(least: int) -> int:
    """Smallest product of twos, threes and fives from ``least`` on: transforms of such lengths are fast."""
    best = 1 << (least - 1).bit_length()
    for five in (5**c for c in range(14)):
        for odd in (five * 3**b for b in range(21)):
            if odd < best:
                best = min(best, odd << (-(-least // odd) - 1).bit_length())
    return best


def checked_series(series: ArrayLike, name: str = "the series") -> Floats:
    """Return a series as float64 of shape (measurements, replicas), or say what is wrong with it."""
    given = np.asarray(series)
    if given.dtype.kind not in "biuf" or given.ndim not in (1, 2) or (given.ndim == 2 and given.shape[1] == 0):
        raise InputError(
            f"{name} has shape {given.shape} and type {given.dtype}; expected real numbers of shape "
            "(measurements, replicas); analyse further axes one by one (gamma_method_components)"
        )
    data = given.astype(np.float64)
    data = data[:, None] if data.ndim == 1 else data
    if len(data) < MINIMUM_MEASUREMENTS:
        raise InputError(
            f"{name} has {len(data)} measurements in each replica; an error needs at least {MINIMUM_MEASUREMENTS}: "
            "run longer or measure more often"
        )
    if not np.isfinite(data).all():
        i, r = np.argwhere(~np.isfinite(data))[0]
        raise NumericalError(f"{name} is {data[i, r]} at measurement {i} of replica {r}; expected finite numbers")
    return data


def checked_stack(series: Sequence[ArrayLike] | Floats) -> Floats:
    """Return several series as one array of shape (observables, measurements, replicas)."""
    checked = [checked_series(one, f"series {i}") for i, one in enumerate(series)]
    shapes = {one.shape for one in checked}
    if len(shapes) != 1:
        raise InputError(
            f"the series have shapes {[one.shape for one in checked]}; expected one or more series of the same shape "
            "(measurements, replicas), measured at the same steps"
        )
    return np.stack(checked)


def evaluate(function: Callable[[Floats], float], means: Floats) -> float:
    """Return the function of the means, or raise NumericalError if it is not finite."""
    value = float(function(means.copy()))
    if not math.isfinite(value):
        raise NumericalError(f"the function is {value} at the means {means.tolist()}; expected a finite number")
    return value


def _check_options(every: int, s: float) -> None:
    if every < 1:
        raise InputError(f"every is {every}; expected the steps from one measurement to the next, at least 1")
    if not s > 0:
        raise InputError(f"s is {s}; expected a positive number (1.5 unless tau_int is known to mislead)")


def _gradient(function: Callable[[Floats], float], means: Floats, steps: Floats) -> Floats:
    """Central differences over one naive standard error: the scale on which F must be linear anyway."""
    gradient = np.zeros(len(means))
    for alpha in np.flatnonzero(steps):
        shift = np.zeros(len(means))
        shift[alpha] = steps[alpha]
        gradient[alpha] = (evaluate(function, means + shift) - evaluate(function, means - shift)) / (2 * steps[alpha])
    return gradient


def _window(gamma: Floats, n: int, s: float) -> tuple[int, bool]:
    """Find the first W at which truncation costs less than noise, and whether there is one.

    The paper has positive autocorrelation in mind. An alternating one decays like the modulus, and its sum is cut
    after an even lag, so that what is left out would make the error smaller, not larger.
    """
    excess = np.cumsum(gamma[1:]) / gamma[0]  # tau_int(W) - 1/2, eq. (41)
    w = np.arange(1, len(gamma))
    tau = s / np.log1p(1 / np.maximum(np.abs(excess), 1e-12))  # eq. (51)
    g = np.exp(-w / tau) - tau / np.sqrt(w * n)  # eq. (52)
    closed = np.flatnonzero(g < 0)
    if not len(closed):
        return len(w), False
    window = int(w[closed[0]])
    alternating = excess[window - 1] < 0 and window % 2
    return min(window + int(alternating), len(w)), True


def _summed(gamma: Floats, window: int) -> float:
    return float(gamma[0] + 2 * gamma[1 : window + 1].sum())  # C_F(W), eq. (35)


def _analyse(
    value: float, deviations: Floats, every: int, s: float, per_replica: Floats, notes: tuple[str, ...] = ()
) -> Estimate:
    """Error and autocorrelation time from the deviations (measurements, replicas) from the overall mean."""
    n, replicas = deviations.size, deviations.shape[1]
    warnings = list(notes)
    scale = float(np.abs(deviations).max())  # squares of very small or large numbers would leave the range
    gamma = autocovariance(deviations / scale)
    per_replica = per_replica / scale
    window, closed = _window(gamma, n, s)
    if not closed:
        warnings.append(f"the autocorrelation did not die out within {window} measurements: run longer")
    if _summed(gamma, window) / (2 * gamma[0]) < min(0.5, math.sqrt(window / n)):
        window = 0  # what is left of the sum is less than its noise, and could even be negative
        warnings.append("the measurements are so anticorrelated that the error was computed as if independent")
    gamma += _summed(gamma, window) / n  # bias from centring about the estimated mean, eq. (49)
    variance = _summed(gamma, window)
    tau = variance / (2 * float(gamma[0]))  # eq. (41)
    if n < LENGTH_IN_TAU * tau:
        warnings.append(
            f"{n} measurements are {n / tau:.0f} autocorrelation times, fewer than {LENGTH_IN_TAU}: run longer"
        )
    error = scale * math.sqrt(variance / n)
    q = None
    if replicas > 1:
        q = chi_square_probability(len(deviations) * float(per_replica @ per_replica) / variance, replicas - 1)
        if q < INCONSISTENT_REPLICAS:
            warnings.append(f"the replicas disagree (Q = {q:.1g}): they are too short or sample different targets")
    return Estimate(
        value,
        error,
        tau_int=every * tau,
        tau_int_error=every * 2 * tau * math.sqrt(max(0.0, window + 0.5 - tau) / n),  # eq. (42)
        n=n,
        ess=n / (2 * tau),
        error_error=error * math.sqrt((window + 0.5) / n),
        window=window,
        replica_q=q,
        warnings=tuple(warnings),
    )


def chi_square_probability(chi_square: float, freedom: int) -> float:
    """Probability that chi-square exceeds a value: the regularised upper incomplete gamma function.

    ``Q(a + 1, x) = Q(a, x) + x^a e^-x / Gamma(a + 1)`` from ``Q(1/2, x) = erfc(sqrt x)`` or ``Q(1, x) = e^-x``,
    with ``a = freedom / 2`` and ``x = chi_square / 2``.

    Examples
    --------
    >>> round(chi_square_probability(3.841459, 1), 6), round(chi_square_probability(5.991465, 2), 6)
    (0.05, 0.05)
    """
    x = chi_square / 2
    if x <= 0.0:
        return 1.0
    a = 0.5 if freedom % 2 else 1.0
    probability = math.erfc(math.sqrt(x)) if freedom % 2 else math.exp(-x)
    while 2 * a < freedom:
        probability += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, probability)

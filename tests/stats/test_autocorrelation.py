"""The Gamma method on synthetic series whose autocorrelation is known exactly."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal, special, stats

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats import autocorrelation
from pyqmc_art.stats.autocorrelation import (
    autocorrelation_function,
    autocovariance,
    chi_square_probability,
    gamma_method,
    gamma_method_components,
    gamma_method_derived,
)
from pyqmc_art.stats.estimate import Estimate

ALPHA = 1e-3
"""Probability that correct code fails the test of a distribution; the seeds are fixed: it does so always or never."""

RHO = 0.8
TAU = (1 + RHO) / (2 * (1 - RHO))
EXPERIMENTS, LENGTH, REPLICAS = 300, 3000, 3


def ar1(rng: np.random.Generator, shape: tuple[int, ...], rho: float = RHO) -> np.ndarray:
    """Stationary x_t = rho x_{t-1} + sqrt(1 - rho^2) eta_t along the first axis: mean 0, variance 1, rho(t) = rho^t."""
    noise = rng.normal(size=shape) * math.sqrt(1 - rho**2)
    noise[0] /= math.sqrt(1 - rho**2)
    return signal.lfilter([1.0], [1.0, -rho], noise, axis=0)


def p_value_of_pulls(pulls: np.ndarray) -> float:
    """Are these standard normal? Their sum of squares (sensitive to the scale) and their distribution function."""
    square = float(pulls @ pulls)
    scale = 2 * min(stats.chi2.cdf(square, len(pulls)), stats.chi2.sf(square, len(pulls)))
    return min(1.0, 2 * min(scale, stats.kstest(pulls, "norm").pvalue))


@pytest.fixture(scope="module")
def experiments() -> np.ndarray:
    return ar1(np.random.default_rng(2004), (LENGTH, REPLICAS, EXPERIMENTS))


@pytest.fixture(scope="module")
def estimates(experiments: np.ndarray) -> list[Estimate]:
    return list(gamma_method_components(experiments))


def test_errors_cover(estimates: list[Estimate]) -> None:
    assert p_value_of_pulls(np.array([e.deviation(0.0) for e in estimates])) > ALPHA


def test_errors_of_a_function_of_means_cover(experiments: np.ndarray) -> None:
    """The variance <x^2> - <x>^2 of a series with mean 3: the parts' errors are many times that of the whole."""

    def pull(x: np.ndarray) -> float:
        return gamma_method_derived(lambda a: a[1] - a[0] ** 2, [x, x**2]).deviation(1.0)

    shifted = experiments + 3.0
    assert p_value_of_pulls(np.array([pull(shifted[..., i]) for i in range(EXPERIMENTS)])) > ALPHA


def naive(series: np.ndarray) -> Estimate:
    return Estimate(series.mean(), series.std(ddof=1) / math.sqrt(series.size))


def without_window(series: np.ndarray) -> Estimate:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autocorrelation, "_window", lambda gamma, n, s: (0, True))
        return gamma_method(series)


def without_the_half(series: np.ndarray) -> Estimate:
    """Tau counted once instead of twice in error^2 = 2 tau Gamma(0)/N."""
    estimate = gamma_method(series)
    return Estimate(estimate.value, estimate.error / math.sqrt(2))


@pytest.mark.parametrize("bug", [naive, without_window, without_the_half])
def test_planted_bugs_do_not_cover(experiments: np.ndarray, bug: Callable[[np.ndarray], Estimate]) -> None:
    pulls = np.array([bug(experiments[..., i]).deviation(0.0) for i in range(EXPERIMENTS)])
    assert p_value_of_pulls(pulls) < ALPHA


def test_autocorrelation_time(estimates: list[Estimate]) -> None:
    """Unbiased within its spread over the experiments and the systematic error e^(-W/tau) the window was chosen for."""
    tau = np.array([e.tau_int for e in estimates])
    truncation = np.mean([RHO**e.window for e in estimates])
    # The window is chosen on the same noise, which doubles the truncation at most: both parts of eq. (43) are equal.
    tolerance = 4 * tau.std() / math.sqrt(EXPERIMENTS) + 2 * truncation * TAU
    assert abs(tau.mean() - TAU) < tolerance


def test_errors_of_the_errors(estimates: list[Estimate]) -> None:
    """Eq. (42) is the leading order in 1/W and W/N, here about 1/20 each; the spread itself is known to 4 %."""
    tau = np.array([e.tau_int for e in estimates])
    error = np.array([e.error for e in estimates])
    assert tau.std() == pytest.approx(np.mean([e.tau_int_error for e in estimates]), rel=0.25)
    assert error.std() == pytest.approx(np.mean([e.error_error for e in estimates]), rel=0.25)


def test_replica_probability_is_uniform(estimates: list[Estimate]) -> None:
    assert stats.kstest([e.replica_q for e in estimates], "uniform").pvalue > ALPHA


def test_effective_samples_and_steps(experiments: np.ndarray) -> None:
    one, five = gamma_method(experiments[..., 0]), gamma_method(experiments[..., 0], every=5)
    assert one.n == LENGTH * REPLICAS
    assert one.ess == pytest.approx(one.n / (2 * one.tau_int))
    assert five.tau_int == pytest.approx(5 * one.tau_int)
    assert five.tau_int_error == pytest.approx(5 * one.tau_int_error)
    assert (five.value, five.error, five.n, five.ess) == (one.value, one.error, one.n, one.ess)


def test_independent_measurements_have_half_a_step() -> None:
    noise = np.random.default_rng(3).normal(size=(20000, 2))
    estimate = gamma_method(noise, every=4)
    assert abs(estimate.tau_int - 2.0) < 4 * estimate.tau_int_error
    assert estimate.reliable


@pytest.mark.parametrize("rho", [-0.3, -0.5])
def test_anticorrelated_measurements(rho: float) -> None:
    """More effective samples than measurements; cutting after an even lag errs on the safe side by |rho|^W at most."""
    exact = (1 + rho) / (2 * (1 - rho))
    estimate = gamma_method(ar1(np.random.default_rng(4), (40000, 1), rho))
    assert estimate.ess > estimate.n
    low, high = exact - 4 * estimate.tau_int_error, exact + 4 * estimate.tau_int_error + abs(rho) ** estimate.window
    assert low < estimate.tau_int < high


def test_anticorrelated_errors_are_not_too_small() -> None:
    """At rho = -0.9 the window cannot follow; the error may come out too large but not too small."""
    series = ar1(np.random.default_rng(40), (4000, 1, 100), rho=-0.9)
    pulls = np.array([e.deviation(0.0) for e in gamma_method_components(series)])
    assert stats.chi2.sf(pulls @ pulls, 100) > ALPHA


@pytest.mark.parametrize("period", [[1.0, -1.0], [2.0, -1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
def test_periodic_series_get_no_smaller_error_than_independent_ones(period: list[float]) -> None:
    series = np.tile(period, 200)
    assert gamma_method(series).error > 0.99 * series.std() / math.sqrt(len(series))


def test_an_error_that_cancels_away_is_reported() -> None:
    steps = np.random.default_rng(12).normal(size=401)
    series = np.diff(steps)  # the mean telescopes: tau_int = 0
    estimate = gamma_method(series)
    assert estimate.error == pytest.approx(series.std() / 20, rel=0.01)
    assert "anticorrelated" in estimate.warnings[0]


def test_autocovariance_is_the_double_sum() -> None:
    deviations = np.random.default_rng(5).normal(size=(11, 3))
    gamma = autocovariance(deviations)
    assert len(gamma) == 6
    for t in range(6):
        products = [deviations[i, r] * deviations[i + t, r] for r in range(3) for i in range(11 - t)]
        assert gamma[t] == pytest.approx(sum(products) / (33 - 3 * t), abs=1e-14)


def test_autocorrelation_function_of_the_process(experiments: np.ndarray) -> None:
    """Rho(t) of many experiments is rho^t; its spread is what the formula says."""
    curves = [autocorrelation_function(experiments[..., i], maximum=12) for i in range(EXPERIMENTS)]
    rho = np.array([curve.rho for curve in curves])
    spread = rho.std(axis=0)
    assert curves[0].lag.tolist() == list(range(13))
    # Rho is biased by (2 tau + ...)/N, here 4e-3 at most: add that to four sigmas of the mean over the experiments.
    bias = 4 * TAU / (LENGTH * REPLICAS)
    assert np.all(np.abs(rho.mean(axis=0) - RHO ** np.arange(13)) < 4 * spread / math.sqrt(EXPERIMENTS) + bias)
    # The spread of 300 experiments is known to 4 %; each formula's sum is cut at its own window.
    assert np.mean([curve.error for curve in curves], axis=0)[1:] == pytest.approx(spread[1:], rel=0.25)


def test_lags_of_the_autocorrelation_function_are_steps(experiments: np.ndarray) -> None:
    curve = autocorrelation_function(experiments[..., 0], every=7, maximum=3)
    assert curve.lag.tolist() == [0, 7, 14, 21]
    assert len(autocorrelation_function(experiments[..., 0]).lag) == 3 * gamma_method(experiments[..., 0]).window + 1


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_units_do_not_matter(experiments: np.ndarray, scale: float) -> None:
    plain, scaled = gamma_method(experiments[..., 0]), gamma_method(scale * experiments[..., 0])
    assert scaled.error == pytest.approx(scale * plain.error)
    for name in ("tau_int", "tau_int_error", "ess", "window", "replica_q"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name))


def test_constant_series() -> None:
    estimate = gamma_method(np.full((10, 2), 0.1))
    assert (estimate.value, estimate.error, estimate.tau_int, estimate.ess, estimate.n) == (0.1, 0.0, None, None, 20)
    assert estimate.to_dict()["tau_int"] is None
    with pytest.raises(InputError, match="does not vary"):
        autocorrelation_function(np.ones(10))


def test_function_without_fluctuations(experiments: np.ndarray) -> None:
    x = experiments[..., 0]
    estimate = gamma_method_derived(lambda a: a[0] - a[1] + 3.0, [x, x])
    assert (estimate.value, estimate.error, estimate.tau_int) == (3.0, 0.0, None)
    assert gamma_method_derived(lambda a: a[0], [np.ones((10, 2))]).error == 0.0


def test_a_mean_is_the_simplest_function(experiments: np.ndarray) -> None:
    x = experiments[..., 0]
    plain, derived = gamma_method(x), gamma_method_derived(lambda a: a[0], x[None])
    for name in ("value", "error", "tau_int", "tau_int_error", "n", "ess", "error_error", "window", "replica_q"):
        assert getattr(derived, name) == pytest.approx(getattr(plain, name), rel=1e-9, abs=1e-12)


def test_bias_of_a_nonlinear_function_is_cancelled() -> None:
    """The mean of exp(mean) over experiments: exp(sigma^2/2) without the cancellation, 1 with it, to order sigma^4."""
    data = np.random.default_rng(6).normal(size=(10, 20, 4000))
    sigma2 = 1 / 200
    values = [gamma_method_derived(lambda a: math.exp(a[0]), data[None, :, :, i]).value for i in range(4000)]
    scatter = math.sqrt(sigma2 / 4000)
    assert abs(np.mean(values) - 1.0) < 3 * scatter < 1.5 * sigma2
    assert abs(np.mean(np.exp(data.mean(axis=(0, 1)))) - math.exp(sigma2 / 2)) < 3 * scatter


def test_frozen_replicas_are_found_out() -> None:
    """Each replica sits in its own sector: only centring about the overall mean can see it."""
    noise = 0.01 * np.random.default_rng(7).normal(size=(400, 4))
    estimate = gamma_method(noise + np.arange(4.0))
    assert not estimate.reliable
    assert "fewer than 50" in " ".join(estimate.warnings)
    assert estimate.error > 0.3  # 4 sectors of spread 1.1


def test_replicas_of_different_targets_disagree() -> None:
    noise = np.random.default_rng(8).normal(size=(5000, 4))
    assert gamma_method(noise).replica_q > ALPHA
    estimate = gamma_method(noise + 0.1 * np.array([0, 0, 0, 1.0]))
    assert estimate.replica_q < 1e-4
    assert any("disagree" in warning for warning in estimate.warnings)


def test_short_series_are_reported() -> None:
    estimate = gamma_method(ar1(np.random.default_rng(9), (100, 1), rho=0.9))
    assert not estimate.reliable
    assert "autocorrelation times" in " ".join(estimate.warnings)


def test_a_larger_s_opens_the_window(experiments: np.ndarray) -> None:
    assert gamma_method(experiments[..., 0], s=3.0).window > gamma_method(experiments[..., 0], s=1.0).window


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.ones((3, 2)), "at least 4"),
        (np.zeros((0, 2)), "at least 4"),
        (np.ones((10, 0)), "expected real numbers"),
        (np.ones((10, 2, 2)), "gamma_method_components"),
        (np.float64(1.0), "expected real numbers"),
        (np.ones(10, complex), "expected real numbers"),
        (["a"] * 10, "expected real numbers"),
    ],
)
def test_unusable_series(series: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gamma_method(series)


def test_unusable_options() -> None:
    noise = np.random.default_rng(10).normal(size=(10, 2))
    with pytest.raises(InputError, match="every is 0"):
        gamma_method(noise, every=0)
    with pytest.raises(InputError, match="s is 0"):
        gamma_method(noise, s=0)
    with pytest.raises(InputError, match="same shape"):
        gamma_method_derived(lambda a: a[0], [noise, noise[:5]])
    with pytest.raises(InputError, match="same shape"):
        gamma_method_derived(lambda a: a[0], [])
    with pytest.raises(InputError, match="expected \\(measurements, replicas"):
        gamma_method_components(np.ones(5))


def test_numbers_that_are_not_finite() -> None:
    series = np.ones((10, 2))
    series[4, 1] = np.nan
    with pytest.raises(NumericalError, match="measurement 4 of replica 1"):
        gamma_method(series)
    with pytest.raises(NumericalError, match="the function is nan"):
        gamma_method_derived(lambda a: math.nan, [np.ones((10, 2))])


def test_components_keep_their_place() -> None:
    ladder = np.random.default_rng(11).normal(size=(50, 2, 3, 2))
    estimates = gamma_method_components(ladder)
    assert estimates.shape == (3, 2)
    assert estimates[2, 1] == gamma_method(ladder[:, :, 2, 1])


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 31])
def test_chi_square_probability(freedom: int) -> None:
    for value in (0.0, 0.1, 1.0, 10.0, 200.0, 3000.0):
        expected = special.gammaincc(freedom / 2, value / 2)
        assert chi_square_probability(value, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-300)

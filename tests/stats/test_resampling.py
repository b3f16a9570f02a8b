"""Jackknife and block bootstrap: they cover, they agree with the Gamma method, and they notice planted bugs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal, stats

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.autocorrelation import gamma_method, gamma_method_derived
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.resampling import block_bootstrap, block_edges, block_length, jackknife

ALPHA = 1e-3
RHO = 0.6
EXPERIMENTS, LENGTH, REPLICAS = 100, 4000, 2


def variance(means: np.ndarray) -> float:
    return float(means[1] - means[0] ** 2)


@pytest.fixture(scope="module")
def experiments() -> np.ndarray:
    """AR(1) of unit variance about 2, shape (measurements, replicas, experiments)."""
    noise = np.random.default_rng(1982).normal(size=(LENGTH, REPLICAS, EXPERIMENTS)) * math.sqrt(1 - RHO**2)
    noise[0] /= math.sqrt(1 - RHO**2)
    return 2.0 + signal.lfilter([1.0], [1.0, -RHO], noise, axis=0)


def p_value(experiments: np.ndarray, measure: Callable[[list[np.ndarray]], Estimate]) -> float:
    """Two-sided chi-square test that the pulls of <x^2> - <x>^2 = 1 have unit variance.

    An error from B blocks makes the expected square 1 + 2/B; the automatic blocks are about 250, so that 0.8 % on 100
    experiments is a twentieth of the test's own spread.
    """
    samples = [experiments[..., i] for i in range(EXPERIMENTS)]
    pulls = np.array([measure([x, x**2]).deviation(1.0) for x in samples])
    square = float(pulls @ pulls)
    return 2 * min(stats.chi2.cdf(square, EXPERIMENTS), stats.chi2.sf(square, EXPERIMENTS))


@pytest.mark.parametrize(
    "measure",
    [
        lambda series: jackknife(variance, series),
        lambda series: block_bootstrap(variance, series, seed=5, samples=300),
    ],
    ids=["jackknife", "bootstrap"],
)
def test_errors_cover(experiments: np.ndarray, measure: Callable[[list[np.ndarray]], Estimate]) -> None:
    assert p_value(experiments, measure) > ALPHA


@pytest.mark.parametrize(
    "bug",
    [
        lambda series: jackknife(variance, series, block=1),
        lambda series: block_bootstrap(variance, series, seed=5, samples=300, block=1),
    ],
    ids=["jackknife", "bootstrap"],
)
def test_single_measurements_as_blocks_do_not_cover(
    experiments: np.ndarray, bug: Callable[[list[np.ndarray]], Estimate]
) -> None:
    assert p_value(experiments[:400], bug) < ALPHA


def test_three_methods_agree(experiments: np.ndarray) -> None:
    """On one data set the errors differ by the noise of the errors themselves: four of its sigmas."""
    x = experiments[..., 0]
    reference = gamma_method_derived(variance, [x, x**2])
    for other in (jackknife(variance, [x, x**2]), block_bootstrap(variance, [x, x**2], seed=1)):
        spread = math.hypot(reference.error_error, other.error_error)
        assert abs(other.error - reference.error) < 4 * spread
        assert abs(other.value - reference.value) < 0.1 * reference.error
        assert other.n == x.size


def test_jackknife_of_the_variance_is_unbiased() -> None:
    """The plug-in variance has the bias -1/n; the jackknife with single blocks removes it exactly."""
    x = np.random.default_rng(2).normal(size=(10, 1))
    assert jackknife(variance, [x, x**2], block=1).value == pytest.approx(x.var(ddof=1))


def test_the_seed_fixes_the_bootstrap(experiments: np.ndarray) -> None:
    x = experiments[:200, :, 0]
    one, again, other = (block_bootstrap(lambda a: a[0], [x], seed=seed, samples=50) for seed in (1, 1, 2))
    assert one == again
    assert one.error != other.error
    assert one.value == other.value == pytest.approx(x.mean())


def test_blocks_use_every_measurement() -> None:
    assert block_edges(10, 4) == [(0, 5), (5, 10)]
    assert block_edges(3, 7) == [(0, 3)]
    for measurements, block in [(100, 7), (13, 13), (1000, 1)]:
        edges = block_edges(measurements, block)
        assert edges[0][0] == 0
        assert edges[-1][1] == measurements
        assert min(stop - start for start, stop in edges) >= block


def test_block_length_grows_with_the_autocorrelation(experiments: np.ndarray) -> None:
    x = experiments[..., 0]
    tau = gamma_method(x).tau_int
    expected = ((tau - 1 / (4 * tau)) ** 2 * x.size) ** (1 / 3)
    assert block_length([x]) == math.ceil(expected)
    assert block_length([x, np.ones_like(x)]) == block_length([x])


def test_too_few_blocks_are_reported() -> None:
    slow = np.cumsum(np.random.default_rng(3).normal(size=(40, 1)), axis=0)
    estimate = jackknife(lambda a: a[0], [slow])
    assert not estimate.reliable
    assert "blocks" in " ".join(estimate.warnings)
    assert jackknife(lambda a: a[0], [np.random.default_rng(4).normal(size=(400, 1))]).reliable


def test_constant_series() -> None:
    estimate = jackknife(lambda a: a[0], [np.ones((10, 2))])
    assert (estimate.value, estimate.error) == (1.0, 0.0)


def test_bad_input() -> None:
    x = np.random.default_rng(5).normal(size=(20, 1))
    for block in (0, 11, 21):
        with pytest.raises(InputError, match=f"block is {block}; expected 1 to 10"):
            jackknife(lambda a: a[0], [x], block=block)
    with pytest.raises(InputError, match="samples is 1"):
        block_bootstrap(lambda a: a[0], [x], seed=1, samples=1)
    with pytest.raises(InputError, match="same shape"):
        jackknife(lambda a: a[0], [x, x[:10]])
    with pytest.raises(NumericalError, match="the function is nan"):
        jackknife(lambda a: math.nan, [x])

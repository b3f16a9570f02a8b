"""Intervals of proportions: known values, coverage that is computed and not simulated, and rates that print n."""

import math

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError
from pyqmc_art.stats.proportions import Rate, clopper_pearson_interval, wilson_interval


@pytest.mark.parametrize("n", [1, 3, 19, 126])
def test_agreement_with_scipy(n: int) -> None:
    for k in range(n + 1):
        for interval, method in ((wilson_interval, "wilson"), (clopper_pearson_interval, "exact")):
            known = stats.binomtest(k, n).proportion_ci(0.9, method=method)
            assert interval(k, n, 0.9) == pytest.approx((known.low, known.high), abs=1e-12)


def coverage(interval: object, n: int, p: float) -> float:
    """Exact coverage: the probability of all k whose interval holds p."""
    limits = [interval(k, n) for k in range(n + 1)]
    return sum(stats.binom.pmf(k, n, p) for k, (low, high) in enumerate(limits) if low <= p <= high)


def wald(k: int, n: int) -> tuple[float, float]:
    half = 1.96 * math.sqrt(k / n * (1 - k / n) / n)
    return k / n - half, k / n + half


@pytest.mark.parametrize("n", [3, 10, 19])
def test_coverage(n: int) -> None:
    """Clopper-Pearson always covers, Wilson on average; the textbook interval (the planted bug) does neither."""
    grid = np.linspace(0.01, 0.99, 99)
    assert min(coverage(clopper_pearson_interval, n, p) for p in grid) >= 0.95
    assert np.mean([coverage(wilson_interval, n, p) for p in grid]) >= 0.94
    assert np.mean([coverage(wald, n, p) for p in grid]) < 0.90


def test_symmetry_and_ends() -> None:
    for interval in (wilson_interval, clopper_pearson_interval):
        assert interval(0, 7)[0] == 0.0
        assert interval(7, 7)[1] == 1.0
        assert interval(2, 7) == pytest.approx(tuple(1 - x for x in reversed(interval(5, 7))))
        assert interval(0, 0) == (0.0, 1.0)


def test_a_rate_prints_n_and_interval() -> None:
    assert str(Rate.of(3, 3)) == "3/3 = 1.00 [0.44, 1.00]"
    assert str(Rate.of(0, 0)) == "0/0 = none [0.00, 1.00]"
    assert math.isnan(Rate.of(0, 0).value)
    assert Rate.count([True, False], method="clopper-pearson").high == pytest.approx(stats.beta.ppf(0.975, 2, 1))


@pytest.mark.parametrize("k, n", [(-1, 3), (4, 3), (math.nan, 3), (0, math.inf)])
def test_impossible_counts(k: float, n: float) -> None:
    with pytest.raises(InputError, match="impossible"):
        Rate.of(k, n)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="confidence is 95"):
        wilson_interval(1, 2, 95)
    with pytest.raises(InputError, match="did you mean 'wilson'"):
        Rate.of(1, 2, method="wilsom")
    with pytest.raises(InputError, match="does not hold the rate"):
        Rate(1, 2, 0.6, 0.9)

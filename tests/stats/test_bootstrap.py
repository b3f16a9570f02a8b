"""Bootstrap over works: errors of strata by their formula, limits by their definition, coverage of few works."""

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import Floats, WorkBootstrap, bootstrap_works, merge_small_strata
from pyqmc_art.stats.comparisons import mcnemar
from pyqmc_art.stats.proportions import Rate

STREAM = Stream.from_seed(87)


def mean_of(x: np.ndarray):
    def statistic(counts: Floats) -> Floats:
        return counts @ x / counts.sum(axis=1)

    return statistic


def test_stratified_error_by_its_formula() -> None:
    """``sum_s (n_s/n)^2 var_s/n_s`` with unbiased variances, and Satterthwaite's degrees of freedom of that sum."""
    generator = np.random.default_rng(1)
    parts = [generator.normal(0, 1, 6), generator.normal(5, 3, 14)]
    x, strata = np.concatenate(parts), [0] * 6 + [1] * 14
    bootstrap = bootstrap_works(mean_of(x), strata, STREAM, 20_000)
    own = [(one.size / 20) ** 2 * one.var(ddof=1) / one.size for one in parts]
    plug_in = sum(v * (one.size - 1) / one.size for v, one in zip(own, parts, strict=True))
    assert bootstrap.inflation == pytest.approx(np.sqrt(sum(own) / plug_in))
    freedom = sum(own) ** 2 / sum(v**2 / (one.size - 1) for v, one in zip(own, parts, strict=True))
    assert bootstrap.freedom == pytest.approx(freedom)
    assert bootstrap.error == pytest.approx(np.sqrt(sum(own)), rel=4 / np.sqrt(2 * 20_000))
    cubes = sum((one.size / 20) ** 3 * np.sum(((one - one.mean()) / one.size) ** 3) for one in parts)
    assert bootstrap.acceleration == pytest.approx(cubes / (6 * plug_in**1.5))


def test_limits_without_corrections_are_percentiles() -> None:
    replicates = np.sort(np.random.default_rng(2).normal(size=4001))
    plain = WorkBootstrap(0.0, replicates, 0.0, 0.0, 1.0, np.inf)
    assert plain.interval(0.9) == pytest.approx(tuple(np.quantile(replicates, [0.05, 0.95])))
    shifted = WorkBootstrap(0.0, replicates, 0.2, 0.05, 1.0, np.inf)
    z = 0.2 + stats.norm.ppf(0.95)
    assert shifted.interval(0.9)[1] == pytest.approx(np.quantile(replicates, stats.norm.cdf(0.2 + z / (1 - 0.05 * z))))


@pytest.mark.parametrize("null", [-2.0, -0.5, 0.3, 1.5])
def test_p_value_inverts_the_interval(null: float) -> None:
    replicates = np.sort(np.random.default_rng(3).normal(size=20_000))
    bootstrap = WorkBootstrap(0.0, replicates, 0.1, 0.03, 1.05, 12.0)
    p = bootstrap.p_value(null)
    low, high = bootstrap.interval(1 - p)
    assert min(abs(low - null), abs(high - null)) < 0.02


def test_corrections_cover_more_of_few_works() -> None:
    """On the same 1500 sets of 19 works the planted bug, plain percentiles, misses the mean far more often."""
    generator = np.random.default_rng(4)
    held, planted = [], []
    for i in range(1500):
        bootstrap = bootstrap_works(mean_of(generator.normal(size=19)), [0] * 19, STREAM.fold("mean", i), 1000)
        low, high = bootstrap.interval()
        held.append(low <= 0 <= high)
        low, high = np.quantile(bootstrap.replicates, [0.025, 0.975])
        planted.append(low <= 0 <= high)
    corrected, plain = Rate.count(held), Rate.count(planted)
    print(f"coverage of the mean of 19 works: {corrected}; by plain percentiles: {plain}")
    assert corrected.high >= 0.94
    assert mcnemar(held, planted).p_value < 1e-4


def test_a_constant_statistic_is_degenerate() -> None:
    bootstrap = bootstrap_works(mean_of(np.ones(8)), [0] * 8, STREAM, 100)
    assert bootstrap.degenerate
    assert bootstrap.interval() == (1.0, 1.0)


def test_small_pool_stays_apart_when_large_enough() -> None:
    strata = merge_small_strata([0] * 12, ["a"] * 6 + ["b", "b", "b", "c", "c", "c"])
    assert strata == [(0, "a")] * 6 + [(0, "others")] * 6


def test_bad_input() -> None:
    with pytest.raises(InputError, match="no works"):
        bootstrap_works(mean_of(np.ones(0)), [], STREAM)
    with pytest.raises(InputError, match="2 sublabels were given for 3 works"):
        merge_small_strata([0, 0, 1], ["a", "b"])
    with pytest.raises(NumericalError, match="not finite"):
        bootstrap_works(mean_of(np.array([1.0, np.nan])), [0, 0], STREAM)

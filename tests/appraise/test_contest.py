"""The classifier two-sample test: honest levels, also for correlated chains, and the accuracy of the best judge."""

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.appraise.contest import BASIC, Judge, hold_contest, learn_line
from pyqmc_art.appraise.tables import SEGMENTS, Table, check_units, cut_chains, find_block
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream

LINE = (Judge("line", "features", learn_line),)


def chains(generator, measurements, replicas, rho, dimension=3):
    noise = generator.normal(size=(measurements, replicas, dimension))
    for k in range(1, measurements):
        noise[k] = rho * noise[k - 1] + np.sqrt(1 - rho**2) * noise[k]
    return noise


def table(x, block=None):
    measurements, replicas, dimension = x.shape
    if block is None:
        block, _ = find_block({str(k): x[..., k] for k in range(dimension)})
    units, segments, spoken = cut_chains(measurements, replicas, block)
    return Table("t", {"features": x.reshape(-1, dimension)}, units, segments, spoken)


def drawn_p_values(count, measurements, replicas, rho, block=None, judges=LINE):
    """p-values of equal distributions and unequal sizes, drawn at random within their steps."""
    generator = np.random.default_rng(11)
    found = []
    for k in range(count):
        a = table(chains(generator, measurements, replicas, rho), block)
        b = table(chains(generator, measurements * 2 // 3, replicas, rho), block)
        hits = hold_contest(a, b, judges, Stream.from_seed(k)).hits
        found.append(hits.p_above + generator.uniform() * (hits.p_value - hits.p_above))
    return np.array(found)


@pytest.mark.parametrize(("measurements", "replicas", "rho"), [(90, 1, 0.0), (300, 4, 0.8)])
def test_p_values_of_equal_distributions_are_uniform(measurements, replicas, rho):
    found = drawn_p_values(200, measurements, replicas, rho)
    assert stats.kstest(found, "uniform").pvalue > 1e-3
    counts, _ = np.histogram(found, 10, (0, 1))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.slow
def test_p_values_with_a_choice_of_judges_are_uniform():
    found = drawn_p_values(200, 120, 1, 0.0, judges=BASIC)
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_a_test_that_takes_correlated_members_for_independent_is_noticed():
    found = drawn_p_values(60, 300, 4, 0.95, block=1)
    assert stats.kstest(found, "uniform").pvalue < 1e-6


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_shifted_gaussians_are_recognised_as_often_as_they_can_be(delta):
    generator = np.random.default_rng(int(10 * delta))
    inside = []
    for k in range(8):
        a, b = chains(generator, 1200, 1, 0.0), chains(generator, 900, 1, 0.0)
        b[..., 0] += delta
        score = hold_contest(table(a), table(b), LINE, Stream.from_seed(k)).hits.accuracy
        inside.append(score.low <= stats.norm.cdf(delta / 2) <= score.high)
    # Each interval covers with 95 %: fewer than six of eight has a probability below one in 2000.
    assert sum(inside) >= 6


def test_a_width_is_left_to_the_judge_that_sees_it():
    generator = np.random.default_rng(1)
    a, b = chains(generator, 500, 1, 0.0), 1.6 * chains(generator, 500, 1, 0.0)
    found = hold_contest(table(a), table(b), BASIC, Stream.from_seed(1))
    assert set(found.spoke) == {"curve"}
    assert found.hits.p_value < 1e-3
    assert found.each["line"].p_value > found.hits.p_value


def test_no_unit_lies_in_two_parts_and_one_member_speaks_for_each():
    units, segments, spoken = cut_chains(100, 3, 7)
    for unit in np.unique(units):
        assert np.unique(segments[units == unit]).size == 1
        assert spoken[units == unit].sum() == 1
    assert np.unique(segments).size == SEGMENTS
    assert len(np.unique(units)) == 3 * 14


def test_blocks_grow_with_the_autocorrelation_time():
    generator = np.random.default_rng(2)
    fast, slow = chains(generator, 4000, 2, 0.0)[..., 0], chains(generator, 4000, 2, 0.9)[..., 0]
    assert find_block({"fast": fast})[0] == 1
    block, tau = find_block({"fast": fast, "slow": slow})
    assert tau == pytest.approx(9.5, rel=0.3)
    assert 25 < block < 50


def test_too_few_or_not_finite():
    with pytest.raises(InputError, match="5 independent members"):
        check_units(table(np.zeros((5, 1, 2)), 1))
    broken = chains(np.random.default_rng(1), 40, 1, 0.0)
    broken[3, 0, 0] = np.nan
    with pytest.raises(NumericalError, match="not finite"):
        check_units(table(broken, 1))

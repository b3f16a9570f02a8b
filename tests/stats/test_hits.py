"""The exact test of two classes: its law by enumeration, its level, and what the binomial law would have said."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError
from pyqmc_art.stats.hits import Hits, Round


def test_the_p_value_is_that_of_all_assignments_of_labels():
    called_a = np.array([1, 1, 0, 1, 0, 0, 1])
    truth = (0, 1, 3)
    right = [sum(called_a[list(chosen)]) for chosen in combinations(range(7), 3)]
    seen = int(sum(called_a[list(truth)]))
    found = Hits.of([Round(3, 4, seen, int(4 - (called_a.sum() - seen)))])
    assert found.p_value == pytest.approx(np.mean(np.array(right) >= seen))
    assert found.p_above == pytest.approx(np.mean(np.array(right) > seen))


def test_rounds_are_added():
    one, other = Round(3, 5, 2, 4), Round(6, 2, 5, 1)
    said = [one.a_right + one.b - one.b_right, other.a_right + other.b - other.b_right]
    laws = [stats.hypergeom(8, one.a, said[0]), stats.hypergeom(8, other.a, said[1])]
    total = sum(
        laws[0].pmf(i) * laws[1].pmf(j) for i in range(4) for j in range(7) if i + j >= one.a_right + other.a_right
    )
    assert Hits.of([one, other]).p_value == pytest.approx(total)


def test_equal_halves_are_nearly_binomial():
    found = Hits.of([Round(200, 200, 115, 113)])
    assert found.accuracy.value == pytest.approx(228 / 400)
    assert found.binomial == pytest.approx(stats.binom.sf(227, 400, 0.5))
    # For given margins the number right has every other value only: the binomial law lies between the two steps.
    assert found.p_above < found.binomial < found.p_value
    assert found.n_effective == 400


def test_unequal_sizes_keep_the_level_where_raw_hits_would_not():
    """A judge that always says A is right nine times in ten, and has learned nothing."""
    found = Hits.of([Round(90, 10, 90, 0)])
    assert found.accuracy.value == 0.5
    assert found.p_value == 1.0
    assert stats.binom.sf(89, 100, 0.5) < 1e-15
    assert found.n_effective == pytest.approx(36)


def test_p_values_of_guessing_judges_are_uniform():
    generator = np.random.default_rng(4)
    drawn = []
    for _ in range(600):
        called = generator.uniform(size=50) < 0.3
        right = generator.hypergeometric(20, 30, int(called.sum())) if called.any() else 0
        found = Hits.of([Round(20, 30, int(right), int(30 - (called.sum() - right)))])
        drawn.append(found.p_above + generator.uniform() * (found.p_value - found.p_above))
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="impossible"):
        Round(3, 3, 4, 0)
    with pytest.raises(InputError, match="both classes"):
        Hits.of([Round(3, 0, 1, 0)])

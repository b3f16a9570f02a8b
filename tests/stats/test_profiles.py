"""Curves compared: level of the largest deviation, bands that cover, peaks that are planted."""

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.profiles import average_units, compare_profiles, find_peaks


def curves(n, seed, places=12):
    """Curves whose places are correlated and of different spread."""
    noise = np.random.default_rng(seed).normal(size=(n, places))
    return np.cumsum(noise, axis=1) * np.linspace(0.1, 3, places)


def test_p_values_of_equal_distributions_are_uniform():
    found = [compare_profiles(curves(15, k), curves(25, 1000 + k), Stream.from_seed(k), permutations=99).p_value
             for k in range(200)]  # fmt: skip
    assert stats.kstest(np.array(found) - 0.005, "uniform").pvalue > 1e-3


def test_a_shift_of_one_place_is_found():
    b = curves(40, 7)
    b[:, 3] += 2.0
    found = compare_profiles(curves(40, 8), b, Stream.from_seed(1))
    assert found.p_value < 0.01
    assert int(np.argmax(found.z)) == 3


def test_bands_cover_the_mean():
    covered = [
        np.mean((band[0] <= 0) & (band[1] >= 0))
        for k in range(100)
        for band in [compare_profiles(curves(30, k), curves(30, 500 + k), Stream.from_seed(k), permutations=99).a_band]
    ]
    assert 0.91 < np.mean(covered) < 0.98


def test_places_without_variance_do_not_matter():
    a, b = curves(20, 1), curves(20, 2)
    a[:, 0] = b[:, 0] = 5.0
    found = compare_profiles(a, b, Stream.from_seed(1))
    assert found.z[0] == 0
    assert np.isfinite(found.z).all()


def test_a_peak_is_a_rise_that_the_other_has_not():
    generator = np.random.default_rng(5)
    falling = -np.arange(20.0) + 0.2 * generator.normal(size=(30, 20))
    shape = np.zeros(20)
    shape[13:16] = [4.0, 6.0, 4.0]
    assert find_peaks(falling, falling + shape, 3.0) == [14]
    assert find_peaks(falling + shape, falling + shape, 3.0) == []
    assert find_peaks(falling, falling - 3 * (np.arange(20) > 9), 3.0) == []


def test_averages_of_units():
    rows = np.array([[1.0, 0.0], [3.0, 2.0], [7.0, 7.0]])
    assert average_units(rows, np.array([5, 5, 9])).tolist() == [[2.0, 1.0], [7.0, 7.0]]


def test_bad_input():
    with pytest.raises(InputError, match="at least 4"):
        compare_profiles(np.zeros((3, 2)), np.zeros((9, 2)), Stream.from_seed(1))
    with pytest.raises(InputError, match="permutations"):
        compare_profiles(np.zeros((9, 2)), np.zeros((9, 2)), Stream.from_seed(1), permutations=5)

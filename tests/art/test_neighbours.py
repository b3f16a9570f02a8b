"""Distances to neighbours: what differences in double precision give, for ties, duplicates and unequal scales too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art import neighbours
from pyqmc_art.art.neighbours import count_balls, nearest_distances, neighbour_radii
from pyqmc_art.errors import InputError, NumericalError


def all_distances(x, y):
    """Every pair by itself: slow and obviously right."""
    return np.array([[np.sqrt(np.sum((a.astype(float) - b.astype(float)) ** 2)) for b in y] for a in x])


def slow_radii(x, k):
    apart = all_distances(x, x)
    return np.array([np.sort(np.delete(row, i))[k - 1] for i, row in enumerate(apart)])


CLOUDS = {
    "plain": lambda r, n, d: r.normal(size=(n, d)),
    "far from the origin": lambda r, n, d: 1e4 + r.normal(size=(n, d)),
    "unequal scales": lambda r, n, d: r.normal(size=(n, d)) * 10.0 ** r.integers(-6, 6, d),
    "one outlier": lambda r, n, d: np.concatenate([1e-3 * r.normal(size=(n - 1, d)), np.full((1, d), 1e6)]),
    "two far clusters": lambda r, n, d: 1e5 * (np.arange(n) % 2)[:, None] + 1e-2 * r.normal(size=(n, d)),
    "small numbers": lambda r, n, d: 1e-100 * r.normal(size=(n, d)),
    "many ties": lambda r, n, d: r.integers(0, 2, (n, d)).astype(float),
    "all equal": lambda r, n, d: np.full((n, d), 0.1),
}


class TestRadii:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_slow_and_obvious(self, cloud, dtype):
        rng = np.random.default_rng(list(cloud.encode()))
        for n, d, k in [(2, 1, 1), (30, 3, 1), (40, 200, 5), (33, 17, 32)]:
            x = CLOUDS[cloud](rng, n, d).astype(dtype)
            np.testing.assert_allclose(neighbour_radii(x, k), slow_radii(x, k), rtol=1e-12, atol=0)

    def test_duplicates_are_at_distance_zero_exactly(self):
        x = np.random.default_rng(1).normal(100, 1, (20, 500)).astype(np.float32)
        x[[3, 7, 11]] = x[0]
        radii = neighbour_radii(x, 3)
        assert np.flatnonzero(radii == 0).tolist() == [0, 3, 7, 11]
        assert np.all(neighbour_radii(x, 4) > 0)

    def test_ties(self):
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
        assert neighbour_radii(corners, 1).tolist() == neighbour_radii(corners, 2).tolist() == [1.0] * 4
        np.testing.assert_array_equal(neighbour_radii(corners, 3), np.full(4, np.sqrt(2)))

    def test_whole_numbers_are_exact(self):
        x = np.random.default_rng(2).integers(-9, 9, (60, 40))
        np.testing.assert_array_equal(neighbour_radii(x, 2), slow_radii(x, 2))

    def test_panels_do_not_matter(self, monkeypatch):
        x = np.random.default_rng(3).normal(size=(150, 20)).astype(np.float32)
        whole = neighbour_radii(x, 4)
        monkeypatch.setattr(neighbours, "PANEL", 1000)
        monkeypatch.setattr(neighbours, "MEASURED", 37)
        np.testing.assert_array_equal(neighbour_radii(x, 4), whole)

    def test_a_product_of_bad_precision_would_be_seen(self, monkeypatch):
        """Planted: without the bound of the error the single-precision product picks wrong neighbours."""
        x = (1e4 * (np.arange(300) % 2)[:, None] + np.random.default_rng(4).normal(size=(300, 50))).astype(np.float32)
        right = slow_radii(x, 3)
        np.testing.assert_allclose(neighbour_radii(x, 3), right, rtol=1e-12)
        panels = neighbours._Pairs.panels
        monkeypatch.setattr(neighbours._Pairs, "panels", lambda self: ((r, n, 0 * e) for r, n, e in panels(self)))
        assert not np.allclose(neighbour_radii(x, 3), right, rtol=1e-6)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(2, 25), st.integers(1, 6), st.integers(0, 2**32 - 1))
    def test_moving_and_turning_the_points_changes_nothing(self, n, d, seed):
        rng = np.random.default_rng(seed)
        x, k = rng.normal(size=(n, d)), int(rng.integers(1, n))
        turned = x[:, ::-1] * -2 + rng.normal(size=d)
        np.testing.assert_allclose(neighbour_radii(turned, k), 2 * neighbour_radii(x, k), rtol=1e-9)


class TestNearest:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_slow_and_obvious(self, dtype):
        rng = np.random.default_rng(5)
        x, y = rng.normal(3, 1, (25, 60)).astype(dtype), rng.normal(3, 1, (31, 60)).astype(dtype)
        y[4] = x[9]
        expected = np.sort(all_distances(x, y), axis=1)
        for k in (1, 4, 31):
            np.testing.assert_allclose(nearest_distances(x, y, k), expected[:, :k], rtol=1e-12)
        assert nearest_distances(x, y)[9, 0] == 0

    def test_of_a_set_with_itself_each_is_its_own_neighbour(self):
        x = np.random.default_rng(6).normal(size=(12, 7))
        assert np.all(nearest_distances(x, x) == 0)
        np.testing.assert_array_equal(nearest_distances(x, x, 3)[:, -1], neighbour_radii(x, 2))


class TestBalls:
    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_slow_and_obvious(self, cloud):
        rng = np.random.default_rng(list(cloud.encode()))
        x, y = (CLOUDS[cloud](rng, n, 12) for n in (40, 30))
        radii = neighbour_radii(y, 3)
        np.testing.assert_array_equal(count_balls(x, y, radii), (all_distances(x, y) <= radii).sum(axis=1))

    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_the_surface_belongs_to_the_ball(self, cloud):
        """Each centre lies in its own ball, and its third neighbour exactly on the surface; a little less loses it."""
        y = CLOUDS[cloud](np.random.default_rng(list(cloud.encode())), 30, 12)
        radii = neighbour_radii(y, 3)
        assert count_balls(y, y, radii).sum() >= 4 * 30
        if radii.all():
            assert count_balls(y, y, radii * (1 - 1e-14)).sum() < count_balls(y, y, radii).sum()

    def test_precision_of_a_set_within_itself_is_one_and_of_a_far_one_none(self):
        real = np.random.default_rng(7).normal(size=(50, 8))
        radii = neighbour_radii(real, 3)
        assert np.all(count_balls(real, real, radii) > 0)
        assert np.all(count_balls(real + 1e3, real, radii) == 0)

    def test_radii_of_zero_and_enormous_ones(self):
        x = np.array([[0.0, 1.0], [2.0, 2.0]])
        assert count_balls(x, x, [0.0, 0.0]).tolist() == [1, 1]
        assert count_balls(x, x, [1e300, 1e300]).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: neighbour_radii(np.zeros((4, 2)), 4), "there are 3 others"),
        (lambda: neighbour_radii(np.zeros((4, 2)), 0), "k is 0"),
        (lambda: neighbour_radii(np.zeros((1, 2)), 1), "there are 0 others"),
        (lambda: neighbour_radii(np.zeros((4, 2)), 1.5), "k is 1.5"),
        (lambda: neighbour_radii(np.zeros(4), 1), r"shape \(4,\)"),
        (lambda: neighbour_radii(np.zeros((4, 0)), 1), r"shape \(4, 0\)"),
        (lambda: neighbour_radii([["a"], ["b"]], 1), "expected real numbers"),
        (lambda: nearest_distances(np.zeros((4, 2)), np.zeros((3, 2)), 4), "there are 3 references"),
        (lambda: nearest_distances(np.zeros((4, 2)), np.zeros((3, 3))), "2 and 3 features"),
        (lambda: count_balls(np.zeros((4, 2)), np.zeros((3, 2)), np.zeros(4)), r"expected \(3,\)"),
        (lambda: count_balls(np.zeros((4, 2)), np.zeros((3, 2)), [0, -1, 0]), "-1"),
    ],
)
def test_bad_input_says_what_was_given(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e19])
def test_features_that_are_no_numbers_are_refused(bad):
    x = np.zeros((4, 3))
    x[2, 1] = bad
    for call in (
        lambda: neighbour_radii(x, 1),
        lambda: nearest_distances(x[:2], x),
        lambda: count_balls(x, x, [0] * 4),
    ):
        with pytest.raises(NumericalError):
            call()
    with pytest.raises(NumericalError, match="radii"):
        count_balls(np.zeros((1, 1)), np.zeros((1, 1)), [np.inf])

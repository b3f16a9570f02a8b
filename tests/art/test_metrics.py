"""Numbers about made pictures: closed forms on Gaussians, errors that cover, planted faults that must show."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream

for needed in ("torch", "timm"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.metrics.classes import (  # noqa: E402
    estimate_inception_score,
    estimate_mode_score,
    find_inception_score,
    find_mode_score,
)
from pyqmc_art.art.metrics.distances import (  # noqa: E402
    estimate_frechet_distance,
    estimate_kernel_distance,
    find_frechet_distance,
    find_kernel_distance,
    make_kernel,
)
from pyqmc_art.art.metrics.halves import estimate_by_halves  # noqa: E402
from pyqmc_art.art.metrics.manifolds import compare_manifolds, find_radii  # noqa: E402

STREAM = Stream.from_seed(6)


def gauss(seed, n, d=3, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(size=(n, d)) * scale + shift


def with_moments(x, mean, covariance):
    """The same sample with exactly this mean and covariance."""
    white = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return white @ np.linalg.cholesky(covariance).T + mean


# -- distances


@pytest.mark.parametrize("n", [4, 40])
def test_the_frechet_distance_is_that_of_gaussians_with_these_moments(n):
    """More pictures than features and fewer; the square root of the product by its eigenvalues."""
    d = 3
    c, e = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.5]]), np.diag([0.3, 1.5, 4.0])
    shift = np.array([1.0, -2.0, 0.5])
    x, y = with_moments(gauss(1, n, d), 0 * shift, c), with_moments(gauss(2, n + 2, d), shift, e)
    roots = np.sqrt(np.linalg.eigvals(c @ e).real)
    exact = shift @ shift + np.trace(c) + np.trace(e) - 2 * roots.sum()
    assert math.isclose(find_frechet_distance(x, y), exact, rel_tol=1e-9)
    assert math.isclose(find_frechet_distance(y, x), exact, rel_tol=1e-9)
    assert find_frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


def test_the_distance_of_means_enters_squared():
    x = gauss(3, 50)
    assert find_frechet_distance(x, x + np.array([3.0, 4.0, 0.0])) == pytest.approx(25.0)


def test_the_kernel_distance_is_unbiased_and_that_of_the_moments():
    """For one feature MMD^2 = 3 (dm1)^2 + 3 (dm2)^2 + (dm3)^2 with the raw moments."""
    shift, scale = 0.4, 1.2
    moments = np.array([shift, shift**2 + scale**2, shift**3 + 3 * shift * scale**2]) - np.array([0.0, 1.0, 0.0])
    exact = 3 * moments[0] ** 2 + 3 * moments[1] ** 2 + moments[2] ** 2
    found = [
        find_kernel_distance(make_kernel(np.concatenate([gauss(k, 30, 1), gauss(1000 + k, 40, 1, shift, scale)])), 30)
        for k in range(400)
    ]
    assert abs(np.mean(found) - exact) < 4 * np.std(found) / 20
    alike = [find_kernel_distance(make_kernel(gauss(k, 60, 2)), 30) for k in range(400)]
    assert abs(np.mean(alike)) < 4 * np.std(alike) / 20
    assert min(alike) < 0


@pytest.mark.parametrize("estimate", [estimate_frechet_distance, estimate_kernel_distance])
def test_errors_are_those_of_repetition(estimate):
    """Standard deviation over repeated samples against the mean stated error, both shifted sets of 80."""
    found = [estimate(gauss(k, 80, 2), gauss(500 + k, 80, 2, 0.8), STREAM.fold("repeat", k)) for k in range(120)]
    spread = np.std([one.value for one in found], ddof=1)
    stated = np.mean([one.error for one in found])
    # The spread of 120 numbers is known to 6.5 %; halves of a distance spread a little more than the whole.
    assert 0.8 < stated / spread < 1.5


def test_too_few_pictures_for_the_features_are_told_of():
    few = estimate_frechet_distance(gauss(1, 10, 20), gauss(2, 30, 20), STREAM)
    assert few.warnings == ("10 pictures for 20 features: biased upwards",)
    assert not estimate_frechet_distance(gauss(1, 30, 2), gauss(2, 30, 2), STREAM).warnings


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match=r"shapes \(5, 3\) and \(5, 2\)"):
        estimate_kernel_distance(gauss(1, 5), gauss(1, 5, 2), STREAM)
    with pytest.raises(NumericalError, match="not finite"):
        estimate_kernel_distance(np.full((9, 3), np.nan), gauss(1, 9), STREAM)
    with pytest.raises(InputError, match="7 works"):
        estimate_by_halves(lambda a: 0.0, [7], STREAM)
    with pytest.raises(InputError, match="expected one for each"):
        estimate_by_halves(lambda a: 0.0, [9], STREAM, groups=[np.zeros(3)])


def test_pictures_of_one_work_stay_together():
    """Each of 40 works shown 5 times: the error is that of 40 numbers, and without the works it is too small."""
    x = np.repeat(gauss(4, 40, 1)[:, 0], 5)
    works = np.repeat(np.arange(40), 5)

    def find(chosen):
        return float(x[chosen].mean())

    honest = estimate_by_halves(find, [200], STREAM, groups=[works], samples=400).error
    naive = estimate_by_halves(find, [200], STREAM, samples=400).error
    exact = x.std() / math.sqrt(39)
    assert abs(honest / exact - 1) < 0.15
    assert naive < 0.6 * exact


# -- nearest neighbours


def test_radii_against_the_obvious_way():
    x = gauss(5, 30)
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    slow = [sorted(np.delete(row, i))[2] for i, row in enumerate(apart)]
    np.testing.assert_allclose(find_radii(apart, 3), slow)


def test_equal_distributions_have_the_expected_density_and_coverage():
    """Naeem et al., lemmas 1 and 2: density 1, coverage 1 - prod (n-i)/(n+m-i), whatever the distribution."""
    n, m, k = 40, 60, 3
    found = [compare_manifolds(gauss(k_, m), gauss(900 + k_, n), STREAM, k, samples=2) for k_ in range(150)]
    coverage = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    for name, exact in (("density", 1.0), ("coverage", coverage)):
        values = np.array([getattr(one, name).value for one in found])
        assert abs(values.mean() - exact) < 4 * values.std(ddof=1) / math.sqrt(len(values)), name


def test_noise_near_one_picture_is_precise_and_recalls_nothing():
    """The reason why precision never stands alone."""
    real = gauss(7, 200, 5)
    noise = real[0] + gauss(8, 200, 5, scale=0.01)
    found = compare_manifolds(noise, real, STREAM)
    assert found.precision.value == 1.0
    assert found.recall.value < 0.05
    assert found.coverage.value < 0.2


def test_half_of_the_modes_is_half_of_the_recall():
    two = np.concatenate([gauss(9, 100), gauss(10, 100, shift=50)])
    one = gauss(11, 200)
    found = compare_manifolds(one, two, STREAM)
    assert found.precision.value > 0.9
    assert 0.3 < found.recall.value <= 0.5
    assert found.coverage.value <= 0.5
    swapped = compare_manifolds(two, one, STREAM)
    assert swapped.precision.value <= 0.5
    assert swapped.recall.value > 0.9


def test_far_sets_share_nothing_and_few_pictures_are_refused():
    found = compare_manifolds(gauss(1, 30), gauss(2, 30, shift=100), STREAM)
    assert [found.precision.value, found.recall.value, found.density.value, found.coverage.value] == [0, 0, 0, 0]
    with pytest.raises(InputError, match="k is 5 for 10 made"):
        compare_manifolds(gauss(1, 10), gauss(2, 30), STREAM)


# -- classes


def test_scores_of_classes_against_sums_written_out():
    rng = np.random.default_rng(1)
    p, r = rng.dirichlet([0.4] * 5, 60), rng.dirichlet([0.4] * 5, 70)
    mean = p.mean(axis=0)
    divergence = np.mean([sum(a * math.log(a / b) for a, b in zip(row, mean, strict=True)) for row in p])
    assert find_inception_score(p) == pytest.approx(math.exp(divergence))
    away = sum(a * math.log(a / b) for a, b in zip(mean, r.mean(axis=0), strict=True))
    assert find_mode_score(p, r) == pytest.approx(math.exp(divergence - away))
    assert find_mode_score(p, p) == pytest.approx(find_inception_score(p))
    assert estimate_mode_score(p, r, STREAM).error > 0


def test_lost_classes_lower_the_mode_score_and_not_the_inception_score():
    """Ten classes; the generator makes five of them perfectly: the inception score sees nothing wrong."""
    real = np.eye(10)[np.arange(200) % 10] * 0.99 + 0.001
    made = np.eye(10)[np.arange(200) % 5] * 0.99 + 0.001
    assert estimate_inception_score(made, STREAM).value > 4.5
    assert estimate_mode_score(made, real, STREAM).value < 0.6 * estimate_inception_score(made, STREAM).value


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputError, match="sum to 1"):
        estimate_inception_score(np.ones((9, 3)), STREAM)
    with pytest.raises(InputError, match="3 and 2 classes"):
        estimate_mode_score(np.full((9, 3), 1 / 3), np.full((9, 2), 0.5), STREAM)

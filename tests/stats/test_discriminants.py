"""Linear discriminants: the exact logit of Gaussians, balance, ridges, and features beyond the members."""

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.discriminants import fit_discriminant, spread_features


def gaussians(n, m, shift, dimension=3, seed=1):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n + m, dimension))
    x[:n, 0] += shift
    return x, np.arange(n + m) < n


@pytest.mark.parametrize(("n", "m"), [(4000, 4000), (6000, 1500)])
def test_the_logit_of_shifted_gaussians(n, m):
    """ln N(x; 1) / N(x; 0) = x - 1/2, whatever the numbers of members."""
    x, truth = gaussians(n, m, 1.0)
    found = fit_discriminant(x, truth, np.arange(len(x)) % 4)
    line = found.coefficients / found.scale
    at_zero = found.logits(np.zeros((1, 3)))[0]
    sigma = 2.5 / np.sqrt(min(n, m))
    assert line == pytest.approx([1.0, 0.0, 0.0], abs=4 * sigma)
    assert at_zero == pytest.approx(-0.5, abs=4 * sigma)


def test_the_minimum_is_one():
    x, truth = gaussians(60, 80, 0.8)
    strength = 0.05
    found = fit_discriminant(x, truth, np.zeros(140), (strength,))
    weights = np.where(truth, 70 / 60, 70 / 80)
    z = (x - found.mean) / found.scale

    def cost(line, start):
        margins = np.where(truth, 1, -1) * (z @ line + start)
        return weights @ np.logaddexp(0, -margins) + strength * 140 / 2 * line @ line

    best = cost(found.coefficients, found.intercept)
    for step in np.random.default_rng(3).normal(size=(50, 4)) * 1e-3:
        assert cost(found.coefficients + step[:3], found.intercept + step[3]) > best


def test_without_information_the_strongest_ridge_is_taken_and_the_loss_is_that_of_guessing():
    x, truth = gaussians(100, 100, 0.0, dimension=40)
    found = fit_discriminant(x, truth, np.arange(200) % 4)
    assert found.strength == 1.0
    assert found.loss == pytest.approx(np.log(2), abs=0.02)


def test_more_features_than_members():
    x, truth = gaussians(20, 20, 3.0, dimension=300)
    rotated = fit_discriminant(x, truth, np.arange(40) % 2, (0.1,))
    padded = fit_discriminant(np.concatenate([x, np.ones((40, 5))], axis=1), truth, np.arange(40) % 2, (0.1,))
    assert padded.coefficients[:300] == pytest.approx(rotated.coefficients, abs=1e-6)
    assert padded.coefficients[300:] == pytest.approx(0.0, abs=1e-9)
    assert np.all((rotated.logits(x) > 0) == truth)


def test_waves_find_what_a_line_cannot():
    generator = np.random.default_rng(2)
    x = generator.normal(size=(1200, 2))
    x[:600] *= 2.0
    truth = np.arange(1200) < 600
    folds = np.arange(1200) % 3
    line = fit_discriminant(x, truth, folds)
    curve = fit_discriminant(spread_features(x, x, Stream.from_seed(1)), truth, folds)
    assert line.loss > 0.68
    assert curve.loss < 0.6


def test_one_class_or_nan_is_refused():
    with pytest.raises(InputError, match="one class"):
        fit_discriminant(np.ones((4, 1)), np.ones(4, bool), np.arange(4))
    with pytest.raises(InputError, match="not finite"):
        fit_discriminant(np.full((4, 1), np.nan), np.arange(4) < 2, np.arange(4))

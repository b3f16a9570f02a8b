"""Distances from the training works: left out in turn, or nothing new would ever look familiar."""

import numpy as np
import pytest

from pyqmc_art.art.familiarity import (
    METHODS,
    Capture,
    CaptureRange,
    Familiarity,
    _left_out,
    _shrink,
    learn_familiarity,
    measure_sharpness,
)
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.proportions import Rate


@pytest.fixture(scope="module")
def mixing() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(12, 150))


def draw(generator: np.random.Generator, mixing: np.ndarray, count: int) -> np.ndarray:
    """Fewer works than features, in a 12-dimensional sheet with some noise about it."""
    return generator.normal(size=(count, 12)) @ mixing + 0.3 * generator.normal(size=(count, 150))


def flagged(familiar: Familiarity, works: np.ndarray) -> Rate:
    return Rate.count(familiar.measure(work).far for work in works)


@pytest.mark.parametrize("method", METHODS)
def test_familiar_works_are_flagged_as_often_as_said(mixing: np.ndarray, method: str) -> None:
    """Averaged over ten training sets of 99 works: 5 % of new works like them, nearly all unlike ones."""
    generator = np.random.default_rng(2)
    near, far = [], []
    for _ in range(10):
        familiar = learn_familiarity(draw(generator, mixing, 99), method, alpha=0.05)
        near += [familiar.measure(work).far for work in draw(generator, mixing, 40)]
        far += [familiar.measure(work).far for work in 3 * generator.normal(size=(40, 150))]
    assert 0.01 < Rate.count(near).value < 0.12
    assert Rate.count(far).low > 0.95 or method == "neighbours"


@pytest.mark.parametrize("method", METHODS)
def test_moved_works_are_flagged(mixing: np.ndarray, method: str) -> None:
    generator = np.random.default_rng(3)
    familiar = learn_familiarity(draw(generator, mixing, 80), method)
    assert flagged(familiar, draw(generator, mixing, 50) + 15.0).value == 1.0
    distance = familiar.measure(np.full(150, 30.0))
    assert distance.p_value == pytest.approx(1 / 81)


def test_in_sample_distances_flag_too_many(mixing: np.ndarray) -> None:
    """Planted bug: the limit from training works that are in their own covariance."""
    generator = np.random.default_rng(4)
    works, new = draw(generator, mixing, 60), draw(generator, mixing, 100)
    familiar = learn_familiarity(works, alpha=0.05)
    in_sample = np.quantile([familiar.measure(work).value for work in works], 0.95)
    assert np.mean([familiar.measure(work).value > in_sample for work in new]) > 5 * 0.05
    assert flagged(familiar, new).low < 0.05 < 0.3 > flagged(familiar, new).value


@pytest.mark.parametrize("count, size", [(12, 5), (12, 40)])
def test_leaving_out_by_brute_force(count: int, size: int) -> None:
    z = np.random.default_rng(5).normal(size=(count, size))
    z -= z.mean(axis=0)
    axes, spectrum, rho, rest = _shrink(z)
    expected = []
    for i in range(count):
        others = np.delete(z, i, axis=0)
        covariance = (1 - rho) * np.cov(others.T) + rest * np.eye(size)
        offset = z[i] - others.mean(axis=0)
        expected.append(np.sqrt(offset @ np.linalg.solve(covariance, offset)))
    assert _left_out(z, axes, spectrum, rho, rest) == pytest.approx(np.array(expected))


def test_distance_by_brute_force() -> None:
    generator = np.random.default_rng(6)
    works = generator.normal(size=(15, 2)) @ generator.normal(size=(2, 30)) * 7 + generator.normal(size=(15, 30)) + 2
    familiar = learn_familiarity(works)
    z = (works - works.mean(axis=0)) / works.std(axis=0, ddof=1)
    rho = familiar.rest / (np.trace(np.cov(z.T)) / 30)
    covariance = (1 - rho) * np.cov(z.T) + familiar.rest * np.eye(30)
    new = (np.arange(30.0) - works.mean(axis=0)) / works.std(axis=0, ddof=1)
    assert familiar.measure(np.arange(30.0)).value == pytest.approx(np.sqrt(new @ np.linalg.solve(covariance, new)))
    assert 0 < rho < 1


def test_a_constant_feature_is_harmless() -> None:
    works = np.random.default_rng(7).normal(size=(20, 4))
    works[:, 2] = 5.0
    assert not learn_familiarity(works).measure(works.mean(axis=0)).far


def test_bad_features() -> None:
    works = np.random.default_rng(8).normal(size=(20, 4))
    with pytest.raises(InputError, match="at least 10 works"):
        learn_familiarity(works[:9])
    with pytest.raises(InputError, match="unknown method"):
        learn_familiarity(works, "cosine")
    with pytest.raises(InputError, match="the same features"):
        learn_familiarity(np.ones((20, 4)))
    with pytest.raises(NumericalError, match="training works"):
        learn_familiarity(np.where(works > 2, np.nan, works) * np.nan)
    with pytest.raises(InputError, match="as the training works"):
        learn_familiarity(works).measure([1.0])
    with pytest.raises(NumericalError, match="this picture"):
        learn_familiarity(works).measure([np.inf] * 4)


def blur(picture: np.ndarray) -> np.ndarray:
    return (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1) + np.roll(picture, (1, 1), (0, 1))) / 4


def test_sharpness_falls_with_blur() -> None:
    noise = np.random.default_rng(9).normal(128, 20, (200, 200))
    assert measure_sharpness(noise) == pytest.approx(np.sqrt(20), rel=0.02)
    steps = [noise, blur(noise), blur(blur(noise))]
    values = [measure_sharpness(one) for one in steps]
    assert values == sorted(values, reverse=True)
    assert measure_sharpness(3 * noise + 7) == pytest.approx(values[0])
    with pytest.raises(InputError, match="3 x 3"):
        measure_sharpness(np.zeros((2, 9)))


def test_input_checks() -> None:
    known = CaptureRange.of([Capture(800, 600, "JPEG", 90, 1.0), Capture(1000, 1200, "JPEG", 70, 0.6)])
    assert known.check(Capture(700, 700, "JPEG", 80, 0.8)) == ()
    found = known.check(Capture(200, 900, "WEBP", None, 0.3))
    assert [one.split(":")[0] for one in found] == ["size", "size", "format", "blurred"]
    assert known.check(Capture(700, 700, "JPEG", 30, 2.0)) == (
        "JPEG quality: 30, training works 70 to 90",
        "sharpened or noisy: sharpness 2.00, training works 0.60 to 1.00",
    )
    measured = Capture.of(np.zeros((300, 400, 3), np.uint8), "PNG")
    assert (measured.width, measured.height, measured.side, measured.sharpness) == (400, 300, 300, 0.0)
    with pytest.raises(InputError, match="no training pictures"):
        CaptureRange.of([])

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.fits import fit_linear, fit_power_law

TRIALS = 2000
SIGMAS = 4.5


def pulls(exponent_error: float = 1.0) -> np.ndarray:
    """Deviations of fitted (ln a, z) from the truth in units of their errors; errors can be tampered with."""
    rng = np.random.default_rng(5)
    sizes, a, z, relative = np.array([10.0, 20.0, 30.0, 40.0]), 3.0, 2.17, np.array([0.05, 0.05, 0.08, 0.1])
    found = []
    for _ in range(TRIALS):
        tau = a * (sizes / 10) ** z * np.exp(relative * rng.normal(size=4))
        law = fit_power_law(sizes, [Estimate(t, t * r) for t, r in zip(tau, relative, strict=True)], 10.0)
        found.append(
            (
                (np.log(law.amplitude.value) - np.log(a)) / (law.amplitude.error / law.amplitude.value),
                (law.exponent.value - z) / (exponent_error * law.exponent.error),
                law.fit.chi_square,
            )
        )
    return np.array(found)


def is_standard_normal(deviations: np.ndarray) -> bool:
    n = len(deviations)
    return bool(
        abs(deviations.mean()) < SIGMAS / np.sqrt(n) and abs((deviations**2).mean() - 1) < SIGMAS * np.sqrt(2 / n)
    )


def test_errors_of_a_and_z_cover() -> None:
    found = pulls()
    assert is_standard_normal(found[:, 0])
    assert is_standard_normal(found[:, 1])
    # chi-square of 4 data and 2 parameters: mean 2, variance 4.
    assert abs(found[:, 2].mean() - 2) < SIGMAS * np.sqrt(4 / TRIALS)


def test_an_error_that_is_too_small_is_noticed() -> None:
    assert not is_standard_normal(pulls(exponent_error=0.8)[:, 1])


def test_correlated_data_are_weighted_by_their_covariance() -> None:
    rng = np.random.default_rng(6)
    design = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    covariance = 0.04 * np.eye(5) + 0.25
    fits = [
        fit_linear(design, design @ [1.0, 0.5] + rng.multivariate_normal(np.zeros(5), covariance), covariance)
        for _ in range(TRIALS)
    ]
    deviations = np.array(
        [[(f.parameters[k] - t) / f.parameter(k).error for k, t in ((0, 1.0), (1, 0.5))] for f in fits]
    )
    assert is_standard_normal(deviations[:, 0])
    assert is_standard_normal(deviations[:, 1])


def test_correction_to_scaling_is_recovered() -> None:
    sizes = np.array([8.0, 12.0, 16.0, 24.0, 32.0])
    y = 2.0 * sizes**1.2 * np.exp(-0.7 * sizes**-0.8)
    data = [Estimate(v, 0.01 * v) for v in y]
    law = fit_power_law(sizes, data, omega=0.8)
    assert law.exponent.value == pytest.approx(1.2, abs=1e-9)
    assert law.amplitude.value == pytest.approx(2.0, rel=1e-9)
    assert law(sizes) == pytest.approx(y)
    # Without it the exponent is wrong, and a common error widens it.
    assert abs(fit_power_law(sizes, data).exponent.value - 1.2) > 0.05
    common = 0.1 * np.log(sizes)
    assert fit_power_law(sizes, data, omega=0.8, common=common).exponent.error > law.exponent.error


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="use more lattice sizes"):
        fit_power_law([10.0], [Estimate(1.0, 0.1)])
    with pytest.raises(InputError, match="positive"):
        fit_power_law([10.0, 20.0], [Estimate(1.0, 0.1), Estimate(-1.0, 0.1)])
    with pytest.raises(InputError, match="errors above zero"):
        fit_linear([[1.0], [1.0]], [1.0, 2.0], [0.0, 1.0])


def test_two_points_leave_nothing_to_test() -> None:
    law = fit_power_law([10.0, 20.0], [Estimate(1.0, 0.1), Estimate(4.0, 0.4)])
    assert law.fit.reduced is None
    assert law.fit.probability == 1.0

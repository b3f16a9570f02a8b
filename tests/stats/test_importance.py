"""Importance weights: against exact values, laws of known tail, and another program."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import genpareto

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.stats.importance import HEAVY_TAIL, average_weighted, fit_pareto, follow_chain, summarize_weights


def gaussians(width: float, n: int, seed: int = 3) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log weights of a normal target exp(-x^2/2), Z = sqrt(2 pi), proposed by a normal law of another width."""
    random = np.random.default_rng(seed)
    x = width * random.normal(size=n)
    log_q = -0.5 * (x / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
    return -0.5 * x**2 - log_q, random.uniform(size=n)


def test_ln_z_of_a_gaussian_within_its_error() -> None:
    found = summarize_weights(*gaussians(1.3, 40_000))
    assert abs(found.log_partition.deviation(0.5 * math.log(2 * math.pi))) < 5
    assert found.log_partition.reliable
    assert found.lower_bound.value < found.log_partition.value
    # (sum w)^2 / (n sum w^2) -> sqrt(2 s^2 - 1) / s^2.
    assert found.effective / found.count == pytest.approx(math.sqrt(2 * 1.3**2 - 1) / 1.3**2, abs=0.02)


def test_the_error_of_ln_z_is_its_scatter() -> None:
    values, errors = [], []
    for seed in range(200):
        found = summarize_weights(*gaussians(1.4, 500, seed)).log_partition
        values.append(found.value)
        errors.append(found.error)
    # The standard deviation of 200 numbers is known to 5 %.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_a_proposal_that_is_too_narrow_is_told_by_its_tail_and_not_by_its_ess() -> None:
    narrow = summarize_weights(*gaussians(0.5, 20_000))
    assert narrow.pareto_k is not None
    assert narrow.pareto_k > HEAVY_TAIL
    assert not narrow.log_partition.reliable
    assert narrow.longest_rejection > 20
    assert "N = 20000" in str(narrow)
    assert "longest rejection run" in str(narrow)
    assert "Pareto k" in str(narrow)


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.7, 1.2])
def test_the_shape_of_a_pareto_tail(shape: float) -> None:
    """Above any threshold the law is one of the same shape; the error of k is near (1 + k) / sqrt(tail)."""
    weights = genpareto.rvs(shape, size=100_000, random_state=np.random.default_rng(5))
    tail = 3 * math.sqrt(len(weights))
    found = fit_pareto(np.log(weights))
    assert found is not None
    assert abs(found - shape) < 5 * (1 + abs(shape)) / math.sqrt(tail)


def test_the_shape_is_that_of_another_program() -> None:
    arviz = pytest.importorskip("arviz", reason="arviz is not installed")
    for width in (0.4, 0.6, 0.9, 1.5):
        logs, _ = gaussians(width, 3000)
        assert fit_pareto(logs) == pytest.approx(float(arviz.psislw(logs.copy())[1]), abs=1e-6)


def test_rejections_are_counted_as_a_chain_counts_them() -> None:
    logs = np.array([0.0, 1.0, 5.0, 1.0, 2.0, 3.0, 5.0])
    # log(1 - u) = 0: only what is more probable is accepted, and after the 5 nothing is.
    assert follow_chain(logs, np.zeros(7)) == (2 / 6, 4)
    # log(1 - u) = -2.5: after the 5 only the 3 may be, and the 5.
    assert follow_chain(logs, np.full(7, 1 - math.exp(-2.5))) == (4 / 6, 2)
    assert follow_chain(logs, np.full(7, 1 - 2.0**-53)) == (1.0, 0)


def test_equal_weights_have_no_tail_and_a_weight_of_zero_counts() -> None:
    same = summarize_weights(np.zeros(1000), np.random.default_rng(1).uniform(size=1000))
    assert (same.effective, same.log_partition.value, same.log_partition.error) == (1000, 0, 0)
    half = np.zeros(1000)
    half[::2] = -np.inf
    found = summarize_weights(half, np.random.default_rng(1).uniform(size=1000))
    assert found.log_partition.value == pytest.approx(-math.log(2))
    assert found.effective == pytest.approx(500)
    assert found.nonfinite == 0


def test_bad_weights() -> None:
    logs = np.zeros(100)
    logs[3], logs[4] = np.nan, np.inf
    assert summarize_weights(logs, np.full(100, 0.5)).nonfinite == 2
    with pytest.raises(NumericalError, match="none of 5"):
        summarize_weights(np.full(5, np.nan), np.zeros(5))
    with pytest.raises(InputError, match="at least 2"):
        summarize_weights([0.0], [0.0])
    with pytest.raises(InputError, match="expected one shape"):
        summarize_weights(np.zeros(4), np.zeros(3))


def test_a_weighted_average_and_its_error() -> None:
    random = np.random.default_rng(9)
    values, errors = [], []
    for _ in range(200):
        x = 1.4 * random.normal(size=500)
        found = average_weighted(-0.5 * x**2 + 0.5 * (x / 1.4) ** 2, x**2)
        values.append(found.value)
        errors.append(found.error)
    assert abs(np.mean(values) - 1) < 4 * np.std(values) / math.sqrt(200)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_a_weighted_average_counts_only_what_has_weight() -> None:
    logs, values = np.array([0.0, 0.0, -np.inf, np.nan]), np.array([1.0, 3.0, np.nan, 1e9])
    assert average_weighted(logs, values).value == 2.0
    # Only differences of log weights matter, however large they are.
    assert average_weighted(logs + 5000, values) == average_weighted(logs, values)
    with pytest.raises(InputError, match="not finite where the weight is not 0"):
        average_weighted(np.zeros(3), np.array([1.0, np.nan, 2.0]))
    with pytest.raises(InputError, match="expected one shape"):
        average_weighted(np.zeros(3), np.zeros(2))
    with pytest.raises(NumericalError, match="none of 2"):
        average_weighted(np.full(2, -np.inf), np.zeros(2))


def test_a_weighted_average_tells_of_a_heavy_tail() -> None:
    logs, _ = gaussians(0.5, 20_000)
    assert not average_weighted(logs, logs).reliable

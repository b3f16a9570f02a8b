from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from pyqmc_art.errors import NumericalError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.enumeration import DensityOfStates, density_of_states, exact_moments
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.reweighting import Run
from pyqmc_art.studies.binder import Crossing, SizeCurves, extrapolate, find_crossing, find_crossings, make_run

BETAS = (0.40, 0.46, 0.52)


@cache
def states(lattice: Lattice) -> DensityOfStates:
    return density_of_states(Ising(lattice, beta=0.0))


def exact_cumulant(size: int, beta: float) -> float:
    action, density = Ising(Lattice((size, size)), beta=beta), states(Lattice((size, size)))
    p, m = density.probabilities(action), density.magnetization(action)
    return float(1 - (p @ m**4) / (3 * (p @ m**2) ** 2))


def exact_slope(size: int, beta: float) -> float:
    return (exact_cumulant(size, beta + 1e-4) - exact_cumulant(size, beta - 1e-4)) / 2e-4


def drawn(
    size: int, seed: int, count: int = 20_000, fourth: Callable[[np.ndarray], np.ndarray] = lambda m: m**4
) -> SizeCurves:
    """Curves of runs that are drawn exactly; ``fourth`` can be planted wrong."""
    rng = np.random.default_rng(seed)
    shape = Lattice((size, size))
    runs: list[Run] = []
    for beta in BETAS:
        action = Ising(shape, beta=beta)
        density = states(shape)
        index = rng.choice(len(density.count), size=(count // 8, 8), p=density.probabilities(action))
        m = density.magnetization(action)[index]
        runs.append(make_run(beta, density.hamiltonian(action)[index], m**2, fourth(m)))
    return SizeCurves(size, size**2, tuple(runs))


@pytest.fixture(scope="module")
def four() -> SizeCurves:
    return drawn(4, seed=1)


@pytest.mark.parametrize("beta", [0.41, 0.445, 0.48, 0.515])
def test_reweighted_cumulant_and_slope_are_the_enumerated_ones(four: SizeCurves, beta: float) -> None:
    assert abs(four.binder(beta).deviation(exact_cumulant(4, beta))) < 4
    assert abs(four.slope(beta).deviation(exact_slope(4, beta))) < 4
    assert four.binder.derivative(beta) == pytest.approx(four.slope(beta).value, rel=1e-4)
    moments = exact_moments(Ising(Lattice((4, 4)), beta=beta))
    assert abs(four.susceptibility(beta).deviation(16 * moments.magnetization2)) < 4
    assert abs(four.energy(beta).deviation(moments.energy)) < 4
    assert abs(four.specific_heat(beta).deviation(moments.specific_heat)) < 4


def test_a_wrong_moment_is_noticed() -> None:
    wrong = drawn(4, seed=1, fourth=lambda m: np.abs(m) ** 3)
    assert abs(wrong.binder(0.45).deviation(exact_cumulant(4, 0.45))) > 8


def test_crossing_of_two_small_lattices_is_the_exact_one(four: SizeCurves) -> None:
    two = drawn(2, seed=2)
    low, high = BETAS[0], BETAS[-1]
    assert exact_cumulant(4, low) < exact_cumulant(2, low) and exact_cumulant(4, high) > exact_cumulant(2, high)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if exact_cumulant(4, middle) < exact_cumulant(2, middle) else (low, middle)
    crossing = find_crossing(two, four)
    assert abs(crossing.beta.deviation(low)) < 4
    assert crossing.value == pytest.approx(exact_cumulant(2, low), abs=0.02)
    assert [one.sizes for one in find_crossings([four, two])] == [(2, 4)]


def test_errors_of_the_crossing_cover() -> None:
    found = [find_crossing(drawn(2, seed=10 + k), drawn(4, seed=50 + k)).beta for k in range(24)]
    spread = np.std([one.value for one in found], ddof=1)
    claimed = np.sqrt(np.mean([one.error**2 for one in found]))
    # A standard deviation from 24 values is known to 15 %.
    assert 0.5 < claimed / spread < 2.0


def test_what_does_not_cross_is_an_error(four: SizeCurves) -> None:
    with pytest.raises(NumericalError, match="do not cross"):
        find_crossing(four, four)
    with pytest.raises(NumericalError, match="wider window"):
        four.binder(0.6)


def test_extrapolation_knows_that_pairs_share_a_lattice() -> None:
    def crossing(small: int, large: int, c: float) -> Crossing:
        return Crossing((small, large), Estimate(0.44 + c * small**-3.0, 2e-4), 0.61, (1e-4, -1.7e-4))

    chain = [crossing(8, 16, 0.5), crossing(16, 32, 0.5), crossing(32, 64, 0.5)]
    beta_c, fit = extrapolate(chain, 3.0)
    assert fit is not None and fit.freedom == 1
    assert beta_c.value == pytest.approx(0.44, abs=1e-9)
    # The same numbers from separate lattices: another error.
    apart = [crossing(8, 16, 0.5), crossing(17, 33, 0.5), crossing(32, 64, 0.5)]
    assert extrapolate(apart, 3.0)[0].error != pytest.approx(beta_c.error, rel=0.05)
    # Two pairs leave that of the largest lattices.
    assert extrapolate(chain[:2], 3.0) == (chain[1].beta, None)

"""Reweighting against the enumerated 4 x 4 Ising model and a Gaussian density of states."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.stats import reweighting
from pyqmc_art.stats.reweighting import Reweighting, Run, solve_free_energies

ALPHA = 1e-3
BETAS = (0.25, 0.35, 0.45)
ELSEWHERE = (0.2, 0.3, 0.4, 0.5)
EXPERIMENTS, LENGTH = 30, 1500


class Exact:
    """All 65,536 states of the 4 x 4 torus: their H and their squared magnetisation."""

    def __init__(self) -> None:
        bits = np.arange(2**16)[:, None] >> np.arange(16) & 1
        states = (2 * bits - 1).astype(np.int8).reshape(-1, 4, 4)
        self.energy = Ising(Lattice((4, 4)), beta=1.0)(states)
        self.m2 = states.mean(axis=(1, 2)) ** 2

    def weights(self, beta: float) -> np.ndarray:
        weights = np.exp(-beta * (self.energy - self.energy.min()))
        return weights / weights.sum()

    def mean(self, values: np.ndarray, beta: float) -> float:
        return float(values @ self.weights(beta))

    def ln_z(self, beta: float) -> float:
        lowest = self.energy.min()
        return float(np.log(np.exp(-beta * (self.energy - lowest)).sum()) - beta * lowest)

    def chain(self, rng: np.random.Generator, beta: float, keep: float = 0.5) -> np.ndarray:
        """States of a stationary chain that stays with probability ``keep`` and else draws anew: rho(t) = keep^t."""
        fresh = rng.choice(2**16, size=LENGTH, p=self.weights(beta))
        moved = rng.random(LENGTH) >= keep
        moved[0] = True
        return fresh[np.maximum.accumulate(np.where(moved, np.arange(LENGTH), 0))]


@pytest.fixture(scope="module")
def exact() -> Exact:
    return Exact()


@pytest.fixture(scope="module")
def chains(exact: Exact) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(1989)
    return [[exact.chain(rng, beta) for beta in BETAS] for _ in range(EXPERIMENTS)]


def runs(exact: Exact, chains: Sequence[np.ndarray], betas: Sequence[float] = BETAS) -> list[Run]:
    return [
        Run(beta, exact.energy[chain][:, None], {"m2": exact.m2[chain][:, None]})
        for beta, chain in zip(betas, chains, strict=True)
    ]


def p_value(pulls: Sequence[float]) -> float:
    """Two-sided chi-square test that independent pulls have unit variance about zero.

    A jackknife of 40 blocks in each of three runs makes the expected square at most 1 + 2/40: a fifth of the spread of
    the sum over 30 experiments.
    """
    square = float(np.dot(pulls, pulls))
    return 2 * min(stats.chi2.cdf(square, len(pulls)), stats.chi2.sf(square, len(pulls)))


def test_energies_elsewhere(exact: Exact, chains: list[list[np.ndarray]]) -> None:
    curves = [Reweighting(runs(exact, one)).curve("H", ELSEWHERE) for one in chains]
    for i, beta in enumerate(ELSEWHERE):
        truth = exact.mean(exact.energy, beta)
        assert p_value([curve[i].deviation(truth) for curve in curves]) > ALPHA / len(ELSEWHERE)


def test_another_observable_and_free_energies(exact: Exact, chains: list[list[np.ndarray]]) -> None:
    reweightings = [Reweighting(runs(exact, one)) for one in chains]
    truth = exact.mean(exact.m2, 0.4)
    assert p_value([r.mean("m2", 0.4).deviation(truth) for r in reweightings]) > ALPHA / 2
    truth = exact.ln_z(0.5) - exact.ln_z(0.2)
    assert p_value([r.ln_z(0.5, reference=0.2).deviation(truth) for r in reweightings]) > ALPHA / 2


def test_specific_heat_from_one_run(exact: Exact, chains: list[list[np.ndarray]]) -> None:
    """The single-histogram method, and a function of two averages."""

    def pull(one: list[np.ndarray]) -> float:
        alone = Reweighting(runs(exact, one[1:2], BETAS[1:2]))
        (heat,) = alone.derived(lambda a: 0.3**2 * (a[1] - a[0] ** 2), ["H", "H2"], [0.3])
        return heat.deviation(truth)

    truth = 0.3**2 * (exact.mean(exact.energy**2, 0.3) - exact.mean(exact.energy, 0.3) ** 2)
    assert p_value([pull(one) for one in chains]) > ALPHA


def off_by_two_percent(beta: float) -> float:
    return 1.02 * beta


def one_off_by_five_percent(beta: float) -> float:
    return 1.05 * beta if beta == BETAS[0] else beta


@pytest.mark.parametrize("bug", [off_by_two_percent, one_off_by_five_percent])
def test_a_planted_wrong_beta_is_caught(
    exact: Exact, chains: list[list[np.ndarray]], bug: Callable[[float], float]
) -> None:
    wrong = [bug(beta) for beta in BETAS]
    truth = exact.mean(exact.energy, 0.3)
    assert p_value([Reweighting(runs(exact, one, wrong)).mean("H", 0.3).deviation(truth) for one in chains]) < ALPHA


def test_a_planted_wrong_sign_is_caught(exact: Exact, chains: list[list[np.ndarray]]) -> None:
    """Weights exp(+beta H): from one run the answer still looks sound, but goes the wrong way."""
    truth = exact.mean(exact.energy, 0.4)
    flipped = [Run(BETAS[1], -exact.energy[one[1]], {"true H": exact.energy[one[1]]}) for one in chains]
    assert p_value([Reweighting([run]).mean("true H", 0.4).deviation(truth) for run in flipped]) < ALPHA


def test_autocorrelation_widens_the_errors(exact: Exact) -> None:
    """Errors grow as sqrt(2 tau), tau = (1 + keep)/(2 (1 - keep)) = 4.5; blocks of one measurement would miss it."""
    rng = np.random.default_rng(9)
    still, lively = ([exact.chain(rng, beta, keep) for beta in BETAS] for keep in (0.8, 0.0))
    slow, fast = (Reweighting(runs(exact, chains)).mean("H", 0.3).error for chains in (still, lively))
    # Each error is known to 1/sqrt(2 x 100) = 7 %: four sigmas of the ratio are 40 %.
    assert slow / fast == pytest.approx(3.0, rel=0.4)


def test_without_noise_the_free_energies_are_exact(exact: Exact) -> None:
    betas = np.array([0.0, 0.2, 0.5, 1.0])
    drawn = np.array([100.0, 1000.0, 10.0, 500.0])
    levels, where = np.unique(exact.energy, return_inverse=True)
    counts = sum(a * np.bincount(where, exact.weights(beta), len(levels)) for a, beta in zip(drawn, betas, strict=True))
    f = solve_free_energies(betas, levels, counts, drawn, np.zeros(4))
    truth = [exact.ln_z(betas[0]) - exact.ln_z(beta) for beta in betas]
    assert f == pytest.approx(truth, abs=1e-9)


def test_no_iterations_left_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reweighting, "_ITERATIONS", 1)
    with pytest.raises(NumericalError, match="did not converge in 1 iterations"):
        solve_free_energies(np.array([0.0, 1.0]), np.arange(2.0), np.array([3.0, 1.0]), np.full(2, 2.0), np.zeros(2))


def gaussian(beta: float, seed: int, n: int = 4000) -> Run:
    """H of a density of states exp(-H^2/(2 100^2)): normal about -100^2 beta, and ln Z = 100^2 beta^2/2."""
    return Run(beta, np.random.default_rng(seed).normal(-(100.0**2) * beta, 100.0, size=(n, 2)))


def test_continuous_energies_over_many_runs() -> None:
    """Ten standard deviations apart from end to end; ln Z is 50 there."""
    ladder = Reweighting([gaussian(0.02 * i, seed=i, n=500) for i in reversed(range(6))])
    ratio = ladder.ln_z(0.1)
    assert abs(ratio.deviation(50.0)) < 4
    assert ratio.error < 0.2
    assert abs(ladder.mean("H", 0.055).deviation(-550.0)) < 4


def test_beyond_the_overlap_is_refused() -> None:
    alone = Reweighting([gaussian(0.0, seed=1)])
    assert alone.mean("H", 0.01).reliable
    with pytest.raises(InputError, match=r"beta = 0.06 lies outside .* effective samples"):
        alone.mean("H", 0.06)
    with pytest.raises(InputError, match=r"beta = 0.06 lies outside"):
        alone.ln_z(0.06)
    with pytest.raises(InputError, match="beta is nan"):
        alone.mean("H", math.nan)


def test_runs_without_overlap_are_refused() -> None:
    with pytest.raises(InputError, match=r"the runs at beta = 0.0 and 0.1 do not overlap"):
        Reweighting([gaussian(0.0, seed=1), gaussian(0.1, seed=2)])


def test_effective_samples() -> None:
    """At its own beta a run has all its samples; exp(-(beta sigma)^2) of them are left elsewhere, n being large."""
    alone = Reweighting([gaussian(0.0, seed=3)])
    full = alone.effective_samples(0.0)
    assert full == pytest.approx(8000, rel=0.1)
    assert alone.effective_samples(0.01) / full == pytest.approx(math.exp(-1.0), rel=0.15)
    assert alone.mean("H", 0.01).ess == alone.effective_samples(0.01)


def test_one_run_cut_in_two_is_one_run() -> None:
    whole = gaussian(0.01, seed=4)
    halves = [Run(0.01, whole.energy[:2000]), Run(0.01, whole.energy[2000:])]
    one, two = (Reweighting(runs).mean("H", 0.02) for runs in ([whole], halves))
    # The halves differ in their weights only, by the noise of their tau: a small part of the error.
    assert abs(one.value - two.value) < 0.1 * one.error


def test_short_slow_runs_are_reported(exact: Exact) -> None:
    chain = exact.chain(np.random.default_rng(10), 0.3, keep=0.99)
    estimate = Reweighting([Run(0.3, exact.energy[chain])], minimum_effective=5).mean("H", 0.31)
    assert not estimate.reliable
    assert any("beta = 0.3" in warning for warning in estimate.warnings)


def test_bad_input() -> None:
    energy = np.random.default_rng(11).normal(size=(100, 2))
    with pytest.raises(InputError, match="there are no runs"):
        Reweighting([])
    with pytest.raises(InputError, match="blocks is 2"):
        Reweighting([Run(0.1, energy)], blocks=2)
    with pytest.raises(InputError, match="beta is inf"):
        Run(math.inf, energy)
    with pytest.raises(InputError, match=r"m2 of the run at beta = 0.1 has shape"):
        Run(0.1, energy, {"m2": energy[:50]})
    with pytest.raises(InputError, match="expected the same in each"):
        Reweighting([Run(0.1, energy), Run(0.1, energy, {"m2": energy})])
    with pytest.raises(InputError, match="did you mean 'm2'"):
        Reweighting([Run(0.1, energy, {"m2": energy})]).mean("m3", 0.1)
    with pytest.raises(NumericalError, match="at measurement 3 of replica 1"):
        Run(0.1, np.where(np.arange(200).reshape(100, 2) == 7, np.nan, energy))

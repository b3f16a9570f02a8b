"""The judgement of a race: who is slower, who is stuck, when training has paid; on numbers made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies import race_report, slowing_report
from pyqmc_art.studies.contestants import (
    CLUSTER,
    FLOW,
    FOURIER,
    HEAT_BATH,
    HMC,
    METROPOLIS,
    VAE_LOCAL,
    Lessons,
    diagonal_action,
    find_block,
    tune_hmc,
)
from pyqmc_art.studies.heats import M_SQUARED, Heat, M, Result, break_even, run_heat
from pyqmc_art.studies.times import Effort, Times

LESSONS = Lessons(1, 1, 1)
SIGNS = np.tile(np.repeat([1.0, -1.0], 5), 100)[:, None]


def made(contestant, taus, *, training=None, cost=1e-5, series=SIGNS, broken=False, warnings=(), mean=1.0):
    """A result with given tau of M and of M^2, each to ten per cent."""
    estimates = {
        name: Estimate(mean, 0.1, tau_int=tau, tau_int_error=0.1 * tau, n=1000, warnings=warnings)
        for name, tau in zip((M, M_SQUARED), taus, strict=True)
    }
    times = Times(estimates, {M: series, M_SQUARED: series**2}, 1, 0, cost, 1.0, np.ones((1, 6, 6)))
    return Result(contestant, times, training, 100 if training else 0, 288, broken)


def heat_of(*results, broken=False, size=6):
    return Heat(Phi4(Lattice((size, size)), -4.0, 3.2) if broken else diagonal_action(size), broken, results)


def test_the_slower_observable_decides() -> None:
    flips, slow = made(CLUSTER, (0.5, 10.0)), made(HMC, (2.0, 1.0))
    assert flips.pace().value == pytest.approx(1 / (2 * 10.0 * 1e-5))
    assert slow.pace().value == pytest.approx(1 / (2 * 2.0 * 1e-5))
    heat = heat_of(flips, slow)
    assert [r.contestant for r in heat.ranked()] == [HMC, CLUSTER]
    assert heat.untrained() is slow


def test_a_doubtful_run_is_no_rival() -> None:
    heat = heat_of(made(HMC, (0.6, 0.6), warnings=("run longer",)), made(HEAT_BATH, (5.0, 5.0)))
    assert heat.ranked()[0].contestant is HMC
    assert heat.untrained().contestant is HEAT_BATH
    assert "heat bath" in race_report.answer([heat]).split("\n")[0]
    assert any("In doubt: HMC" in note for note in race_report.notes([heat], ()))


def test_training_pays_after_the_samples_that_save_its_time() -> None:
    rival = made(HMC, (10.0, 1.0), cost=1e-4)
    learned = made(FLOW, (1.0, 1.0), cost=1e-4, training=9.0)
    # 2e-3 and 2e-4 CPU-seconds for each effective sample: 1.8e-3 are saved.
    assert break_even(learned, rival).value == pytest.approx(9.0 / 1.8e-3)
    assert break_even(made(FLOW, (10.0, 10.0), cost=1e-4, training=9.0), rival) == "never"
    assert break_even(rival, learned) is None
    doubtful = made(FLOW, (1.0, 1.0), cost=1e-4, training=9.0, warnings=("run longer",))
    assert break_even(doubtful, rival) == "unknown"
    assert break_even(learned, None) == "unknown"
    # Too short a run underestimates tau: what is slower even so never pays.
    slow = made(FLOW, (50.0, 50.0), cost=1e-4, training=9.0, warnings=("run longer",))
    assert break_even(slow, rival) == "never"


def test_what_does_not_tunnel_has_no_samples_of_m() -> None:
    frozen = made(METROPOLIS, (0.5, 0.5), series=np.ones((1000, 1)), broken=True)
    moving = made(CLUSTER, (0.5, 5.0), broken=True)
    assert frozen.stuck and not moving.stuck
    assert frozen.pace() is None and frozen.speed(M) is None and frozen.speed(M_SQUARED) is not None
    # Ten changes of sign in 1000 steps of 1e-5 CPU-seconds would be seen: one effective sample for each.
    assert frozen.fastest() == pytest.approx(10 / (1000 * 1e-5))
    heat = heat_of(frozen, moving, broken=True)
    assert [r.contestant for r in heat.ranked()] == [CLUSTER, METROPOLIS]
    ranking = race_report.tables([heat])[0]
    assert [row[0] for row in ranking.rows] == [1, None]
    assert ranking.rows[1][4] == "< 1000"
    assert "L = 6, λ = 3.2: Metropolis" in race_report.answer([heat])
    # A frozen sign is no fault where there is one phase only.
    assert not made(METROPOLIS, (0.5, 0.5), series=np.ones((1000, 1))).stuck


def test_contradicting_averages_are_found() -> None:
    fair = heat_of(made(HMC, (1.0, 1.0)), made(HEAT_BATH, (1.0, 1.0), mean=1.1))
    planted = heat_of(made(HMC, (1.0, 1.0)), made(HEAT_BATH, (1.0, 1.0), mean=2.0))
    assert fair.agreement()[0] > 0.1
    assert planted.agreement()[0] < race_report.DISAGREES
    assert any("Contradiction" in note for note in race_report.notes([planted], ()))
    assert not any("Contradiction" in note for note in race_report.notes([fair], ()))


def test_a_power_is_found_again() -> None:
    heats = [heat_of(made(METROPOLIS, (size**2.0, size**1.5)), size=size) for size in (6, 8, 14)]
    law = slowing_report.fit_slowing(heats, METROPOLIS.label, M)
    assert law.exponent.value == pytest.approx(2.0) and law.exponent.error > 0
    assert slowing_report.fit_slowing(heats, METROPOLIS.label, M_SQUARED).exponent.value == pytest.approx(1.5)
    assert slowing_report.fit_slowing(heats[:1], METROPOLIS.label, M) is None
    assert slowing_report.fit_slowing(heats, HMC.label, M) is None
    doubtful = heat_of(made(METROPOLIS, (1e6, 1e6), warnings=("run longer",)), size=20)
    again = slowing_report.fit_slowing([*heats, doubtful], METROPOLIS.label, M)
    assert again.exponent.value == pytest.approx(2.0)
    assert any("L = 20" in note for note in slowing_report.notes([*heats, doubtful]))


def test_work_of_hmc_counts_forces() -> None:
    heats = [heat_of(made(HMC, (3.0, 3.0)), size=size) for size in (8, 32)]
    steps = [tune_hmc(size)["md_steps"] for size in (8, 32)]
    assert steps[1] > 4 * steps[0]
    found = [slowing_report.find_tau(heat, slowing_report.WORK, M).value for heat in heats]
    assert found == pytest.approx([3.0 * 2 * n for n in steps])


@pytest.mark.parametrize("size", [6, 8, 10, 12, 14, 20, 32, 64])
def test_blocks_and_trajectories_fit(size: int) -> None:
    assert (size // 2) % find_block(size) == 0 and find_block(size) > 1
    assert tune_hmc(size)["trajectory"] == size / 4


def test_kernels_are_measured_as_they_are() -> None:
    """On a free field <M^2>/V is 1/(2 m2), and is found by kernels that tune their proposals and that transform."""
    action = Phi4(Lattice((6, 6)), 1.0, 0.0)
    field = (METROPOLIS, HEAT_BATH, HMC, FOURIER)
    results = list(run_heat(action, field, Effort(1, 200.0, 1e6), LESSONS, Stream.from_seed(3)))
    assert [r.contestant for r in results] == list(field)
    for result in results:
        mean = result.times.estimates[M_SQUARED]
        assert abs(36 * mean.value - 0.5) < 5 * 36 * mean.error, result.contestant.label
        assert result.training is None and result.weights == 0 and result.kept >= 288
        assert result.pace().value > 0
    assert 0.3 < results[0].acceptance < 0.7
    assert results[1].acceptance is None


def test_a_learned_kernel_says_what_it_cost() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    action = diagonal_action(6)
    (result,) = run_heat(action, (VAE_LOCAL,), Effort(1, 100.0, 1e6), Lessons(1, 1, 30), Stream.from_seed(3))
    assert result.training is not None and result.training > 0
    assert result.weights > 0
    assert 0 < result.acceptance < 1

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.protocols import Series
from pyqmc_art.studies.times import WARMUP_IN_TAU, Effort, Recorder, measure_times, tunnelling_time

REPLICAS = 16


def autoregression(rho: float, seed: int, *, thins: bool = True) -> Callable[[int, int], Series]:
    """An AR(1) chain in equilibrium, tau_int = (1 + rho) / (2 (1 - rho)); one that does not thin lies about steps."""
    rng = np.random.default_rng(seed)
    now = rng.normal(size=REPLICAS)

    def advance(steps: int, every: int) -> Series:
        nonlocal now
        values = np.empty((steps, REPLICAS))
        noise = np.sqrt(1 - rho**2) * rng.normal(size=(steps, REPLICAS))
        for i in range(steps):
            now = rho * now + noise[i]
            values[i] = now
        return {"x": values[every - 1 :: every] if thins else values[: steps // every]}

    return advance


def measured_tau(rho: float, seed: int, *, thins: bool = True) -> tuple[float, float, Recorder]:
    recorder = Recorder(autoregression(rho, seed, thins=thins), ["x"], REPLICAS, 10**6)
    recorder.extend(256)
    recorder.lengthen(4000.0)
    estimate = recorder.estimates["x"]
    assert estimate.tau_int is not None and estimate.tau_int_error is not None
    return estimate.tau_int, estimate.tau_int_error, recorder


@pytest.mark.parametrize("rho", [0.0, 0.8, 0.97])
def test_tau_of_a_known_chain(rho: float) -> None:
    tau, error, recorder = measured_tau(rho, seed=1)
    exact = (1 + rho) / (2 * (1 - rho))
    # A sum over every k-th step is the trapezoid rule: (k/2) (1 + rho^k)/(1 - rho^k).
    k = recorder.every
    thinned = k / 2 * (1 + rho**k) / (1 - rho**k)
    assert thinned == pytest.approx(exact, rel=0.006)
    assert abs(tau - thinned) < 4 * error
    assert recorder.steps * REPLICAS >= 2000 * tau


def test_tau_in_wrong_units_is_noticed() -> None:
    tau, error, recorder = measured_tau(0.97, seed=1, thins=False)
    assert recorder.every > 1
    assert abs(tau - 1.97 / 0.06) > 8 * error


def test_warm_up_is_ten_times_what_is_measured_behind_it() -> None:
    recorder = Recorder(autoregression(0.99, seed=2), ["x"], REPLICAS, 10**6)
    recorder.settle()
    assert recorder.before >= WARMUP_IN_TAU * recorder.slowest > 256
    assert recorder.series["x"].shape == (recorder.steps // recorder.every, REPLICAS)


def test_a_budget_ends_a_run_that_is_too_short() -> None:
    recorder = Recorder(autoregression(0.999, seed=3), ["x"], REPLICAS, 2000)
    recorder.settle()
    recorder.lengthen(1000.0)
    assert recorder.before + recorder.steps <= 2000
    assert not recorder.estimates["x"].reliable


def test_the_same_seed_gives_the_same_times() -> None:
    kernel = qa.HeatBath(qa.Ising(qa.Lattice((6, 6)), beta=0.4))
    companion = qa.SwendsenWang(kernel.action)
    first, again = (
        measure_times(
            kernel, ["energy"], qa.Stream.from_seed(4), Effort(8, 500, 1e7), also=["magnetization"], companion=companion
        )
        for _ in range(2)
    )
    assert np.array_equal(first.series["energy"], again.series["energy"])
    assert set(first.series) == {"energy", "magnetization"} and set(first.estimates) == {"energy"}
    tau, speed = first.tau("energy"), first.ess_per_second("energy")
    assert tau is not None and speed is not None
    assert speed.value == pytest.approx(1 / (2 * tau.value * first.cpu_seconds))
    assert first.steps == first.series["energy"].size * first.every
    assert first.field.shape == (8, 6, 6)


def test_wolff_says_which_share_of_the_lattice_it_turns() -> None:
    kernel = qa.Wolff(qa.Ising(qa.Lattice((6, 6)), beta=0.4))
    times = measure_times(kernel, ["energy"], qa.Stream.from_seed(5), Effort(8, 100, 1e7))
    # The improved estimator: <cluster size>/V of a random site's cluster is <m^2>.
    square = qa.sample(kernel.action, kernel, steps=4000, replicas=8, measure=["magnetization2"]).analyze()
    assert times.turned == pytest.approx(square["magnetization2"].value, rel=0.15)


def test_a_rung_of_a_ladder_is_measured_alone() -> None:
    action = qa.Ising(qa.Lattice((4, 4)), beta=0.4)
    kernel = qa.Tempering(action, ladder=(0.3, 0.4), inner=qa.HeatBath(action))
    companion = qa.SwendsenWang(action).on_ladder(kernel.targets)
    times = measure_times(kernel, ["energy"], qa.Stream.from_seed(6), Effort(4, 300, 1e7), companion=companion, rung=1)
    from pyqmc_art.lattice.exact import exact_energy

    assert times.series["energy"].shape[1:] == (4,)
    assert abs(times.estimates["energy"].deviation(exact_energy(action))) < 4.5
    assert times.field.shape == (4, 4, 4)


def test_tunnelling_time_of_a_telegraph() -> None:
    rng = np.random.default_rng(7)
    flips = rng.random((20_000, 4)) < 0.01
    sign = np.where(np.cumsum(flips, axis=0) % 2, 1.0, -1.0)
    time = tunnelling_time(sign * (0.8 + 0.1 * rng.normal(size=sign.shape)), every=3)
    assert not isinstance(time, str)
    assert abs(time.deviation(3 / 0.01)) < 4
    # Wavering about zero is no tunnelling.
    wavering = np.where(np.arange(1000) % 50 < 3, -0.01, 1.0)[:, None]
    assert tunnelling_time(wavering) == "> 100"

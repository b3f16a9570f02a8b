"""Hybrid Monte Carlo: the flow is reversible and of the order it claims, every backend does the same, faults count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.field_exact import free_field
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.kernels.integrators import INTEGRATORS
from pyqmc_art.lattice.observables import find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.ops import plain_scalar
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import field_start_p_value
from pyqmc_art.testing.trials import estimate_means, list_variants, run_variant_of
from pyqmc_art.testing.verdict import BUDGET, compare

STREAM = Stream.from_seed(17)
LATTICES = (
    Lattice((4, 6)),
    Lattice((2, 2)),
    Lattice((9,)),
    Lattice((5, 7), boundary="open"),
    Lattice((3, 2, 5), boundary=("open", "periodic", "open")),
    Lattice((2, 3, 2, 3)),
    Lattice((3, 3), kind="triangular"),
    Lattice((4, 4), kind="honeycomb"),
)


def follow(action: Phi4, phi: Any, momentum: Any, integrator: str, length: float, steps: int) -> tuple[Any, Any, float]:
    """One trajectory by the reference loops; returns position, momentum, energy error."""
    kicks, drifts = INTEGRATORS[integrator].schedule(length, steps)
    own = momentum.copy()
    end, error = plain_scalar.trajectory(
        phi, action.lattice.neighbours, action.lattice.shape[-1], np.array(action.coefficients), own, 1.0, kicks, drifts
    )
    return end, own, error


def in_phase_space(action: Phi4, seed: int = 3) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return action.width * random.normal(size=action.lattice.sites), random.normal(size=action.lattice.sites)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_a_trajectory_runs_back_to_where_it_came_from(name: str) -> None:
    action = Phi4(Lattice((4, 4)), -4, 8)
    phi, momentum = in_phase_space(action)
    end, arrived, error = follow(action, phi, momentum, name, 1.0, 12)
    back, returned, other = follow(action, end, -arrived, name, 1.0, 12)
    np.testing.assert_allclose(back, phi, atol=1e-13)
    np.testing.assert_allclose(returned, -momentum, atol=1e-13)
    assert error == pytest.approx(-other, abs=1e-13)
    assert np.abs(end - phi).max() > 0.1


@pytest.mark.parametrize("name", INTEGRATORS)
def test_the_energy_error_is_of_the_order_of_the_integrator(name: str) -> None:
    """|dH| of short trajectories falls by 2^order when the step is halved."""
    action = Phi4(Lattice((4, 4)), 0.5, 0.3)
    steps = 12 if INTEGRATORS[name].order == 4 else 32
    errors = [
        sum(abs(follow(action, *in_phase_space(action, seed), name, 0.8, n)[2]) for seed in range(8))
        for n in (steps, 2 * steps)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(INTEGRATORS[name].order, abs=0.1)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_integrators_are_palindromes_that_add_up(name: str) -> None:
    each = INTEGRATORS[name]
    assert each.drifts == each.drifts[::-1]
    assert each.kicks == each.kicks[::-1]
    kicks, drifts = each.schedule(0.7, 5)
    assert (kicks.sum(), drifts.sum()) == pytest.approx((0.7, 0.7))
    assert len(drifts) == len(kicks) + 1 == 5 * len(each.kicks) + 1


def test_the_flow_preserves_volume() -> None:
    """Determinant of the Jacobian of a trajectory, by finite differences in phase space."""
    action = Phi4(Lattice((2, 2)), -1.0, 1.0)
    phi, momentum = in_phase_space(action)
    point = np.concatenate([phi, momentum])
    columns = []
    for i in range(8):
        ends = []
        for sign in (1, -1):
            moved = point.copy()
            moved[i] += sign * 1e-5
            ends.append(np.concatenate(follow(action, moved[:4], moved[4:], "omelyan2", 0.9, 6)[:2]))
        columns.append((ends[0] - ends[1]) / 2e-5)
    assert np.linalg.det(np.array(columns)) == pytest.approx(1.0, abs=1e-8)


def test_the_energy_error_is_that_of_the_action() -> None:
    action = Phi4(Lattice((4, 6)), -2, 1.5)
    phi, momentum = in_phase_space(action)
    end, arrived, error = follow(action, phi, momentum, "leapfrog", 1.0, 6)
    before, after = action(np.stack([phi, end]).reshape(2, 4, 6)) + 0.5 * np.array(
        [momentum @ momentum, arrived @ arrived]
    )
    assert error == pytest.approx(after - before, abs=1e-12)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_every_variant_writes_the_same_bytes(lattice: Lattice) -> None:
    action = Phi4(lattice, -1.0, 1.0)
    kernels = [(v, HMC(action, 0.9, 3, "omelyan2", 0.3, backend=v.backend, threads=v.threads)) for v in list_variants()]
    assert len({run_variant_of(kernel, v, STREAM, replicas=2, steps=4) for v, kernel in kernels}) == 1


def test_threads_share_large_lattices_with_the_same_bytes() -> None:
    action = Phi4(Lattice((96, 64)), -1.0, 1.0)
    results = set()
    for threads in (1, 2, 3):
        kernel = HMC(action, 0.5, 5, threads=threads)
        state = kernel.init(kernel.start(STREAM, 1))
        state, series, _ = kernel.advance(STREAM, state, 4, 2, find(["phi2", "action"]))
        results.add(b"".join(a.tobytes() for a in (state.field, *series.values())))
    assert len(results) == 1


def test_one_go_is_many_pieces() -> None:
    kernel = HMC(Phi4(Lattice((4, 6)), -1, 1), 1.0, 4, randomise=0.5)
    whole = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 8)[0]
    state = kernel.init(kernel.start(STREAM, 3))
    for n in (1, 5, 2):
        state, _, _ = kernel.advance(STREAM, state, n)
    np.testing.assert_array_equal(state.field, whole.field)
    parts = []
    for first, last in ((0, 1), (1, 3)):
        stream = STREAM.shifted(first)
        parts.append(kernel.advance(stream, kernel.init(kernel.start(stream, last - first)), 8)[0].field)
    np.testing.assert_array_equal(np.concatenate(parts), whole.field)


@pytest.mark.parametrize("backend", list_available())
def test_a_trajectory_that_blows_up_is_rejected_and_counted(backend: str) -> None:
    action = Phi4(Lattice((2, 4)), -4, 8)
    kernel = HMC(action, trajectory=40.0, md_steps=30, backend=backend)
    field = kernel.start(STREAM, 2)
    state, _, info = kernel.advance(STREAM, kernel.init(field), 5)
    assert info == {"acceptance": 0.0, "nonfinite": 1.0}
    np.testing.assert_array_equal(state.field, field)


def test_the_average_of_exp_minus_dh_is_one() -> None:
    kernel = HMC(Phi4(Lattice((4, 4)), -4, 8), 1.0, 5, threads=1)
    state = kernel.init(kernel.start(STREAM, 400))
    state, _, _ = kernel.advance(STREAM, state, 200)
    errors = kernel.energy_errors(STREAM, state, 50)
    assert errors.shape == (50, 400)
    means = np.exp(-errors).mean(axis=0)  # replicas are independent
    assert abs(means.mean() - 1) < 5 * means.std() / 20
    assert errors.std() > 0.3


def test_a_field_that_is_not_finite_is_refused() -> None:
    kernel = HMC(Phi4(Lattice((4, 4)), 1, 1))
    with pytest.raises(NumericalError, match="not finite"):
        kernel.init(np.full((1, 4, 4), np.inf))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectory": 0}, "trajectory is 0"),
        ({"trajectory": math.nan}, "trajectory is nan"),
        ({"md_steps": 0}, "md-steps is 0"),
        ({"md_steps": 2.5}, "md-steps is 2.5"),
        ({"integrator": "omelyan3"}, "unknown integrator 'omelyan3'; did you mean"),
        ({"randomise": 1.0}, "below 1"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build("hmc", Phi4(Lattice((4, 4)), 1, 1), options)


def test_hmc_of_spins_is_refused() -> None:
    from pyqmc_art.lattice.actions import Ising

    with pytest.raises(InputError, match="defined for on or phi4 actions, not for 'ising'"):
        HMC(Ising(Lattice((4, 4)), 0.4))


def test_starts() -> None:
    action = Phi4(Lattice((32, 32)), -4, 8)
    kernel = HMC(action)
    hot, cold = kernel.start(STREAM, 3), kernel.start(STREAM, 3, "cold")
    assert hot.std() == pytest.approx(action.width, rel=0.05)
    assert len(np.unique(hot)) == hot.size
    np.testing.assert_allclose(cold, 0.5)  # phi^2 = -m2 / (2 lam)


def test_fourier_acceleration_is_exact_and_fast() -> None:
    """All modes of a free field decorrelate alike; without it the zero mode of a small mass lags far behind."""
    action = Phi4(Lattice((8, 8)), 0.02, 0.0)
    plain, fast = HMC(action, 1.0, 6, randomise=0.3, threads=1), HMC(action, 1.0, 6, "leapfrog", 0.3, 0.02, threads=1)
    taus = []
    for kernel in (plain, fast):
        means = estimate_means(kernel, STREAM, ["phi2", "virial"], 8, 200, 600)
        assert BUDGET.passes(compare(means["phi2"][0], free_field(action).phi2).p_value)
        assert BUDGET.passes(compare(means["virial"][0], 1.0).p_value)
        taus.append(means["phi2"][0].tau_int)
    assert taus[0] > 3 * taus[1]


def test_fourier_acceleration_stays_in_equilibrium() -> None:
    case = Case("hmc", Phi4(Lattice((2, 2)), -4, 8, "D"), {"trajectory": 0.7, "md_steps": 8, "acceleration": 3.0})
    assert BUDGET.passes(field_start_p_value(case, case.build(threads=1), 3000, STREAM, 2))
    with pytest.raises(InputError, match="periodic hypercubic"):
        HMC(Phi4(Lattice((4, 4), boundary="open"), 1, 1), acceleration=1.0)
    with pytest.raises(InputError, match="acceleration is -1"):
        HMC(Phi4(Lattice((4, 4)), 1, 1), acceleration=-1.0)
    with pytest.raises(InputError, match="not defined on a ladder"):
        HMC(case.action, acceleration=1.0).on_ladder([case.action, case.action])

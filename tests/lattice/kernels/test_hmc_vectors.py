"""Hybrid Monte Carlo of unit vectors: great circles are reversible and of their order; what breaks them is caught."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.custom import CustomKernel
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.kernels.integrators import INTEGRATORS
from pyqmc_art.lattice.observables import find
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import plain_sphere
from pyqmc_art.protocols import Info, State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.field_trials import judge_circles, judge_energy_errors
from pyqmc_art.testing.fields import field_start_p_value
from pyqmc_art.testing.trials import estimate_means, list_variants, run_variant_of
from pyqmc_art.testing.verdict import BUDGET

STREAM = Stream.from_seed(19)
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

Floats = NDArray[np.float64]


def in_phase_space(action: ON, seed: int = 3) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    spins, momentum = random.normal(size=(2, action.lattice.sites, action.n))
    spins /= np.linalg.norm(spins, axis=1, keepdims=True)
    return spins, project(spins, momentum)


def project(spins: Floats, momentum: Floats) -> Floats:
    return np.asarray(momentum - spins * (spins * momentum).sum(axis=-1, keepdims=True))


def follow(
    action: ON, spins: Floats, momentum: Floats, integrator: str, length: float, steps: int
) -> tuple[Floats, Floats, float]:
    """One trajectory by the reference loops; returns vectors, momenta, energy error."""
    kicks, drifts = INTEGRATORS[integrator].schedule(length, steps)
    own = momentum.copy()
    table, width = action.lattice.neighbours, action.lattice.shape[-1]
    end, error = plain_sphere.trajectory(spins, table, width, action.beta, own, 1.0, kicks, drifts)
    return end, own, float(error)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("name", INTEGRATORS)
def test_a_trajectory_runs_back_to_where_it_came_from(name: str, n: int) -> None:
    action = ON(Lattice((4, 4)), n, 0.8)
    spins, momentum = in_phase_space(action)
    end, arrived, error = follow(action, spins, momentum, name, 1.0, 12)
    back, returned, other = follow(action, end, -arrived, name, 1.0, 12)
    np.testing.assert_allclose(back, spins, atol=1e-13)
    np.testing.assert_allclose(returned, -momentum, atol=1e-13)
    assert error == pytest.approx(-other, abs=1e-13)
    assert np.abs(end - spins).max() > 0.1


@pytest.mark.parametrize("name", INTEGRATORS)
def test_the_energy_error_is_of_the_order_of_the_integrator(name: str) -> None:
    action = ON(Lattice((4, 4)), 2, 0.6)
    steps = 12 if INTEGRATORS[name].order == 4 else 32
    errors = [
        sum(abs(follow(action, *in_phase_space(action, seed), name, 0.8, n)[2]) for seed in range(8))
        for n in (steps, 2 * steps)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(INTEGRATORS[name].order, abs=0.1)


def test_thousands_of_steps_leave_lengths_and_tangents_alone() -> None:
    action = ON(Lattice((2, 3)), 3, 1.5)
    end, arrived, _ = follow(action, *in_phase_space(action), "leapfrog", 300.0, 3000)
    np.testing.assert_allclose((end**2).sum(axis=1), 1.0, atol=1e-15)
    np.testing.assert_allclose((end * arrived).sum(axis=1), 0.0, atol=1e-14)


def test_without_a_force_vectors_go_round_great_circles() -> None:
    action = ON(Lattice((5,)), 4, 0.0)
    spins, momentum = in_phase_space(action)
    end, _, error = follow(action, spins, momentum, "omelyan2", 2.0, 7)
    speed = np.linalg.norm(momentum, axis=1, keepdims=True)
    np.testing.assert_allclose(end, np.cos(2 * speed) * spins + np.sin(2 * speed) * momentum / speed, atol=1e-14)
    assert abs(error) < 1e-13


def frames(spins: Floats) -> Floats:
    """Orthonormal tangent vectors at every site, shape (sites, n - 1, n)."""
    return np.stack([np.linalg.svd(s[None])[2][1:] for s in spins])


@pytest.mark.parametrize("n", [2, 3])
def test_the_flow_preserves_volume(n: int) -> None:
    """Determinant of the Jacobian of a trajectory in tangent frames, by finite differences."""
    action = ON(Lattice((2, 2)), n, 0.9)
    spins, momentum = in_phase_space(action)
    here = frames(spins)
    there = frames(follow(action, spins, momentum, "omelyan2", 0.9, 6)[0])
    columns = []
    for part, site, axis in itertools.product(range(2), range(4), range(n - 1)):
        ends = []
        for sign in (1, -1):
            s, p = spins.copy(), momentum.copy()
            (s, p)[part][site] += sign * 1e-5 * here[site, axis]
            s /= np.linalg.norm(s, axis=1, keepdims=True)
            end, arrived, _ = follow(action, s, project(s, p), "omelyan2", 0.9, 6)
            ends.append(np.concatenate([np.einsum("ikn,in->ik", there, of).ravel() for of in (end, arrived)]))
        columns.append((ends[0] - ends[1]) / 2e-5)
    assert np.linalg.det(np.array(columns)) == pytest.approx(1.0, abs=1e-7)


def test_the_energy_error_is_that_of_the_action() -> None:
    action = ON(Lattice((4, 6)), 3, 1.2)
    spins, momentum = in_phase_space(action)
    end, arrived, error = follow(action, spins, momentum, "leapfrog", 1.0, 6)
    both = np.stack([spins, end]).reshape(2, 4, 6, 3)
    before, after = action(both) + 0.5 * np.array([(momentum**2).sum(), (arrived**2).sum()])
    assert error == pytest.approx(after - before, abs=1e-12)
    assert abs(error) > 1e-3


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_every_variant_writes_the_same_bytes(lattice: Lattice, n: int) -> None:
    action = ON(lattice, n, 0.7)
    kernels = [(v, HMC(action, 0.9, 2, "omelyan4", 0.3, backend=v.backend, threads=v.threads)) for v in list_variants()]
    assert len({run_variant_of(kernel, v, STREAM, replicas=2, steps=2) for v, kernel in kernels}) == 1


def test_threads_share_large_lattices_with_the_same_bytes() -> None:
    action = ON(Lattice((96, 65)), 3, 0.9)
    results = set()
    for threads in (1, 2, 3):
        kernel = HMC(action, 0.1, 5, threads=threads)
        state, series, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 1)), 4, 2, find(["energy"]))
        results.add(b"".join(a.tobytes() for a in (state.field, *series.values())))
    assert len(results) == 1
    assert info["acceptance"] > 0


def test_one_go_is_many_pieces_and_many_streams() -> None:
    kernel = HMC(ON(Lattice((4, 6)), 3, 1.0), 1.0, 4, randomise=0.5)
    whole = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 8)[0]
    state = kernel.init(kernel.start(STREAM, 3))
    for n in (1, 5, 2):
        state, _, _ = kernel.advance(STREAM, state, n)
    np.testing.assert_array_equal(state.field, whole.field)
    last = STREAM.shifted(2)
    np.testing.assert_array_equal(kernel.advance(last, kernel.init(kernel.start(last, 1)), 8)[0].field, whole.field[2:])


@pytest.mark.parametrize("backend", list_available())
def test_a_trajectory_that_blows_up_is_rejected_and_counted(backend: str) -> None:
    """What turns too far to be told is lost, on the way back too."""
    kernel = HMC(ON(Lattice((2, 4)), 3, 1e200), backend=backend)
    field = kernel.start(STREAM, 2)
    state, _, info = kernel.advance(STREAM, kernel.init(field), 5)
    assert info == {"acceptance": 0.0, "nonfinite": 1.0}
    np.testing.assert_array_equal(state.field, field)


def test_all_kernels_of_vectors_agree_on_one_target() -> None:
    """Heat bath, overrelaxation, Metropolis, clusters and HMC with every integrator: energy and magnetization."""
    action = ON(Lattice((6, 6)), 3, 1.1)
    kernels = {name: build(name, action, threads=1) for name in ("heat-bath", "metropolis", "swendsen-wang", "wolff")}
    kernels["mixed"] = build("heat-bath+2*overrelaxation", action, threads=1)
    for name in INTEGRATORS:
        kernels["hmc " + name] = HMC(action, 1.0, 4, name, 0.3, threads=1)
    means = {
        name: estimate_means(kernel, STREAM.fold(name), ["energy", "abs_magnetization"], 8, 200, 1500)
        for name, kernel in kernels.items()
    }
    reference = means.pop("swendsen-wang")
    for name, found in means.items():
        for observable in ("energy", "abs_magnetization"):
            one, two = found[observable][0], reference[observable][0]
            apart = (one.value - two.value) / math.hypot(one.error, two.error)
            assert abs(apart) < 4.5, (name, observable, apart)


def test_a_ladder_of_hmc_keeps_its_rungs_apart() -> None:
    ring = Lattice((8,))
    ladder = build("tempering", ON(ring, 3, 1.0), {"ladder": (0.5, 1.0), "inner": "hmc"}, threads=1)
    means = estimate_means(ladder, STREAM, ["energy"], 8, 100, 1500)["energy"]
    for beta, found in zip((0.5, 1.0), means, strict=True):
        alone = estimate_means(build("heat-bath", ON(ring, 3, beta), threads=1), STREAM, ["energy"], 8, 100, 1500)
        one = alone["energy"][0]
        assert abs(found.value - one.value) < 4.5 * math.hypot(found.error, one.error)


def test_fourier_acceleration_of_vectors_is_refused() -> None:
    with pytest.raises(InputError, match=r"Fourier acceleration is for phi\^4.*leave --acceleration out"):
        build("hmc", ON(Lattice((4, 4)), 3, 1.0), {"acceleration": 1.0})


class ByHand(CustomKernel):
    """Leapfrog in NumPy, right or with one thing wrong."""

    name = "by-hand"

    def __init__(self, action: ON, fault: str = "") -> None:
        super().__init__(action)
        self.model, self.fault = action, fault

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        here = stream.at(0 if self.fault == "stale momenta" else state.step)
        s, count = state.field, len(state.field)
        p = here.normal("site", s[0].size, count).reshape(s.shape)
        if self.fault != "momenta not projected":
            p = project(s, p)
        before = self.action(s) + 0.5 * (p**2).reshape(count, -1).sum(axis=1)
        for k in range(4):
            s, p = self.rotate(s, p, 0.2 if k == 0 else 0.4)
            force = self.model.force(s)
            p = p + 0.4 * (force if self.fault == "force not projected" else project(s, force))
        s, p = self.rotate(s, p, 0.2)
        error = self.action(s) + 0.5 * (p**2).reshape(count, -1).sum(axis=1) - before
        accept = stream.at(state.step).uniform("seed", np.arange(1), count)[:, 0] < np.exp(-np.maximum(error, 0))
        state.field[accept] = s[accept]
        state.step += 1
        return state, {"acceptance": float(accept.mean())}

    def rotate(self, s: Floats, p: Floats, time: float) -> tuple[Floats, Floats]:
        speed = np.linalg.norm(p, axis=-1, keepdims=True)
        to = np.cos(speed * time) * s + np.sin(speed * time) * p / speed
        if self.fault != "momenta stay behind":
            p = np.cos(speed * time) * p - np.sin(speed * time) * speed * s
        return to / np.linalg.norm(to, axis=-1, keepdims=True), p


FAULTS = ("momenta not projected", "force not projected", "stale momenta", "momenta stay behind")
VECTORS = ON(Lattice((3,)), 3, 1.0)
CASE = Case("hmc", VECTORS, {"trajectory": 1.6, "md_steps": 4})


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_planted_faults_are_caught(fault: str) -> None:
    kernel = ByHand(VECTORS, fault)
    assert BUDGET.passes(field_start_p_value(CASE, kernel, 20_000, STREAM, 6)) == (fault == "")


def test_our_kernel_passes_where_they_fail() -> None:
    assert BUDGET.passes(field_start_p_value(CASE, CASE.build(threads=1), 20_000, STREAM, 6))


class OffBeta(HMC):
    """Moves and decides by another beta."""

    def _prepare(self) -> None:
        super()._prepare()
        self._couplings = 1.1 * self._couplings


def test_a_coupling_off_by_ten_percent_is_caught() -> None:
    assert not BUDGET.passes(field_start_p_value(CASE, OffBeta(CASE.action, 1.6, 4, threads=1), 40_000, STREAM, 6))


def test_a_wrong_neighbour_in_the_force_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chain is exact all the same; but the energy error is no longer of the order of the integrator."""
    right = plain_sphere.pull_at

    def wrong(spins: Any, neighbours: Any, i: int) -> Any:
        table = neighbours.copy()
        table[i, 0] = table[i, 1]
        return right(spins, table, i)

    assert all(row.sound for row in judge_circles(INTEGRATORS["leapfrog"]))
    monkeypatch.setattr(plain_sphere, "pull_at", wrong)
    assert not all(row.sound for row in judge_circles(INTEGRATORS["leapfrog"]))


def test_the_average_of_exp_minus_dh_is_one() -> None:
    """Of exact starts, with steps so long that the errors are not small."""
    case = replace(CASE, options={"trajectory": 1.6, "md_steps": 2})
    row = judge_energy_errors(case, lambda one: one.build(threads=1), STREAM)[0]
    assert row.p_value is not None and BUDGET.passes(row.p_value)

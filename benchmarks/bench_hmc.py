"""HMC: effective samples of M of phi^4 beside a plain NumPy program, what a force costs, and unit vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest

from benchmarks import numpy_by_hand
from benchmarks.catalogue import THREADS
from benchmarks.effective import SECONDS, note_chain, run_chain
from benchmarks.judgement import Verdict
from benchmarks.race import time_in_turn
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.observables import find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import field_start_p_value
from pyqmc_art.testing.verdict import BUDGET

POINTS = ((8, 8.0, 10), (14, 5.113, 14))
"""L, lam and leapfrog steps of a trajectory of length 1 that accept about nine in ten; m2 = -4."""

CHAINS, WARMUP = 64, 300
DRAWS = 20_000


@dataclass(frozen=True)
class Compiled:
    """Our kernel."""

    name: str = "pyqmc_art"
    seconds: float = SECONDS

    def make(self, action, steps):
        return HMC(action, md_steps=steps, threads=1)


@dataclass(frozen=True)
class ByHand:
    """The NumPy program, with the methods of a kernel; it needs more time for an autocorrelation time."""

    name: str = "numpy by hand"
    seconds: float = 12 * SECONDS

    def make(self, action, steps):
        return NumpyKernel(action, steps)


class NumpyKernel:
    def __init__(self, action, steps):
        self.action, self._steps = action, steps

    def start(self, stream, replicas):
        return HMC(self.action, threads=1).start(stream, replicas)

    def init(self, field):
        return State(field.copy())

    def advance(self, stream, state, n, every=1, observables=()):
        random = np.random.default_rng(stream.fold("step", state.step).key)
        m = np.empty((n // every, len(state.field)))
        couplings = self.action.m2, self.action.lam
        phi = state.field
        for k in range(n):
            phi, _ = numpy_by_hand.trajectory(phi, *couplings, self._steps, 1.0, random)
            if (k + 1) % every == 0:
                m[k // every] = phi.mean(axis=(1, 2))
        return State(phi, state.step + n), {o.name: m for o in observables}, {}


@lru_cache
def judge(contender, action, steps):
    """Exact starts of 2 x 2 sites with the same couplings have to stay in equilibrium."""
    small = Phi4(Lattice((2, 2)), action.m2, action.lam)
    kernel = contender.make(small, steps)
    p_value = field_start_p_value(kernel, kernel, DRAWS, Stream.from_seed(3).fold(contender.name))
    return Verdict(BUDGET.passes(p_value), "exact starts", small_p_value=p_value)


@pytest.mark.parametrize("contender", [Compiled(), ByHand()], ids=lambda one: one.name.replace(" ", "-"))
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0]}x{point[0]}")
def test_effective_samples(benchmark, paddock, point, contender):
    size, lam, steps = point
    action = Phi4(Lattice((size, size)), -4.0, lam)
    verdict = judge(contender, action, steps)
    assert verdict.passed, verdict.summary
    kernel, stream = contender.make(action, steps), Stream.from_seed(4)
    magnetization = find(["magnetization"], action)
    state = kernel.init(kernel.start(stream, CHAINS))
    state = kernel.advance(stream, state, WARMUP)[0]

    def advance(n):
        nonlocal state
        state, series, _ = kernel.advance(stream, state, n, 1, magnetization)
        return series

    chain = benchmark.pedantic(run_chain, (advance, 1, contender.seconds), rounds=1, iterations=1)
    case = f"phi4(m2=-4, lam={lam:g}) square {size}x{size}, {steps} leapfrog steps"
    note_chain(paddock, benchmark, "hmc", case, contender.name, "magnetization", chain, verdict)


VECTORS = {
    "hmc": {"trajectory": 4.0, "md_steps": 12, "integrator": "omelyan2"},
    "heat-bath": {},
    "heat-bath+4*overrelaxation": {},
    "swendsen-wang": {},
}
"""Kernels of unit vectors with their options."""


@pytest.mark.parametrize("name", VECTORS)
def test_effective_samples_of_vectors(benchmark, paddock, name):
    action, ring = ON(Lattice((16, 16)), 3, 1.4), ON(Lattice((4,)), 3, 1.0)
    case = Case(name, ring, VECTORS[name])
    p_value = field_start_p_value(case, case.build(threads=1), DRAWS, Stream.from_seed(3).fold(name))
    verdict = Verdict(BUDGET.passes(p_value), "exact starts", small_p_value=p_value)
    assert verdict.passed, verdict.summary
    kernel, stream = build(name, action, VECTORS[name], threads=1), Stream.from_seed(4)
    state = kernel.advance(stream, kernel.init(kernel.start(stream, 16)), WARMUP)[0]

    def advance(n):
        nonlocal state
        state, series, _ = kernel.advance(stream, state, n, 1, find(["magnetization2"], action))
        return series

    chain = benchmark.pedantic(run_chain, (advance, 1), rounds=1, iterations=1)
    label = "on(n=3, beta=1.4) square 16x16"
    note_chain(paddock, benchmark, "vectors", label, name, "magnetization2", chain, verdict)


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("size", [14, 64, 512])
def test_force(benchmark, paddock, size):
    action = Phi4(Lattice((size, size)), -4.0, 4.398)
    verdict = judge(Compiled(), action, 10)
    assert verdict.passed, verdict.summary
    threads = THREADS if size == 512 else {1: THREADS[1]}
    runners = {column: (Trajectories(action, n), verdict) for n, column in threads.items()}
    fields = [runner.field for runner, _ in runners.values()]
    assert all(np.array_equal(field, fields[0]) for field in fields), "the threads change the numbers"
    case = f"phi4 square {size}x{size}, 40 leapfrog steps"
    time_in_turn(paddock, benchmark, "force", case, "site and force", runners, "wall")


class Trajectories:
    """Trajectories of one field, in the shape that the clock expects."""

    overhead = setup = 0.0

    def __init__(self, action, threads):
        self._kernel, self._stream = HMC(action, md_steps=40, trajectory=0.5, threads=threads), Stream.from_seed(5)
        self._state = self._kernel.init(self._kernel.start(self._stream, 1))
        self.run(2)

    @property
    def field(self):
        return self._state.field

    def run(self, steps):
        self._state, _, _ = self._kernel.advance(self._stream, self._state, steps)
        return float(steps * self.field.size * self._kernel.md_steps)

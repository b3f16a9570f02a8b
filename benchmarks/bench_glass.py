"""Heat-bath sweeps of spin glasses, many copies at once: first the exact energy of a small one, then the time."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.catalogue import list_isas
from benchmarks.contenders import Ours
from benchmarks.judgement import Verdict
from benchmarks.race import Repeated, time_in_turn
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.kernels.glass import GlassHeatBath
from pyqmc_art.lattice.observables import Energy
from pyqmc_art.rng import Stream

REPLICAS = 512
STEPS = 100
STREAM = Stream.from_seed(17)
SHAPES = {2: (64, 64), 3: (16, 16, 16)}


def check(disorder):
    """Deviation, in standard errors, of the energy of independent 4 x 4 glasses from the enumerated one."""
    action = SpinGlass(Lattice((4, 4)), beta=0.5, disorder=disorder)
    states = (2 * (np.arange(2**16)[:, None] >> np.arange(16) & 1) - 1).astype(np.int8).reshape(-1, 4, 4)
    energy = Energy()(action, np.stack([states, states], axis=-1))
    p = np.exp(-16 * action.beta * (energy - energy.min()))
    p /= p.sum()
    kernel = GlassHeatBath(action)
    state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, REPLICAS)), 200)
    spread = np.sqrt(p @ energy**2 - (p @ energy) ** 2) / np.sqrt(2 * REPLICAS)
    return float((Energy()(action, state.field).mean() - p @ energy) / spread)


def load(isa, action):
    """Sweeps of a glass by an instruction set, and whether it is right."""
    with Ours(isa=isa).chosen():
        deviation = check(action.disorder)
    assert abs(deviation) < 5
    kernel = GlassHeatBath(action, threads=1)
    state = kernel.init(kernel.start(STREAM, REPLICAS))

    def work():
        with Ours(isa=isa).chosen():
            kernel.advance(STREAM, state, STEPS)
        return STEPS * state.field.size

    return Repeated(work), Verdict(True, f"energy of a 4 x 4 glass off by {deviation:.1f} standard errors")


@pytest.mark.skipif(not list_isas(), reason="the compiled module is not installed")
@pytest.mark.parametrize("disorder", ["bimodal", "gaussian"])
@pytest.mark.parametrize("dimension", SHAPES)
def test_glass(benchmark, paddock, dimension, disorder):
    action = SpinGlass(Lattice(SHAPES[dimension]), beta=0.7, disorder=disorder)
    case = f"{disorder} spin glass {' x '.join(map(str, action.lattice.shape))}, {2 * REPLICAS} copies"
    runners = {isa: load(isa, action) for isa in list_isas()}
    time_in_turn(paddock, benchmark, "heat-bath", case, "update", runners)

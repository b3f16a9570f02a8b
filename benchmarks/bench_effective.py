"""Cost of an effective sample of m^2 at the critical coupling: which kernel wins at which size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.effective import note_chain, run_chain
from benchmarks.judgement import Verdict, exact_reference
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.local import Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.verdict import BUDGET, compare

SIZES = (8, 16, 32, 64, 128, 256)
REPLICAS = 8
RUNGS = 6


class ByteByByte(Metropolis):
    """The Metropolis sweep that keeps a byte for each spin, where multi-spin would be taken."""

    def _run(self, batch: Any) -> None:
        self._operations.local_steps(batch, self._rule, self._table)


@dataclass(frozen=True)
class Way:
    """A kernel on the critical Ising model.

    Parameters
    ----------
    name : the column
    kernel : as ``--kernel`` takes it, or None for the sweep byte by byte
    critical_slowing : its autocorrelation time grows about as L^2.17, not as clusters' do
    largest : size beyond which a few autocorrelation times take longer than a chain gets
    """

    name: str
    kernel: str | None
    critical_slowing: bool = False
    largest: int = 256

    def build(self, action: Ising) -> Any:
        """Build it for one thread."""
        if self.kernel is None:
            return ByteByByte(action, threads=1)
        options = {"ladder": list_rungs(action), "inner": "metropolis"} if self.kernel == "tempering" else {}
        return compose.build(self.kernel, action, options, threads=1)

    def every(self, size: int) -> int:
        """Steps between two measurements: a small part of the autocorrelation time to be expected."""
        return max(1, round(size**2.17 / 100)) if self.critical_slowing else 1


WAYS = (
    Way("byte by byte", None, critical_slowing=True, largest=64),
    Way("multi-spin", "metropolis", critical_slowing=True),
    Way("tempering", "tempering", largest=64),
    Way("Wolff", "wolff"),
    Way("Swendsen-Wang", "swendsen-wang"),
)


def list_rungs(action: Ising) -> tuple[float, ...]:
    """Couplings from the critical one upwards in temperature, to a correlation length of about L / 7.

    Neighbours' energies differ by about one standard deviation, which is about 3.2 L at the critical point.
    """
    step = 0.35 / action.lattice.shape[0]
    return tuple(action.beta - step * k for k in reversed(range(RUNGS)))


@pytest.mark.parametrize(
    ("size", "way"),
    [pytest.param(n, w, id=f"{n}-{w.name.replace(' ', '-')}") for n in SIZES for w in WAYS if n <= w.largest],
)
def test_effective_samples(benchmark, paddock, size, way):
    action = Ising(Lattice((size, size)), ISING_CRITICAL_BETA)
    kernel, stream = way.build(action), Stream.from_seed(7).fold(way.name)
    start = paddock.fields(Case("swendsen-wang", action))[:REPLICAS]
    tempered = way.kernel == "tempering"
    state = kernel.init(start[:, None].repeat(RUNGS, 1) if tempered else start)
    # Every rung starts in equilibrium at the critical coupling, the others warm up.
    state = kernel.advance(stream, state, 30 if tempered else 1)[0]
    observables = find(["energy", "magnetization2"], action)
    every = way.every(size)

    def advance(n):
        nonlocal state
        state, series, _ = kernel.advance(stream, state, n, every, observables)
        return {name: rows[..., -1] if tempered else rows for name, rows in series.items()}

    chain = benchmark.pedantic(run_chain, (advance, every), rounds=1, iterations=1)
    if not chain.settles("magnetization2"):
        pytest.skip(f"{way.name} at {size}: too few effective samples in {chain.seconds:.1f} s")
    reference = exact_reference(Case("metropolis", action))
    assert reference is not None
    found = compare(chain.estimate("energy"), reference.value)
    energy = (reference.value, found.value, found.error, found.deviation, found.p_value)
    verdict = Verdict(BUDGET.passes(found.p_value), reference.source, *energy)
    case = f"ising(beta={action.beta:.6g}) square {size}x{size}"
    assert verdict.passed, verdict.summary
    note_chain(paddock, benchmark, "effective", case, way.name, "magnetization2", chain, verdict)

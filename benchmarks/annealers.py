"""Two annealers held at one temperature: openjij and dwave-samplers, through their compiled cores."""

from __future__ import annotations

import importlib
import time
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Runner, is_plain_ising, seed_of
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case

LARGEST: Final = 2**16
"""Sites beyond which handing the couplings over, as Python lists or as a sparse matrix, takes seconds a call."""


def list_bonds(lattice: Lattice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both ends of every bond, each bond once."""
    index = np.arange(lattice.sites).reshape(lattice.shape)
    ends = np.concatenate([np.roll(index, -1, axis).ravel() for axis in range(lattice.dimension)])
    return np.tile(index.ravel(), lattice.dimension), ends


class Openjij:
    """openjij: a C++ core on a sparse matrix of couplings, one object for each configuration."""

    name = "openjij"
    algorithms: ClassVar[dict[str, str]] = {"metropolis": "SingleSpinFlip", "swendsen-wang": "SwendsenWang"}

    def supports(self, case: Case) -> bool:
        """Ising in two and three dimensions."""
        small = case.action.lattice.sites <= LARGEST
        return case.kernel in self.algorithms and small and is_plain_ising(case, (2, 3))

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Take over the configurations."""
        return _OpenjijRunner(self.algorithms[case.kernel], case, fields, stream)


class _OpenjijRunner:
    overhead = setup = 0.0

    def __init__(self, algorithm: str, case: Case, fields: Field, stream: Stream) -> None:
        core: Any = importlib.import_module("openjij.cxxjij")
        sparse: Any = importlib.import_module("scipy.sparse")
        sites = case.action.lattice.sites
        one, two = list_bonds(case.action.lattice)
        # Its energy is sum J s s', and the last row of the matrix holds the fields, of which there are none.
        rows, columns = np.append(np.minimum(one, two), sites), np.append(np.maximum(one, two), sites)
        values = np.append(-np.ones(len(one)), 1.0)
        graph = core.graph.CSRSparse(sparse.csr_matrix((values, (rows, columns)), shape=(sites + 1, sites + 1)))
        self._update = getattr(core.algorithm, f"Algorithm_{algorithm}_run")
        self._systems = [core.system.make_classical_ising(f.ravel().tolist(), graph) for f in fields]
        self._case, self._stream, self._calls = case, stream, 0

    def run(self, steps: int) -> float:
        for system in self._systems:
            self._update(system, seed_of(self._stream, self._calls), [(self._case.action.beta, steps)])
            self._calls += 1
        return float(steps * self._case.action.lattice.sites * len(self._systems))

    def fields(self) -> Field:
        lattice = self._case.action.lattice
        spins = [np.asarray(s.spin)[: lattice.sites].reshape(lattice.shape) for s in self._systems]
        return np.stack(spins).astype(np.int8)


class DwaveSamplers:
    """dwave-samplers: simulated annealing in C++; each call is handed all couplings again, which is taken off."""

    name = "dwave-samplers"
    rules: ClassVar[dict[str, str]] = {"metropolis": "metropolis", "heat-bath": "gibbs"}

    def supports(self, case: Case) -> bool:
        """Ising in two and three dimensions."""
        return case.kernel in self.rules and case.action.lattice.sites <= LARGEST and is_plain_ising(case, (2, 3))

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Copy the configurations."""
        return _DwaveRunner(self.rules[case.kernel], case, fields, stream)


class _DwaveRunner:
    overhead = 0.0

    def __init__(self, rule: str, case: Case, fields: Field, stream: Stream) -> None:
        module: Any = importlib.import_module("dwave.samplers.sa.simulated_annealing")
        self._anneal, self._rule, self._case, self._stream, self._calls = (
            module.simulated_annealing, rule, case, stream, 0,
        )  # fmt: skip
        one, two = list_bonds(case.action.lattice)
        self._model = ([0.0] * case.action.lattice.sites, one.tolist(), two.tolist(), [-1.0] * len(one))
        self._spins = np.ascontiguousarray(fields.reshape(len(fields), -1), np.int8)
        self.setup = 0.0
        if len(fields) == 1:
            self.setup = float(np.median([self._time_call() for _ in range(5)]))

    def _time_call(self) -> float:
        """CPU time of a call without a sweep."""
        before = time.process_time()
        self._call(0)
        return time.process_time() - before

    def _call(self, steps: int) -> NDArray[np.int8]:
        seed, self._calls = seed_of(self._stream, self._calls) + 1, self._calls + 1
        spins: NDArray[np.int8] = self._anneal(
            len(self._spins), *self._model, steps, [self._case.action.beta], seed, self._spins.copy(),
            randomize_order=False, proposal_acceptance_criteria=self._rule,
        )[0]  # fmt: skip
        return spins

    def run(self, steps: int) -> float:
        self._spins = self._call(steps)
        return float(steps * self._spins.size)

    def fields(self) -> Field:
        return self._spins.reshape(len(self._spins), *self._case.action.lattice.shape).copy()

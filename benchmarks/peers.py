"""Other codes under the same interface. Each is imported only when asked for; one that is missing is left out."""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from typing import Any, ClassVar, Final

import numpy as np

from benchmarks.annealers import DwaveSamplers, Openjij
from benchmarks.contenders import Contender, Runner, is_plain_ising, seed_of
from pyqmc_art.lattice.enumeration import SpinAction
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case


class Mcising:
    """mcising: a Rust core, one object for each configuration."""

    name = "mcising"
    algorithms: ClassVar[dict[str, str]] = {
        "metropolis": "metropolis",
        "swendsen-wang": "swendsen_wang",
        "wolff": "wolff",
    }

    def supports(self, case: Case) -> bool:
        """Ising in two and three dimensions."""
        return case.kernel in self.algorithms and is_plain_ising(case, (2, 3))

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Take over the configurations."""
        return _McisingRunner(self.algorithms[case.kernel], case, fields, stream)


class _McisingRunner:
    overhead = setup = 0.0

    def __init__(self, algorithm: str, case: Case, fields: Field, stream: Stream) -> None:
        kind = {2: "square", 3: "cubic"}[case.action.lattice.dimension]
        simulation: Any = importlib.import_module("mcising._core").IsingSimulation
        size = case.action.lattice.shape[0]
        self._temperature = 1 / case.action.beta
        self._all = [
            simulation(size, 1.0, 0.0, 0.0, 0.0, seed_of(stream, r), algorithm, kind) for r in range(len(fields))
        ]
        for one, field in zip(self._all, fields, strict=True):
            one.set_spins(field)

    def run(self, steps: int) -> float:
        # Attempted updates, sites, or the sizes of the clusters, by the algorithm.
        return float(sum(one.sweep(steps, temperature=self._temperature)[1] for one in self._all))

    def fields(self) -> Field:
        return np.stack([one.get_spins() for one in self._all])


class Peapods:
    """peapods: a Rust core. It takes no configurations, so it makes equilibrium ones with its own clusters, once.

    A cluster update comes with a Metropolis sweep before it; the time of the sweep alone is measured and taken off. It
    does not say how many spins a Wolff update turned; on average that is the mean of sites * m^2.
    """

    name = "peapods"
    clusters: ClassVar[dict[str, str | None]] = {
        "metropolis": None,
        "heat-bath": None,
        "swendsen-wang": "sw",
        "wolff": "wolff",
    }

    def __init__(self) -> None:
        self._models: dict[SpinAction, list[Any]] = {}

    def supports(self, case: Case) -> bool:
        """Ising in two and three dimensions."""
        return case.kernel in self.clusters and is_plain_ising(case, (2, 3))

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Make as many configurations."""
        models = self._models.setdefault(case.action, [])
        while len(models) < len(fields):
            models.append(self._equilibrate(case.action, seed_of(stream, len(models))))
        return _PeapodsRunner(self.clusters[case.kernel], case, models[: len(fields)])

    def _equilibrate(self, action: SpinAction, seed: int) -> Any:
        model = importlib.import_module("peapods").Ising(
            action.lattice.shape, couplings="ferro", temperatures=np.array([1 / action.beta])
        )
        model._sim.reset(seed=seed)
        steps = 5 * round(action.lattice.shape[0] ** 0.5)
        model.sample(steps, cluster_update_interval=1, cluster_mode="sw", warmup_ratio=0.0, sequential=True)
        return model


class _PeapodsRunner:
    setup = 0.0

    def __init__(self, cluster: str | None, case: Case, models: list[Any]) -> None:
        self._models, self._case, self._cluster = models, case, cluster
        sweep = {"sweep_mode": "gibbs" if case.kernel == "heat-bath" else "metropolis"}
        self._sweep: dict[str, Any] = {**sweep, "warmup_ratio": 0.0, "sequential": True}
        self.overhead = 0.0
        if cluster is not None and len(models) == 1:
            steps = max(1, 2**20 // case.action.lattice.sites)
            self.overhead = float(np.median([self._time_sweeps(steps) for _ in range(7)]))

    def _time_sweeps(self, steps: int) -> float:
        before = time.process_time()
        self._models[0].sample(steps, **self._sweep)
        return (time.process_time() - before) / steps

    def run(self, steps: int) -> float:
        clusters = {"cluster_update_interval": 1, "cluster_mode": self._cluster} if self._cluster else {}
        squares = [float(m.sample(steps, **clusters, **self._sweep)["mags2"][0]) for m in self._models]
        sites = steps * self._case.action.lattice.sites
        return float(sites * (sum(squares) if self._cluster == "wolff" else len(squares)))

    def fields(self) -> Field:
        shape = self._case.action.lattice.shape
        return np.stack([np.asarray(m._sim.get_spins()).reshape(shape) for m in self._models]).astype(np.int8)


class NumbaByHand:
    """What a physicist writes in an afternoon with Numba."""

    name = "numba by hand"
    functions: ClassVar[dict[str, str]] = {
        "metropolis": "sweep_metropolis",
        "swendsen-wang": "sweep_swendsen_wang",
        "wolff": "sweep_wolff",
    }

    def supports(self, case: Case) -> bool:
        """Ising in two dimensions."""
        return case.kernel in self.functions and is_plain_ising(case, (2,))

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Copy the configurations."""
        return _NumbaRunner(self.functions[case.kernel], case, fields, stream)


class _NumbaRunner:
    overhead = setup = 0.0

    def __init__(self, function: str, case: Case, fields: Field, stream: Stream) -> None:
        module = importlib.import_module("benchmarks.numba_by_hand")
        self._sweep: Any = getattr(module, function)
        self._beta = case.action.beta
        self._fields = fields.copy()
        module.set_seed(seed_of(stream))

    def run(self, steps: int) -> float:
        return float(sum(self._sweep(field, self._beta, steps) for field in self._fields))

    def fields(self) -> Field:
        return self._fields.copy()


PEERS: Final[tuple[Contender, ...]] = (Mcising(), Peapods(), Openjij(), DwaveSamplers(), NumbaByHand())

_DISTRIBUTIONS: Final = {"numba by hand": "numba"}


def find_version(peer: Contender) -> str | None:
    """Version of a peer's library, None if it is not installed."""
    try:
        return importlib.metadata.version(_DISTRIBUTIONS.get(peer.name, peer.name))
    except importlib.metadata.PackageNotFoundError:
        return None

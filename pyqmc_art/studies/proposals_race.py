"""The race of kernels: effective samples of a phi^4 field per CPU-second, and what training costs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import race_report as report
from pyqmc_art.studies.contestants import CONTESTANTS, M2, Contestant, Lessons, diagonal_action, tune_hmc
from pyqmc_art.studies.heats import Heat, run_heat
from pyqmc_art.studies.times import Effort

QUESTION: Final = (
    "Which kernel gives the most effective samples of one phi^4 field per CPU-second, and after how many samples does "
    "training pay?"
)


@dataclass(frozen=True)
class ProposalsRace:
    """Every kernel on the same targets.

    Parameters
    ----------
    sizes
        Lattice sizes L with the correlation length L / 4, on the symmetric side.
    flow_sizes
        Which of all sizes flows of the whole lattice are trained for; they train longest.
    broken_sizes
        Lattice sizes of the targets with two phases.
    broken_lam
        Coupling of those, at m2 = -4; below about 4.2 there are two phases.
    length
        Length of a run in units of its slowest autocorrelation time, all chains together.
    updates
        Most site updates spent on one run, in units of the price of a Metropolis update.
    flow_training, block_training, local_training
        Steps of the optimiser for the flow, the flow of blocks and the local updates.
    """

    sizes: tuple[int, ...] = (6, 8)
    flow_sizes: tuple[int, ...] = (6,)
    broken_sizes: tuple[int, ...] = (6,)
    broken_lam: float = 3.2
    length: float = 1000.0
    updates: float = 2e7
    flow_training: int = 120
    block_training: int = 100
    local_training: int = 300

    name: ClassVar[str] = "proposals"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "sizes": (6, 8, 10, 14, 20, 32),
            "flow_sizes": (6, 8, 14),
            "broken_sizes": (8, 12),
            "updates": 1.5e8,
            "length": 4000.0,
            "flow_training": 800,
            "block_training": 600,
            "local_training": 1500,
        },
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail later."""
        if not self.sizes and not self.broken_sizes:
            raise InputError("sizes and broken_sizes are both empty; expected at least one lattice size")
        if not 0 < self.broken_lam < 4.2:
            raise InputError(f"broken_lam is {self.broken_lam}; expected a coupling above 0 and below 4.2")
        if not (self.length > 0 and self.updates > 0):
            raise InputError(f"length and updates are {self.length} and {self.updates}; expected positive numbers")
        if min(self.flow_training, self.block_training, self.local_training) < 1:
            raise InputError("flow_training, block_training and local_training must be at least one step")
        for size in self.broken_sizes:
            if size < 6 or size % 2:
                raise InputError(f"broken_sizes has {size}; expected even lattice sizes from 6 on")
        for size in self.sizes:
            diagonal_action(size)

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Race on every target, and say who won."""
        from pyqmc_art.learning.threads import limit_torch

        begun = time.perf_counter()
        targets = list(self._targets())
        heats = []
        monitor.start(self.name, sum(len(self._field(action)) for action, _ in targets))
        try:
            with limit_torch(1):
                for action, broken in targets:
                    heats.append(self._race(action, broken, stream, monitor))
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(heats),
            tables=report.tables(heats),
            figures=report.figures(heats),
            configuration={**dataclasses.asdict(self), "m2": M2, "hmc": {n: tune_hmc(n) for n in self.sizes}},
            notes=report.notes(heats, self.flow_sizes),
            seconds=time.perf_counter() - begun,
        )

    def _targets(self) -> Iterator[tuple[Phi4, bool]]:
        for size in sorted(set(self.sizes)):
            yield diagonal_action(size), False
        for size in sorted(set(self.broken_sizes)):
            yield Phi4(Lattice((size, size)), M2, self.broken_lam), True

    def _field(self, action: Phi4) -> tuple[Contestant, ...]:
        """Who takes part."""
        flows = action.lattice.shape[0] in self.flow_sizes
        return tuple(c for c in CONTESTANTS if flows or not c.flow)

    def _race(self, action: Phi4, broken: bool, stream: Stream, monitor: Monitor) -> Heat:
        lessons = Lessons(self.flow_training, self.block_training, self.local_training)
        effort = Effort(1, self.length, self.updates)
        own = stream.fold("broken" if broken else "diagonal", action.lattice.shape[0])
        results = []
        for result in run_heat(action, self._field(action), effort, lessons, own, broken=broken):
            results.append(result)
            monitor.advance(1, kernel=result.contestant.label, L=str(action.lattice.shape[0]))
        return Heat(action, broken, tuple(results))

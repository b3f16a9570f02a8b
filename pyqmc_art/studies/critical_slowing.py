"""How does each update of phi^4 slow down as the correlation length grows? Autocorrelation times along L = 4 xi."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import slowing_report as report
from pyqmc_art.studies.contestants import CONTESTANTS, M2, Contestant, Lessons, diagonal_action, tune_hmc
from pyqmc_art.studies.heats import Heat, run_heat
from pyqmc_art.studies.times import Effort

QUESTION: Final = (
    "How does the autocorrelation time of each update of phi^4 grow along L = 4 xi, and with which power z?"
)

DEAR: Final = 50.0
"""Price of an update of a site from which on a kernel takes part at the ``dear_sizes`` only."""


@dataclass(frozen=True)
class CriticalSlowingDown:
    """Integrated autocorrelation times of every kernel against L = 4 xi.

    Parameters
    ----------
    sizes
        Lattice sizes L; the coupling of each makes the correlation length L / 4.
    dear_sizes
        Which of them kernels take part in whose steps cost most: Fourier-accelerated HMC, flows, flows of blocks.
    length
        Length of a run in units of its slowest autocorrelation time, all chains together.
    updates
        Most site updates spent on one run, in units of the price of a Metropolis update.
    flow_training, block_training, local_training
        Steps of the optimiser, the same at every size.
    """

    sizes: tuple[int, ...] = (6, 8, 10, 14)
    dear_sizes: tuple[int, ...] = (6, 8)
    length: float = 2000.0
    updates: float = 1.5e7
    flow_training: int = 120
    block_training: int = 100
    local_training: int = 300

    name: ClassVar[str] = "critical-slowing-down"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "sizes": (6, 8, 10, 14, 20, 32),
            "dear_sizes": (6, 8, 10, 14),
            "length": 5000.0,
            "updates": 2e8,
            "flow_training": 600,
            "block_training": 400,
            "local_training": 1500,
        },
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail later."""
        if len(set(self.sizes)) < 2:
            raise InputError(f"sizes is {self.sizes}; expected at least two lattice sizes, for instance 6 8 14")
        if not set(self.dear_sizes) <= set(self.sizes):
            raise InputError(f"dear_sizes is {self.dear_sizes}; expected some of sizes, {self.sizes}")
        if not (self.length > 0 and self.updates > 0):
            raise InputError(f"length and updates are {self.length} and {self.updates}; expected positive numbers")
        if min(self.flow_training, self.block_training, self.local_training) < 1:
            raise InputError("flow_training, block_training and local_training must be at least one step")
        for size in self.sizes:
            diagonal_action(size)

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Measure every kernel at every size, and fit."""
        from pyqmc_art.learning.threads import limit_torch

        begun = time.perf_counter()
        sizes = sorted(set(self.sizes))
        monitor.start(self.name, sum(len(list(self._field(size))) for size in sizes))
        try:
            with limit_torch(1):
                heats = [self._measure(size, stream, monitor) for size in sizes]
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(heats),
            tables=report.tables(heats),
            figures=report.figures(heats),
            configuration={**dataclasses.asdict(self), "m2": M2, "hmc": {n: tune_hmc(n) for n in sizes}},
            notes=report.notes(heats),
            seconds=time.perf_counter() - begun,
        )

    def _field(self, size: int) -> Iterator[Contestant]:
        """Who takes part."""
        return (c for c in CONTESTANTS if c.price < DEAR or size in self.dear_sizes)

    def _measure(self, size: int, stream: Stream, monitor: Monitor) -> Heat:
        lessons = Lessons(self.flow_training, self.block_training, self.local_training)
        action, effort, own = diagonal_action(size), Effort(1, self.length, self.updates), stream.fold("size", size)
        results = []
        for result in run_heat(action, tuple(self._field(size)), effort, lessons, own):
            results.append(result)
            monitor.advance(1, kernel=result.contestant.label, L=str(size))
        return Heat(action, False, tuple(results))

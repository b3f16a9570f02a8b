"""How fast does each update forget? Autocorrelation times of the 2D Ising model against the size of the lattice."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import relaxation_report as report
from pyqmc_art.studies.relaxation import Relaxation, is_critical, is_ordered, order_name
from pyqmc_art.studies.times import Effort, measure_times
from pyqmc_art.studies.updates import UPDATES, Update

QUESTION = "How fast does each update of the 2D Ising model forget, and how does that change with the lattice size?"

FEW_REPLICAS_FROM: Final = 40
"""Lattice size from which on a measurement costs less than the steps between two of them."""


@dataclass(frozen=True)
class IsingDynamics:
    """Integrated autocorrelation times of every kernel against L.

    Parameters
    ----------
    betas
        Inverse temperatures; the critical one is added.
    sizes
        Lattice sizes L, multiples of 10 (at magnetization 0.8, 0.9 L^2 spins are up).
    fixed_sizes
        Sizes at fixed magnetization.
    exchange_sizes
        Sizes for exchanges of neighbours, which are slower.
    tempering_sizes
        Sizes for tempering.
    special_betas
        Which of the betas, beside the critical one, exchanges of neighbours and tempering are run at.
    ladder
        Rungs of tempering below the beta that is measured.
    replicas
        Independent chains of a run at L = 40 or larger; small lattices get up to four times as many.
    length
        Length of a run in units of its slowest autocorrelation time, all chains together.
    updates
        Most site updates spent on one run.
    """

    betas: tuple[float, ...] = (0.44, 0.46, 0.48)
    sizes: tuple[int, ...] = (10, 20, 30, 40)
    fixed_sizes: tuple[int, ...] = (10, 20, 30, 40)
    exchange_sizes: tuple[int, ...] = (10, 20)
    tempering_sizes: tuple[int, ...] = (10, 20)
    special_betas: tuple[float, ...] = (0.48,)
    ladder: tuple[float, ...] = (0.38, 0.41)
    replicas: int = 8
    length: float = 1000.0
    updates: float = 3e8

    name: ClassVar[str] = "ising-dynamics"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "sizes": (10, 20, 30, 40, 60),
            "fixed_sizes": (10, 20, 30, 40, 60),
            "exchange_sizes": (10, 20, 30),
            "tempering_sizes": (10, 20, 30),
            "special_betas": (0.44, 0.46, 0.48),
            "length": 5000.0,
            "updates": 2e10,
        },
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail hours later."""
        if not self.betas or not all(beta > 0 for beta in self.betas):
            raise InputError(f"betas is {self.betas}; expected inverse temperatures above 0")
        if len(set(self.sizes)) < 2:
            raise InputError(f"sizes is {self.sizes}; expected at least two lattice sizes, for instance 10 20 40")
        if self.replicas < 1 or not self.length > 0 or not self.updates > 0:
            raise InputError(
                f"replicas, length and updates are {self.replicas}, {self.length} and {self.updates}; "
                "expected positive numbers"
            )
        for update, beta, size in self._points():
            update.build(_action(size, beta), self.ladder)

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Measure every point, fit, and say what came out."""
        begun = time.perf_counter()
        points = list(self._points())
        relaxation = Relaxation()
        monitor.start(self.name, len(points))
        try:
            for update, beta, size in points:
                relaxation.add(update, beta, size, self._measure(update, beta, size, stream))
                monitor.advance(1, update=update.label, L=str(size))
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(relaxation),
            tables=report.tables(relaxation),
            figures=report.figures(relaxation),
            configuration={**dataclasses.asdict(self), "beta_c": ISING_CRITICAL_BETA},
            notes=report.notes(relaxation, self.length),
            seconds=time.perf_counter() - begun,
        )

    def _points(self) -> Iterator[tuple[Update, float, int]]:
        usual, special = (
            sorted({*(b for b in betas if not is_critical(b)), ISING_CRITICAL_BETA})
            for betas in (self.betas, self.special_betas)
        )
        for update in UPDATES:
            for beta in special if update.special else usual:
                for size in sorted(set(getattr(self, update.sizes))):
                    yield update, beta, size

    def _measure(self, update: Update, beta: float, size: int, stream: Stream) -> Any:
        kernel, companion = update.build(_action(size, beta), self.ladder)
        names = ("energy", "kmin2") if update.constrained else ("energy", order_name(beta), "kmin2")
        tunnels = not update.constrained and (is_ordered(beta) or is_critical(beta))
        return measure_times(
            kernel,
            names,
            stream.fold(f"{update.label} L={size} beta={beta:.8f}"),
            Effort(self.replicas * max(1, min(4, FEW_REPLICAS_FROM // size)), self.length, self.updates),
            also=("magnetization",) if tunnels else (),
            companion=companion,
            rung=kernel.rungs - 1,
        )


def _action(size: int, beta: float) -> Ising:
    return Ising(Lattice((size, size)), beta=beta)

"""Where is the transition, and how does the correlation length diverge? Ising and Potts q = 3 on the square lattice."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.chain import chain
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.observables import find
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.reweighting import Run
from pyqmc_art.studies import scaling
from pyqmc_art.studies.binder import SizeCurves, make_run
from pyqmc_art.studies.scaling import Model

QUESTION = "Where do the Ising and the three-state Potts model order, and how does their correlation length diverge?"

PLACES: Final = (-1.0, 0.0, 1.0)
"""Runs of each size, in units of the window."""

WARMUP: Final = 300
"""Swendsen-Wang steps before the first measurement: fifty autocorrelation times of lattices of a hundred."""


@dataclass(frozen=True)
class PhaseTransition:
    """beta_c and nu by finite-size scaling, compared with the exact values.

    Parameters
    ----------
    ising_sizes, potts_sizes
        Lattice sizes L, even.
    ising_center, potts_center
        Roughly where the transition is looked for.
    window
        Runs are made at center - window/L, center and center + window/L.
    replicas
        Independent chains of each run.
    measurements
        Of each replica.
    every
        Swendsen-Wang steps from one measurement to the next.
    """

    ising_sizes: tuple[int, ...] = (8, 12, 16, 24, 32)
    potts_sizes: tuple[int, ...] = (8, 12, 16, 24, 32)
    ising_center: float = 0.441
    potts_center: float = 1.005
    window: float = 0.3
    replicas: int = 16
    measurements: int = 3000
    every: int = 2

    name: ClassVar[str] = "phase-transition"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "ising_sizes": (8, 12, 16, 24, 32, 48, 64, 96),
            "potts_sizes": (8, 12, 16, 24, 32, 48, 64),
            "measurements": 40_000,
            "every": 2,
        },
    }

    def __post_init__(self) -> None:
        """Refuse what cannot be analysed."""
        for key in ("ising_sizes", "potts_sizes"):
            sizes = getattr(self, key)
            if len(set(sizes)) < 2 or min(sizes) < 4:
                raise InputError(f"{key} is {sizes}; expected at least two different lattice sizes of at least 4")
        for key in ("replicas", "every"):
            if getattr(self, key) < 1:
                raise InputError(f"{key} is {getattr(self, key)}; expected a whole number of at least 1")
        if self.measurements < 100:
            raise InputError(f"measurements is {self.measurements}; expected at least 100 of each replica")
        for key in ("ising_center", "potts_center", "window"):
            if not (math.isfinite(getattr(self, key)) and getattr(self, key) > 0):
                raise InputError(f"{key} is {getattr(self, key)}; expected a positive number")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Sample both models, reweight, and compare with what is known exactly."""
        begun = time.perf_counter()
        plans = [
            (scaling.ISING, self.ising_center, sorted(set(self.ising_sizes))),
            (scaling.POTTS, self.potts_center, sorted(set(self.potts_sizes))),
        ]
        monitor.start(self.name, sum(len(sizes) for _, _, sizes in plans) * len(PLACES))
        results = []
        try:
            for model, center, sizes in plans:
                curves = [self._curves(model, center, size, stream, monitor) for size in sizes]
                results.append(scaling.analyse(model, curves))
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer="\n\n".join(scaling.answer(result) for result in results),
            tables=tuple(table for result in results for table in scaling.tables(result)),
            figures=tuple(scaling.figure(result) for result in results),
            configuration=dataclasses.asdict(self),
            notes=scaling.notes(results),
            seconds=time.perf_counter() - begun,
        )

    def _curves(self, model: Model, center: float, size: int, stream: Stream, monitor: Monitor) -> SizeCurves:
        runs = []
        for k, place in enumerate(PLACES):
            own = stream.fold(f"{model.name} L={size}", k)
            runs.append(self._sample(model, center + place * self.window / size, size, own))
            monitor.advance(1, model=model.label, L=str(size))
        return SizeCurves(size, size**2, tuple(runs))

    def _sample(self, model: Model, beta: float, size: int, stream: Stream) -> Run:
        kernel = SwendsenWang(model.action(size, beta))
        state = kernel.init(kernel.start(stream.fold("start"), self.replicas))
        parts: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        blocks = chain(
            kernel,
            stream,
            state,
            self.measurements * self.every,
            warmup=WARMUP,
            every=self.every,
            observables=find(("energy", "magnetization2", "magnetization4")),
        )
        for block in blocks:
            for name, values in block.series.items():
                parts[name].append(values)
        energy, square, fourth = (
            np.concatenate(parts[name]) for name in ("energy", "magnetization2", "magnetization4")
        )
        return make_run(beta, energy * size**2, square, fourth)

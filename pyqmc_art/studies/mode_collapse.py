"""Does a flow lose one of two phases, does anything tell, and what helps? phi^4 in its broken phase."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.free_energy import annealed_log_partition
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import Composition
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.kernels.independence import Independence
from pyqmc_art.lattice.modes import ModeReport, judge_modes, mirror_modes
from pyqmc_art.lattice.observables import find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies import mode_collapse_report as report

QUESTION: Final = "Does a flow lose one phase of a broken symmetry, what tells that it did, and what helps?"

REVERSE: Final = "reverse KL"
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    REVERSE: {},
    "Z2-equivariant layers": {"equivariant": True},
    "Z2-mixture": {"mixture": True},
    "forward KL": {"forward": 1.0},
    "half forward KL": {"forward": 0.5},
    "ramp of lam": {"ramp": True},
}
"""The first way trains plain layers by the reverse divergence; each other one changes one thing."""

_ANNEALED: Final = (400, 1024)  # moves and paths
_CHAINS: Final = 32
_SHAPE: Final = ("equivariant", "mixture")


@dataclass(frozen=True)
class Trained:
    """One flow: how it was trained, the judgement, the magnetization of its draws with their log weights."""

    way: str
    number: int
    report: ModeReport
    history: tuple[Mapping[str, Any], ...]
    seconds: float
    magnetization: NDArray[np.float64]
    log_weights: NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """Chains that all began in the phase of positive magnetization.

    ``share`` is the part of their steps in that phase, a half of the target; ``crossings`` the changes of phase for
    each step and chain; ``acceptance`` that of the flow; ``magnetization`` is that of the first chain.
    """

    kernel: str
    share: Estimate
    crossings: float
    acceptance: float | None
    magnetization: NDArray[np.float64]


@dataclass(frozen=True)
class ModeCollapse:
    """Ways to train a flow for phi^4 in two dimensions and convention A, judged by fields of both phases.

    Parameters
    ----------
    extent
        Sites along each of two axes.
    m2
        Squared mass.
    lam
        Quartic coupling; small enough that hybrid Monte Carlo does not tunnel.
    ramp_from
        lam from which the ramp starts, in the symmetric phase.
    layers
        Affine couplings of each flow.
    training
        Steps of each training.
    trainings
        Flows of each way, with random numbers of their own.
    draws
        By which each flow is judged.
    fields
        Of the target, from each of 64 chains.
    chain_steps
        Of each of 32 chains that start in one phase.
    """

    extent: int = 6
    m2: float = -4.0
    lam: float = 1.5
    ramp_from: float = 8.0
    layers: int = 4
    training: int = 200
    trainings: int = 2
    draws: int = 8192
    fields: int = 30
    chain_steps: int = 200

    name: ClassVar[str] = "mode-collapse"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {"layers": 8, "training": 1000, "trainings": 5, "draws": 65_536, "fields": 200, "chain_steps": 2000},
    }

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        for name, least in (("layers", 2), ("training", 10), ("trainings", 1), ("draws", 100), ("fields", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if self.chain_steps < 40:
            raise InputError(f"chain_steps is {self.chain_steps}; expected at least 40, a quarter of which is warm-up")
        if not self.lam > 0 or not self.ramp_from > self.lam:
            raise InputError(f"lam is {self.lam} and ramp_from {self.ramp_from}; expected 0 < lam < ramp_from")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Train every way, judge each flow, and walk with it."""
        from pyqmc_art.learning.threads import limit_torch
        from pyqmc_art.proposals.samples import draw_samples

        begun = time.perf_counter()
        action = Phi4(Lattice((self.extent, self.extent)), self.m2, self.lam)
        flows: list[Trained] = []
        monitor.start(self.name, len(WAYS) * self.trainings)
        try:
            with limit_torch(1):
                reference = _annealed(action, stream)
                modes = mirror_modes(draw_samples(action, self.fields, stream.fold("fields"), 1))
                walks = [self._walk("hmc", _make_hmc(action), modes["up"], stream)]
                for way in WAYS:
                    own = []
                    for k in range(self.trainings):
                        own.append(self._train(action, way, k, modes, stream.fold(way, k)))
                        monitor.advance(1, way=way, verdict=own[-1][0].report.verdict)
                    flows += [trained for trained, _ in own]
                    rarest = report.find_rarest([trained for trained, _ in own])
                    walks += self._walk_with(action, way, own[rarest][1], modes["up"], stream)
        finally:
            monitor.finish()
        return report.tell(
            self.name, QUESTION, flows, walks, reference, modes, dataclasses.asdict(self), time.perf_counter() - begun
        )

    def _train(
        self, action: Phi4, way: str, number: int, modes: Mapping[str, NDArray[np.float64]], stream: Stream
    ) -> tuple[Trained, Any]:
        from pyqmc_art.lattice.weighted_draws import measure_proposal
        from pyqmc_art.proposals.shapes import FlowShape
        from pyqmc_art.proposals.training import FlowTraining, train_flow

        chosen = {"equivariant": False, **WAYS[way]}
        plan = FlowShape(self.layers, (8, 8), **{name: chosen[name] for name in _SHAPE if name in chosen})
        begin = {"lam": self.ramp_from} if chosen.get("ramp") else {}
        training = FlowTraining(
            plan, self.training, 128, draws=1024, seed=_seed(stream.fold("training")), device="cpu", begin=begin,
            forward=chosen.get("forward", 0.0), samples=64 * self.fields,
        )  # fmt: skip
        found = train_flow(action, training, threads=1)
        seed = _seed(stream.fold("judgement"))
        judged = judge_modes(action, found.flow, modes, self.draws, seed=seed)
        seen = measure_proposal(action, found.flow, ("magnetization",), min(self.draws, 8192), seed=seed)
        kept = (seen.series["magnetization"], seen.log_weights)
        return Trained(way, number, judged, found.history, found.seconds, *kept), found.flow

    def _walk_with(self, action: Phi4, way: str, flow: Any, start: NDArray[np.float64], stream: Stream) -> list[Walk]:
        own, alone = stream.fold("walk with", list(WAYS).index(way)), Independence(action, flow)
        parts: list[tuple[int, Any]] = [(1, _make_hmc(action)), (1, Independence(action, flow))]
        both = Composition(parts)
        walks = [self._walk(f"{way}, flow alone", alone, start, own)] if way == REVERSE else []
        return [*walks, self._walk(f"{way}, hmc + flow", both, start, own)]

    def _walk(self, name: str, kernel: Any, start: NDArray[np.float64], stream: Stream) -> Walk:
        state = kernel.init(start[-1, :_CHAINS])
        state, series, info = kernel.advance(stream.fold("walk"), state, self.chain_steps, 1, find(["magnetization"]))
        seen = series["magnetization"]
        settled = seen[self.chain_steps // 4 :]
        crossings = float((np.sign(settled[1:]) != np.sign(settled[:-1])).mean())
        accepted = None if name == "hmc" else info.get("independence acceptance", info.get("acceptance"))
        return Walk(name, gamma_method((settled > 0).astype(np.float64)), crossings, accepted, seen[:, 0])


def _make_hmc(action: Phi4) -> HMC:
    return HMC(action, 1.0, 10, "omelyan2", 0.3, threads=1)


def _annealed(action: Phi4, stream: Stream) -> Estimate:
    """ln Z from paths that start in the symmetric phase and reach both of the broken one, without any flow."""
    found = annealed_log_partition(
        action, steps=_ANNEALED[0], replicas=_ANNEALED[1], seed=_seed(stream.fold("annealed")), threads=1
    )
    return Estimate(found.value, found.error, n=found.count, ess=found.effective)


def _seed(stream: Stream) -> int:
    """A seed of 63 bits."""
    return stream.key >> 1

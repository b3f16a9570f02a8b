"""One target, every kernel: effective samples for each CPU-second, ranked, beside what training cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import chi_square_probability
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.contestants import CLUSTER, FLOW_HMC, HMC, Contestant, Entrant, Lessons, with_hmc
from pyqmc_art.studies.times import FEWEST_TUNNELLINGS, Effort, Times, measure_times, tunnelling_time

M: Final = "magnetization"
M_SQUARED: Final = "magnetization2"


@dataclass(frozen=True)
class Result:
    """What one kernel did on one target.

    Attributes
    ----------
    contestant, times : which, and its autocorrelation times and cost
    training : CPU-seconds of its training; None for a kernel that learns nothing
    weights, kept : bytes of its weights, and of the state of one chain
    broken : whether the target has two phases
    """

    contestant: Contestant
    times: Times
    training: float | None
    weights: int
    kept: int
    broken: bool

    @property
    def acceptance(self) -> float | None:
        """Share of the proposals accepted; of a composition the first that has one."""
        return next((value for key, value in self.times.info.items() if key.endswith("acceptance")), None)

    @property
    def stuck(self) -> bool:
        """Whether too few changes of the sign of M were seen, where only they make M independent."""
        return self.broken and isinstance(self.tunnelling(), str)

    def tunnelling(self) -> Estimate | str:
        """Steps between changes of the sign of M, or a lower bound."""
        return tunnelling_time(self.times.series[M], self.times.every)

    def speed(self, name: str) -> Estimate | None:
        """Effective samples per CPU-second; None where there is none to state."""
        return None if name == M and self.stuck else self.times.ess_per_second(name)

    def pace(self) -> Estimate | None:
        """Effective samples per CPU-second of the slower of M and M^2; None for a kernel that is stuck.

        Clusters flip the sign of M at will, and their M^2 remembers; HMC between two phases is the other way round.
        """
        both = [self.speed(M), self.speed(M_SQUARED)]
        known = [speed for speed in both if speed is not None]
        return min(known, key=lambda speed: speed.value) if len(known) == len(both) else None

    def fastest(self) -> float:
        """What M of a stuck kernel gives at most, per CPU-second.

        A sign that changes every T steps has tau_int = T / 2, so that there is one effective sample in T steps.
        """
        return FEWEST_TUNNELLINGS / (self.times.steps * self.times.cpu_seconds)

    def warnings(self) -> list[str]:
        """Why not to trust its times."""
        found = {w for name in (M, M_SQUARED) for w in self.times.estimates[name].warnings}
        return sorted(found)


@dataclass(frozen=True)
class Heat:
    """All results on one target."""

    action: Phi4
    broken: bool
    results: tuple[Result, ...]

    @property
    def size(self) -> int:
        """L."""
        return int(self.action.lattice.shape[0])

    @property
    def label(self) -> str:
        """``L = 8, λ = 6.008``."""
        return f"L = {self.size}, λ = {self.action.lam:g}"

    def ranked(self) -> list[Result]:
        """Results by effective samples of their slower observable per CPU-second; what is stuck comes last."""
        return sorted(self.results, key=lambda r: -(pace.value if (pace := r.pace()) else 0.0))

    def find(self, label: str) -> Result | None:
        """The result of one kernel."""
        return next((r for r in self.results if r.contestant.label == label), None)

    def untrained(self) -> Result | None:
        """The best kernel that needs no training and whose run was long enough."""
        known = [r for r in self.ranked() if r.training is None and (pace := r.pace()) and pace.reliable]
        return known[0] if known else None

    def agreement(self) -> tuple[float, int] | None:
        """Probability that the averages of M^2 scatter as they do, by chi-square, and of how many kernels."""
        known = [e for r in self.results if (e := r.times.estimates[M_SQUARED]).reliable and e.error > 0]
        if len(known) < 2:
            return None
        values, errors = np.array([e.value for e in known]), np.array([e.error for e in known])
        mean = float((values / errors**2).sum() / (1 / errors**2).sum())
        return chi_square_probability(float((((values - mean) / errors) ** 2).sum()), len(known) - 1), len(known)


def break_even(learned: Result, rival: Result | None) -> Estimate | str | None:
    """Effective samples after which training has paid: N / s_rival = T + N / s_learned.

    ``"never"`` where the learned kernel is the slower one even when its training is free (a run too short to trust
    makes it look faster, so that this is safe to say); ``"unknown"`` where it is not known to be the faster one; None
    for a kernel that learns nothing.
    """
    if learned.training is None:
        return None
    own, other = learned.pace(), None if rival is None else rival.pace()
    if other is None:
        return "unknown"
    if (learned.fastest() if own is None else own.value) <= other.value:
        return "never"
    if own is None or not own.reliable:
        return "unknown"
    saved = 1 / other.value - 1 / own.value
    error = math.hypot(other.error / other.value**2, own.error / own.value**2)
    number = learned.training / saved
    return Estimate(number, number * error / saved)


def run_heat(
    action: Phi4,
    contestants: Sequence[Contestant],
    effort: Effort,
    lessons: Lessons,
    stream: Stream,
    *,
    broken: bool = False,
) -> Iterator[Result]:
    """Prepare, train and measure one kernel after the other; the flow is trained once for all that use it.

    Parameters
    ----------
    effort : its ``replicas`` are those of a compiled kernel, in units of which others get theirs, and its ``updates``
        are divided by the price of a kernel
    stream : of trainings and chains
    """
    # In two phases only clusters prepare both of them.
    preparer = (CLUSTER if broken else HMC).prepare(action, lessons, stream, broken).kernel
    trained: Entrant | None = None
    for contestant in contestants:
        own = stream.fold(contestant.label)
        if contestant.flow:
            trained = trained or contestant.prepare(action, lessons, stream.fold("flow"), broken)
            entrant = with_hmc(trained) if contestant is FLOW_HMC else trained
        else:
            entrant = contestant.prepare(action, lessons, own, broken)
        shares = Effort(contestant.chains, effort.length, effort.updates / contestant.price)
        times = measure_times(entrant.kernel, (M, M_SQUARED), own, shares, companion=preparer)
        yield Result(contestant, times, entrant.training, entrant.weights, _kept(entrant.kernel, times), broken)


def _kept(kernel: Any, times: Times) -> int:
    """Bytes of the state of one chain: its field, and what else the kernel keeps."""
    state = kernel.init(times.field[:1])
    return int(state.field.nbytes + sum(array.nbytes for array in state.extra.values()))

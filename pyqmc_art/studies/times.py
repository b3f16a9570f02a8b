"""Integrated autocorrelation times of a kernel, by runs as long as the times they measure ask for.

A run starts in equilibrium: a faster kernel of the same target has prepared it, or it warms up for ten times what it
then measures. It doubles until it is ``length`` times as long as its slowest autocorrelation time, or has used up its
``updates``. Both are counts, not seconds: the same seed gives the same times on every machine.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.chain import Pace, chain
from pyqmc_art.lattice.kernels.stepwise import as_warming
from pyqmc_art.lattice.observables import find
from pyqmc_art.protocols import Field, Info, Series, State
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method
from pyqmc_art.stats.estimate import Estimate

WARMUP_IN_TAU: Final = 10
"""Steps of a warm-up in units of the slowest autocorrelation time measured behind it."""

MEASUREMENTS_IN_TAU: Final = 4
"""Measurements in the fastest autocorrelation time: a sum over every quarter of it is 0.5 % above the full one."""

FIRST_STEPS: Final = 256
"""Steps of the first stretch. All stretches are powers of two, so that thinning keeps the measured steps aligned."""

FEWEST_TUNNELLINGS: Final = 10
"""Changes of sign below which only a lower bound of their distance is stated."""

TIMED_SECONDS: Final = 0.02
"""CPU time, at least, that the cost of a step is measured over."""

TIMED_AGAIN: Final = 4
"""How often it is measured: the scatter is the error of the cost."""

TUNING_STEPS: Final = 256
"""Steps in which a kernel that tunes its proposals does so, before anything is measured."""


@dataclass(frozen=True)
class Effort:
    """When to stop.

    Parameters
    ----------
    replicas : independent chains
    length : wanted length of all replicas together, in units of the slowest autocorrelation time
    updates : most site updates to spend on one run, its warm-up included
    """

    replicas: int
    length: float
    updates: float


@dataclass(frozen=True)
class Times:
    """Autocorrelation times of one kernel at one point.

    Attributes
    ----------
    estimates : observable -> its mean with ``tau_int`` in steps, and why not to trust it
    series : observable -> measurements, shape (measurements, replicas)
    every : steps from one measurement to the next
    warmup : steps of this kernel before the first of them
    cpu_seconds : cost of one step of one replica on one thread, without measurements
    turned : share of the sites that a step turns (Wolff); 1 for the others
    field : the last configurations, shape (replicas, *shape)
    cpu_error : standard error of the cost
    info : what the kernel says of its steps, the acceptance for instance
    """

    estimates: Mapping[str, Estimate]
    series: Series
    every: int
    warmup: int
    cpu_seconds: float
    turned: float
    field: Field
    cpu_error: float = 0.0
    info: Info = dataclasses.field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Measured steps, all replicas together."""
        return self.every * next(iter(self.series.values())).size

    def tau(self, name: str) -> Estimate | None:
        """tau_int of an observable in steps, with its error and warnings; None where it has none."""
        mean = self.estimates[name]
        if mean.tau_int is None:
            return None
        return Estimate(mean.tau_int, mean.tau_int_error or 0.0, n=mean.n, warnings=mean.warnings)

    def ess_per_second(self, name: str) -> Estimate | None:
        """Effective samples per CPU-second, ``1 / (2 tau_int c)`` with c the cost of a step; None without tau."""
        tau = self.tau(name)
        if tau is None or not self.cpu_seconds > 0:
            return None
        speed = 1 / (2 * tau.value * self.cpu_seconds)
        relative = math.hypot(tau.error / tau.value, self.cpu_error / self.cpu_seconds)
        return Estimate(speed, speed * relative, warnings=tau.warnings)


class Recorder:
    """A series that can be extended, thinned and begun anew.

    Parameters
    ----------
    advance : does a number of steps and returns the measurements of every so many of them
    decisive : the observables that decide how long the series must be
    replicas : that a step advances at once
    affordable : steps that may be done in all
    """

    def __init__(
        self, advance: Callable[[int, int], Series], decisive: Sequence[str], replicas: int, affordable: int
    ) -> None:
        self._advance = advance
        self._decisive = tuple(decisive)
        self.replicas, self.affordable = replicas, affordable
        self.every, self.before, self.steps = 1, 0, 0
        self.series: Series = {}
        self.estimates: dict[str, Estimate] = {}

    @property
    def slowest(self) -> float:
        """Largest tau_int of all observables, in steps."""
        return max((e.tau_int or 0.5 for e in self.estimates.values()), default=0.5)

    def affords(self, steps: int) -> bool:
        """Whether so many further steps are within the budget."""
        return self.before + self.steps + steps <= self.affordable

    def extend(self, steps: int) -> None:
        """Do further steps and analyse all that is recorded."""
        fresh = self._advance(steps, self.every)
        self.series = {k: np.concatenate([self.series[k], v]) if k in self.series else v for k, v in fresh.items()}
        self.steps += steps
        self.estimates = {k: gamma_method(self.series[k], every=self.every) for k in self._decisive}
        self._thin()

    def restart(self) -> None:
        """Forget the series: it was warm-up."""
        self.before, self.steps, self.series = self.before + self.steps, 0, {}

    def settle(self) -> None:
        """Warm up: forget ever longer stretches until ten of the times behind them were forgotten."""
        self.extend(FIRST_STEPS)
        while self.before < WARMUP_IN_TAU * self.slowest and self.affords(4 * self.steps):
            stretch = 2 * self.steps
            self.restart()
            self.extend(stretch)

    def lengthen(self, length: float) -> None:
        """Double the series until all replicas are ``length`` times the slowest tau, or the budget is used up.

        A rule that stops at a small tau favours runs that happen to underestimate it. So a run stops at half of the
        length, and is then doubled once more whatever comes out.
        """
        while 2 * self.steps * self.replicas < length * self.slowest and self.affords(2 * self.steps):
            self.extend(self.steps)
        if self.affords(self.steps):
            self.extend(self.steps)

    def _thin(self) -> None:
        """Keep every k-th measurement, k a power of two, where even the fastest observable loses nothing."""
        fastest = min((e.tau_int for e in self.estimates.values() if e.tau_int is not None), default=0.5)
        wanted = min(fastest / MEASUREMENTS_IN_TAU, FIRST_STEPS / 16)
        ratio = 2 ** max(0, math.floor(math.log2(max(1.0, wanted / self.every))))
        self.series = {name: values[ratio - 1 :: ratio] for name, values in self.series.items()}
        self.every *= ratio


def measure_times(
    kernel: Any,
    names: Sequence[str],
    stream: Stream,
    effort: Effort,
    *,
    also: Sequence[str] = (),
    companion: Any = None,
    rung: int = 0,
) -> Times:
    """Run a kernel until its autocorrelation times are known as well as the effort allows.

    Parameters
    ----------
    kernel : of any model; one that tunes its proposals does so first
    names : observables; the slowest of them decides how long the run is
    stream : its random numbers
    effort : when to stop
    also : observables that are recorded only
    companion : a faster kernel of the same target that prepares the first configurations; None: the kernel itself
        warms up
    rung : which rung of a ladder is measured

    Returns
    -------
    Times

    Examples
    --------
    >>> import pyqmc_art as qa
    >>> kernel = qa.SwendsenWang(qa.Ising(qa.Lattice((8, 8)), beta=0.44))
    >>> times = measure_times(kernel, ["energy"], qa.Stream.from_seed(1), Effort(8, 200, 1e7))
    >>> bool(0.5 < times.tau("energy").value < 10)
    True
    """
    field = kernel.start(stream.fold("start"), effort.replicas)
    if companion is not None:
        prepared = companion.init(field)
        _recorder(companion, prepared, names, (), stream.fold("prepare"), effort, rung).settle()
        field = prepared.field
    state = kernel.init(field)
    if (tuning := as_warming(kernel)) is not kernel:
        state = tuning.advance(stream.fold("tune"), state, TUNING_STEPS)[0]
    run = _recorder(kernel, state, names, also, stream.fold("measure"), effort, rung)
    if companion is None:
        run.settle()
    else:
        run.extend(FIRST_STEPS)
    run.lengthen(effort.length)
    estimates = run.estimates
    if companion is None and run.before < WARMUP_IN_TAU * run.slowest:
        warning = f"the warm-up of {run.before} steps is only {run.before / run.slowest:.1f} autocorrelation times"
        estimates = {k: replace(e, warnings=(*e.warnings, warning)) for k, e in estimates.items()}
    measured = state.field[:, rung] if kernel.rungs > 1 else state.field
    seconds, error, info = _cost(kernel, state, stream.fold("measure"))
    turned, last = info.get("turned", 1.0), measured.copy()
    return Times(estimates, run.series, run.every, run.before, seconds, turned, last, error, info)


def tunnelling_time(magnetization: NDArray[np.float64], every: int = 1) -> Estimate | str:
    """Mean number of steps between changes of the sign of m, or ``"> T"`` where too few were seen to know.

    A change counts when m has gone from beyond half of <|m|> to beyond half of it on the other side, so that wavering
    about zero does not.

    Parameters
    ----------
    magnetization : signed, shape (measurements, replicas)
    every : steps from one measurement to the next

    Examples
    --------
    >>> m = np.repeat([1.0, -1.0] * 50, 5)[:, None]
    >>> round(tunnelling_time(m).value, 2)
    5.05
    >>> tunnelling_time(np.ones((1000, 1)))
    '> 100'
    """
    far = np.sign(magnetization) * (np.abs(magnetization) > np.abs(magnetization).mean() / 2)
    changes = 0
    for replica in far.T:
        visits = replica[replica != 0]
        changes += int(np.count_nonzero(np.diff(visits)))
    steps = magnetization.size * every
    if changes < FEWEST_TUNNELLINGS:
        return f"> {float(f'{steps / FEWEST_TUNNELLINGS:.2g}'):.0f}"
    return Estimate(steps / changes, steps / changes**1.5, n=changes)


def _recorder(
    kernel: Any, state: State, names: Sequence[str], also: Sequence[str], stream: Stream, effort: Effort, rung: int
) -> Recorder:
    observables = find((*names, *also))

    def advance(steps: int, every: int) -> Series:
        parts: dict[str, list[NDArray[np.float64]]] = {o.name: [] for o in observables}
        for block in chain(kernel, stream, state, state.step + steps, every=every, observables=observables):
            for name, values in block.series.items():
                parts[name].append(values[..., rung] if values.ndim == 3 else values)
        return {name: np.concatenate(values) for name, values in parts.items()}

    updates = kernel.action.lattice.sites * kernel.rungs * effort.replicas
    return Recorder(advance, names, effort.replicas, int(effort.updates / updates))


def _cost(kernel: Any, state: State, stream: Stream) -> tuple[float, float, Info]:
    """CPU-seconds of one step of one replica on one thread, their error, and what the kernel says of its steps."""
    single, steps, spent = kernel.using(1), 8, 0.0
    while spent < TIMED_SECONDS:
        steps *= 2
        spent, info = _spend(single, state, stream, steps)
    # The stretches that looked for the right size warmed up the caches, and do not count.
    costs = []
    for _ in range(TIMED_AGAIN):
        spent, info = _spend(single, state, stream, steps)
        costs.append(spent)
    each = np.array(costs) / steps / len(state.field)
    return float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each))), info


def _spend(kernel: Any, state: State, stream: Stream, steps: int) -> tuple[float, Info]:
    """CPU-seconds of so many steps, and what the kernel says of them on average."""
    blocks = list(chain(kernel, stream, state, state.step + steps, pace=Pace(TIMED_SECONDS)))
    weights = [block.seconds for block in blocks]
    info = {key: float(np.average([b.info[key] for b in blocks], weights=weights)) for key in blocks[-1].info}
    return sum(block.cpu_seconds for block in blocks), info

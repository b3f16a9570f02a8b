"""One benchmark: judge, then time. The only way a figure gets into a record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.contenders import UNITS, Contender, Ours
from benchmarks.judgement import Reference, Verdict, exact_reference, judge, judge_small, measured_reference
from benchmarks.record import Measurement
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case

QUICK: Final = os.environ.get("PYQMC_BENCH_QUICK") == "1"
"""A look in a fraction of the time: ``python -m benchmarks --quick``. The judgements are the same."""

ROUNDS: Final = 3 if QUICK else 9
SECONDS_PER_ROUND: Final = 0.02 if QUICK else 0.1
MINIMUM_STEPS: Final = {"wolff": 32}
"""Single clusters differ so much in size that a round needs many of them."""

SITES_TO_JUDGE: Final = 2**20
"""Sites of all configurations that are judged together: then 1 % of beta is about ten standard errors."""

Timer = Callable[[], float]


class Timed(Protocol):
    """What is timed of a :class:`~benchmarks.contenders.Runner`."""

    @property
    def overhead(self) -> float:
        """CPU time in seconds of each step that is no part of the work."""
        ...

    @property
    def setup(self) -> float:
        """That of each call of ``run``."""
        ...

    def run(self, steps: int) -> float:
        """Do so many steps and return the work done."""
        ...


CLOCKS: Final[Mapping[str, Timer]] = {"cpu": time.process_time, "wall": time.perf_counter}
"""CPU time of all threads, which other users of the machine disturb least, or time on the wall."""


@dataclass
class Paddock:
    """What the benchmarks of a session share: equilibrium configurations, references and judgements, made once each."""

    stream: Stream = field(default_factory=lambda: Stream.from_seed(2024))
    measurements: list[Measurement] = field(default_factory=list)
    _fields: dict[Any, Field] = field(default_factory=dict)
    _references: dict[Any, Reference] = field(default_factory=dict)
    _verdicts: dict[Any, Verdict] = field(default_factory=dict)

    def fields(self, case: Case) -> Field:
        """Equilibrium configurations: by Swendsen-Wang, or by the kernel itself where it keeps the magnetization."""
        key = (case.action, case.spin_sum)
        if key not in self._fields:
            own = case.spin_sum is not None
            kernel = case.build() if own else compose.build("swendsen-wang", case.action, {})
            stream = self.stream.fold("equilibrium")
            count = 8 if own else max(1, SITES_TO_JUDGE // case.action.lattice.sites)
            state = kernel.init(kernel.start(stream, count))
            steps = 500 if own else 10 * round(max(case.action.lattice.shape) ** 0.5)
            self._fields[key] = kernel.advance(stream, state, steps)[0].field
        return self._fields[key]

    def reference(self, case: Case) -> Reference | None:
        """The energy at the size that is timed; None where the kernel keeps the magnetization."""
        if case.spin_sum is not None:
            return None
        key = (case.action, case.kernel == "swendsen-wang")
        if key not in self._references:
            found = exact_reference(case)
            if found is None:
                found = measured_reference(case, self.fields(case), self.stream.fold("reference"))
            self._references[key] = found
        return self._references[key]

    def judge(self, contender: Contender, case: Case) -> Verdict:
        """Judge a contender from equilibrium configurations."""
        key = (contender.name, contender if isinstance(contender, Ours) else None, case.kernel, case.action)
        if key not in self._verdicts:
            small = judge_small(contender, case) if isinstance(contender, Ours) else None
            runner = contender.load(case, self.fields(case), self.stream.fold(contender.name))
            self._verdicts[key] = judge(case, runner, self.reference(case), small)
        return self._verdicts[key]


def race(paddock: Paddock, benchmark: Any, section: str, contender: Contender, case: Case) -> None:
    """Judge a contender, then time it on one configuration; a peer that is wrong is listed as wrong and not timed."""
    verdict = paddock.judge(contender, case)
    if not verdict.passed:
        message = f"{contender.name} is wrong on {case.name}: {verdict.summary}"
        if isinstance(contender, Ours):
            pytest.fail(message)
        wrong = Measurement(section, case.name, contender.name, UNITS[case.kernel], "cpu", verdict)
        paddock.measurements.append(wrong)
        pytest.skip(message)
    runner = contender.load(case, paddock.fields(case)[:1], paddock.stream.fold("timed"))
    one = {contender.name: (runner, verdict)}
    time_in_turn(paddock, benchmark, section, case.name, UNITS[case.kernel], one, minimum=minimum_of(case))


def race_variants(
    paddock: Paddock,
    benchmark: Any,
    section: str,
    variants: Mapping[str, Ours],
    case: Case,
    replicas: int = 1,
    clock: str = "cpu",
) -> None:
    """Time variants of ours, by column, that give the same bytes as the one that is judged."""
    fields, stream = paddock.fields(case)[:replicas], paddock.stream.fold("timed")
    plain = Ours()
    verdict = paddock.judge(plain, case)
    assert verdict.passed, verdict.summary
    verdict = replace(verdict, source=f"same bytes; {verdict.source}")
    ours = plain.load(case, fields, stream)
    ours.run(2)
    runners = {}
    for column, variant in variants.items():
        runner = variant.load(case, fields, stream)
        runner.run(2)
        assert np.array_equal(runner.fields(), ours.fields()), f"{column} differs from {plain.name} on {case.name}"
        runners[column] = runner, verdict
    time_in_turn(paddock, benchmark, section, case.name, UNITS[case.kernel], runners, clock, minimum_of(case))


def minimum_of(case: Case) -> int:
    """Steps that a round of a case needs."""
    return MINIMUM_STEPS.get(case.kernel, 1)


class Repeated:
    """A function that returns how much work it did, as a runner: a step is a call."""

    overhead = setup = 0.0

    def __init__(self, work: Callable[[], float]) -> None:
        self._work = work

    def run(self, steps: int) -> float:
        """Call it so many times."""
        return sum(self._work() for _ in range(steps))


def time_in_turn(
    paddock: Paddock,
    benchmark: Any,
    section: str,
    case: str,
    unit: str,
    runners: Mapping[str, tuple[Timed, Verdict]],
    clock: str = "cpu",
    minimum: int = 1,
) -> None:
    """Time runners that have been judged, by column, and put their costs into the record.

    They take turns, round by round: whatever else the machine does meanwhile, it does to all of them, and a ratio of
    two is one of figures taken at the same time.
    """
    timer = CLOCKS[clock]
    steps = {column: steps_per_round(runner, timer, minimum) for column, (runner, _) in runners.items()}
    costs: dict[str, list[float]] = {column: [] for column in runners}

    def run_round() -> None:
        for column, (runner, _) in runners.items():
            before = timer()
            work = runner.run(steps[column])
            # Some work comes with steps that are not part of it; some work, as that of single clusters, varies.
            seconds = timer() - before - runner.setup - steps[column] * runner.overhead
            costs[column].append(1e9 * seconds / work)

    benchmark.group = f"{section}: {case}"
    benchmark.pedantic(run_round, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if benchmark.disabled:
        return
    for column, (_, verdict) in runners.items():
        note(paddock, benchmark, section, case, column, unit, np.array(costs[column][-ROUNDS:]), verdict, clock)


def note(
    paddock: Paddock,
    benchmark: Any,
    section: str,
    case: str,
    column: str,
    unit: str,
    cost: NDArray[np.float64],
    verdict: Verdict,
    clock: str = "cpu",
) -> None:
    """Put the costs of all rounds, ns for each unit of work, into the record."""
    costs = (float(np.median(cost)), float(np.min(cost)), float(np.max(cost)))
    rounds = tuple(float(c) for c in cost)
    paddock.measurements.append(Measurement(section, case, column, unit, clock, verdict, *costs, len(cost), rounds))
    benchmark.extra_info[column] = {"ns_per_unit": costs[0], "unit": unit}


def steps_per_round(runner: Timed, timer: Timer, minimum: int = 1) -> int:
    """How many steps take about as long as a round should; doubling, because the first call may compile something."""
    runner.run(1)
    steps = minimum
    while True:
        before = timer()
        runner.run(steps)
        seconds = timer() - before - runner.setup
        if seconds > SECONDS_PER_ROUND / 4:
            return max(minimum, round(steps * SECONDS_PER_ROUND / seconds))
        steps *= 2

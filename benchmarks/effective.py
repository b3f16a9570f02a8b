"""What an effective sample costs: run a chain for a while, estimate its autocorrelation time, divide."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.judgement import Verdict
from benchmarks.race import QUICK, Paddock
from benchmarks.record import Measurement
from pyqmc_art.stats import Estimate, gamma_method

SECONDS: Final = 0.3 if QUICK else 1.5
"""CPU time that one chain gets."""

FEWEST: Final = 200
LONGEST: Final = 50
"""Effective samples of all replicas, and autocorrelation times that each runs, below which tau_int is a guess."""

Floats = NDArray[np.float64]
Advance = Callable[[int], dict[str, Floats]]
"""Do so many steps and return series of shape (measurements, replicas) by the names of the observables."""


@dataclass(frozen=True)
class Chain:
    """A stretch of a Markov chain with what it took.

    Parameters
    ----------
    series : of each observable, shape (measurements, replicas)
    every : steps between two measurements
    seconds : CPU time of the stretch
    """

    series: dict[str, Floats]
    every: int
    seconds: float

    def estimate(self, name: str) -> Estimate:
        """Average of an observable by the Gamma method."""
        return gamma_method(self.series[name], every=self.every)

    def settles(self, name: str) -> bool:
        """Whether the stretch is long enough for an autocorrelation time of this observable."""
        if len(self.series[name]) < LONGEST:
            return False
        found = self.estimate(name)
        steps = len(self.series[name]) * self.every
        long = bool(found.tau_int) and steps >= LONGEST * (found.tau_int or 0.0)
        return long and found.reliable and (found.ess or 0.0) >= FEWEST

    def cost(self, name: str) -> tuple[float, float, Estimate]:
        """ns for each effective sample of an observable, its standard error, and the estimate behind it."""
        found = self.estimate(name)
        if not found.ess or not found.tau_int or found.tau_int_error is None:
            raise ValueError(f"the series of {name} does not move: it has no effective samples")
        cost = 1e9 * self.seconds / found.ess
        return cost, cost * found.tau_int_error / found.tau_int, found


def run_chain(advance: Advance, every: int, seconds: float = SECONDS, most: int = 2**15) -> Chain:
    """Measure until the CPU time is spent, or so many times; stretches double, because the first ones are small.

    The stretch that looks for the right size counts: it is part of the same chain.
    """
    parts: list[dict[str, Floats]] = []
    measurements, done, spent = 1, 0, 0.0
    while spent < seconds and done < most:
        before = time.process_time()
        parts.append(advance(measurements * every))
        last = time.process_time() - before
        done, spent = done + measurements, spent + last
        left = measurements * (seconds - spent) / max(last, 1e-6)
        measurements = max(1, min(2 * measurements, round(left), most - done))
    names = parts[0]
    return Chain({name: np.concatenate([part[name] for part in parts]) for name in names}, every, spent)


def note_chain(
    paddock: Paddock, benchmark: Any, section: str, case: str, column: str, name: str, chain: Chain, verdict: Verdict
) -> None:
    """Put the cost of an effective sample into the record; with too few of them say so instead."""
    if not chain.settles(name):
        pytest.skip(f"{column} on {case}: too few effective samples in {chain.seconds:.1f} s")
    cost, error, found = chain.cost(name)
    costs = (cost, cost - error, cost + error)
    paddock.measurements.append(
        Measurement(
            section, case, column, f"effective sample of {name}", "cpu", verdict, *costs, 1,
            error=error, tau_int=found.tau_int, tau_int_error=found.tau_int_error,
        )
    )  # fmt: skip
    benchmark.extra_info.update(ns_per_effective_sample=cost, tau_int=found.tau_int)

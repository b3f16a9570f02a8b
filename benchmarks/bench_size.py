"""Cost by the size of the lattice, from what fits into a register to what fits into no cache."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.catalogue import THREADS, find_case
from benchmarks.contenders import UNITS, Ours
from benchmarks.race import minimum_of, time_in_turn
from pyqmc_art.lattice.geometry import Lattice

JUDGED = {16: 64, 32: 64, 128: 256, 512: 256, 2048: 1024, 4096: 1024}
"""Sizes, and the size of the timed cases that is judged for them; there the judges' own sizes are in the tables."""

JUDGED_CUBE, LARGEST_CUBE = 64, 256


def lay(fields, size):
    """A configuration of another size: cut from one, or several side by side."""
    times, axes = max(1, size // fields.shape[1]), fields.ndim - 1
    return np.ascontiguousarray(np.tile(fields[:1], (1, *[times] * axes))[:, *[slice(size)] * axes])


LARGEST = max(JUDGED)


def load(paddock, kernel, size, threads, axes=2):
    """The case, a runner on a configuration of that size, and the judgement of the size that stands for it."""
    small = (JUDGED[size] if axes == 2 else JUDGED_CUBE,) * axes
    judge = find_case(kernel, *small)
    verdict = paddock.judge(Ours(), judge)
    assert verdict.passed, verdict.summary
    case = replace(judge, action=replace(judge.action, lattice=Lattice((size,) * axes)))
    runner = Ours(threads=threads).load(case, lay(paddock.fields(judge), size), paddock.stream.fold("timed"))
    # What was cut or laid side by side needs a moment to become an equilibrium configuration of its size.
    runner.run(50 if kernel == "metropolis" else 10)
    return case, runner, replace(verdict, source=f"at {'x'.join(map(str, small))}: {verdict.source}")


def time_it(paddock, benchmark, section, case, runners, clock="cpu"):
    time_in_turn(paddock, benchmark, section, case.name, UNITS[case.kernel], runners, clock, minimum_of(case))


@pytest.mark.parametrize("size", JUDGED)
@pytest.mark.parametrize("kernel", ["metropolis", "swendsen-wang", "wolff"])
def test_size(benchmark, paddock, kernel, size):
    case, runner, verdict = load(paddock, kernel, size, 1)
    time_it(paddock, benchmark, "size", case, {"pyqmc_art": (runner, verdict)})


def test_cube(benchmark, paddock):
    case, runner, verdict = load(paddock, "metropolis", LARGEST_CUBE, 1, axes=3)
    time_it(paddock, benchmark, "size", case, {"pyqmc_art": (runner, verdict)})


@pytest.mark.benchmark(timer=time.perf_counter)
def test_threads(benchmark, paddock):
    loaded = {column: load(paddock, "metropolis", LARGEST, threads) for threads, column in THREADS.items()}
    fields = [runner.fields() for _, runner, _ in loaded.values()]
    assert all(np.array_equal(field, fields[0]) for field in fields), "the threads change the numbers"
    case = next(iter(loaded.values()))[0]
    runners = {column: (runner, verdict) for column, (_, runner, verdict) in loaded.items()}
    time_it(paddock, benchmark, "threads", case, runners, clock="wall")

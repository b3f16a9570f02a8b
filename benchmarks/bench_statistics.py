"""Statistics of pictures and series against the libraries that offer them: theirs are called unless ours wins."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

import numpy as np
import pytest

from benchmarks.catalogue import name_of
from benchmarks.judgement import Verdict
from benchmarks.race import CLOCKS, ROUNDS, SECONDS_PER_ROUND, note
from benchmarks.record import Measurement
from benchmarks.tasks import list_tasks

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("sklearn"), reason="scikit-learn is not installed")
OURS = ("pyqmc_art", "scipy (in use)")
PAIRS = [(task, contender) for task in list_tasks() for contender in task.contenders]


@pytest.fixture(autouse=True)
def one_thread():
    """For everybody's matrices and loops."""
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        yield


@cache
def data_of(task):
    return task.draw()


@cache
def expected_of(task):
    define = task.define or next(iter(task.contenders.values()))
    return define(data_of(task))


def judge(task, found):
    expected = expected_of(task)
    worst = float(np.abs(found - expected).max() / np.abs(expected).max())
    source = "the definition" if task.define else "our own result"
    return Verdict(worst <= task.tolerance, f"{source}, to {worst:.0e}")


def plan_rounds(run):
    """Rounds, and calls in each, so that the clock resolves them and nothing takes ten seconds."""
    run()
    begin = CLOCKS["cpu"]()
    run()
    seconds = max(CLOCKS["cpu"]() - begin, 1e-6)
    return (ROUNDS if seconds < 0.5 else 3), max(1, round(SECONDS_PER_ROUND / 4 / seconds))


@pytest.mark.parametrize(("task", "contender"), PAIRS, ids=lambda p: name_of(p))
def test_statistic(benchmark, paddock, task, contender):
    compute, data = task.contenders[contender], data_of(task)
    verdict = judge(task, compute(data))
    if not verdict.passed:
        paddock.measurements.append(Measurement("statistics", task.name, contender, task.unit, "cpu", verdict))
        message = f"{contender} is wrong on {task.name}: {verdict.source}"
        pytest.fail(message) if contender in OURS else pytest.skip(message)
    rounds, calls = plan_rounds(lambda: compute(data))

    def run():
        for _ in range(calls):
            compute(data)

    benchmark.group = f"statistics: {task.name}"
    benchmark.pedantic(run, rounds=rounds, warmup_rounds=0, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / (calls * task.size)
        note(paddock, benchmark, "statistics", task.name, contender, task.unit, cost, verdict)

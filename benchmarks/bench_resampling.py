"""Patches of a picture, by us and by the libraries that do the same; then our instruction sets and threads."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.catalogue import THREADS, list_isas, name_of
from benchmarks.picture_libraries import find_resamplers
from benchmarks.pillow_simd import PillowSimd
from benchmarks.race import ROUNDS, Repeated, note, time_in_turn
from benchmarks.record import Measurement
from benchmarks.resamplers import Ours, Pyramid, judge

pytest.importorskip("PIL", reason="Pillow's bytes are the judge")
pytestmark = pytest.mark.skipif(not list_isas(), reason="the compiled module is not installed")

PAINTING = Pyramid(4000, 3000, 3, 224)
CASES = (
    PAINTING,
    Pyramid(4000, 3000, 3, 256),
    Pyramid(4000, 3000, 1, 224),
    Pyramid(4000, 3000, 4, 224),
    Pyramid(400, 300, 3, 1024, levels=(1,)),
)


def clocked(resampler):
    """A resampler, with the clock of the process it works in."""
    marks = [pytest.mark.benchmark(timer=resampler.clock)] if isinstance(resampler, PillowSimd) else []
    return pytest.param(resampler, id=name_of(resampler), marks=marks)


@pytest.mark.parametrize("resampler", [clocked(r) for r in find_resamplers()])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_resampling(benchmark, paddock, case, resampler):
    picture = case.draw()
    run = resampler.load(case, picture)
    verdict = judge(resampler, case, picture, run())
    column, unit = resampler.name, "source pixel"
    if not verdict.passed:
        paddock.measurements.append(Measurement("resampling", case.name, column, unit, "cpu", verdict))
        message = f"{column} is wrong on {case.name}: {verdict.source}"
        pytest.fail(message) if isinstance(resampler, Ours) else pytest.skip(message)
    benchmark.group = f"resampling: {case.name}"
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / case.pixels
        note(paddock, benchmark, "resampling", case.name, column, unit, cost, verdict)


def load_ours(case, threads=1):
    """Our resampling of a picture as a runner, and whether it is right."""
    picture = case.draw()
    run = Ours(threads).load(case, picture)
    verdict = judge(Ours(threads), case, picture, run())
    assert verdict.passed, verdict.source

    def work():
        run()
        return case.pixels

    return Repeated(work), verdict


@pytest.mark.parametrize("isa", list_isas())
def test_instruction_set(benchmark, paddock, monkeypatch, isa):
    monkeypatch.setenv("PYQMC_ISA", isa)
    time_in_turn(paddock, benchmark, "isa", PAINTING.name, "source pixel", {isa: load_ours(PAINTING)})


@pytest.mark.benchmark(timer=time.perf_counter)
def test_threads(benchmark, paddock):
    runners = {column: load_ours(PAINTING, threads) for threads, column in THREADS.items()}
    time_in_turn(paddock, benchmark, "threads", PAINTING.name, "source pixel", runners, clock="wall")

"""Patches of a picture, by us and by the libraries that do the same; then our instruction sets and threads."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.catalogue import list_isas, name_of, usable_cores
from benchmarks.picture_libraries import find_resamplers
from benchmarks.pillow_simd import PillowSimd
from benchmarks.race import ROUNDS, note
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


def race(paddock, benchmark, section, resampler, case, column, clock="cpu"):
    """Judge a result, then time how it is made; whoever is wrong is listed as wrong and not timed."""
    picture = case.draw()
    run = resampler.load(case, picture)
    verdict = judge(resampler, case, picture, run())
    if not verdict.passed:
        paddock.measurements.append(Measurement(section, case.name, column, "source pixel", clock, verdict))
        message = f"{resampler.name} is wrong on {case.name}: {verdict.source}"
        pytest.fail(message) if isinstance(resampler, Ours) else pytest.skip(message)
    benchmark.group = f"{section}: {case.name}"
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / case.pixels
        note(paddock, benchmark, section, case.name, column, "source pixel", cost, verdict, clock)


def clocked(resampler):
    """A resampler, with the clock of the process it works in."""
    marks = [pytest.mark.benchmark(timer=resampler.clock)] if isinstance(resampler, PillowSimd) else []
    return pytest.param(resampler, id=name_of(resampler), marks=marks)


@pytest.mark.parametrize("resampler", [clocked(r) for r in find_resamplers()])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_resampling(benchmark, paddock, case, resampler):
    race(paddock, benchmark, "resampling", resampler, case, resampler.name)


@pytest.mark.parametrize("isa", list_isas())
def test_instruction_set(benchmark, paddock, monkeypatch, isa):
    monkeypatch.setenv("PYQMC_ISA", isa)
    race(paddock, benchmark, "isa", Ours(), PAINTING, isa)


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("threads", [n for n in (1, 2) if n <= usable_cores()])
def test_threads(benchmark, paddock, threads):
    column = "1 thread" if threads == 1 else f"{threads} threads"
    race(paddock, benchmark, "threads", Ours(threads), PAINTING, column, clock="wall")

"""What this machine can do at most: memory, instructions, random reads. The kernels are held against it."""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.catalogue import list_isas, usable_cores
from benchmarks.judgement import Verdict
from benchmarks.machine import INSTRUCTIONS_A_TURN, OPERATIONS, STREAMS, Chase, Stream, find_loop
from benchmarks.race import CLOCKS, ROUNDS, SECONDS_PER_ROUND, note

pytestmark = pytest.mark.skipif(shutil.which("cc") is None or sys.platform == "win32", reason="no C compiler")

SIZES = {"16 KiB": 2**14, "1 MiB": 2**20, "256 MiB": 2**28}
PLAIN = Verdict(True, "nothing to judge")


SECONDS = SECONDS_PER_ROUND / 3
"""These loops do the same all the time; they need no long rounds."""


def time_it(paddock, benchmark, section, case, column, unit, run, amount, clock="cpu"):
    """Time ``run(n)``, which does ``n * amount`` units, with as many as a round holds."""
    run(1)
    n, timer = 1, CLOCKS[clock]
    while True:
        before = timer()
        run(n)
        seconds = timer() - before
        if seconds > SECONDS / 4:
            break
        n *= 2
    n = max(1, round(n * SECONDS / seconds))
    benchmark.pedantic(run, (n,), rounds=ROUNDS, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / (n * amount)
        note(paddock, benchmark, section, case, column, unit, cost, PLAIN, clock)


@pytest.mark.parametrize("isa", ["scalar", *reversed(list_isas())])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_instructions(benchmark, paddock, operation, isa):
    loop = find_loop(operation, isa)
    if loop is None:
        pytest.skip(f"no such instruction for {isa}")
    turns = 1000
    time_it(
        paddock, benchmark, "machine", OPERATIONS[operation], isa, "instruction",
        lambda n: loop(n * turns), turns * INSTRUCTIONS_A_TURN,
    )  # fmt: skip


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("threads", [n for n in (1, 2) if n <= usable_cores()])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", STREAMS)
def test_memory(benchmark, paddock, kernel, size, threads):
    stream = Stream(kernel, SIZES[size], threads)
    with ThreadPoolExecutor(threads) as team:

        def run(n):
            list(team.map(stream.run, range(threads), [n] * threads))

        column = "1 thread" if threads == 1 else f"{threads} threads"
        time_it(paddock, benchmark, "bandwidth", f"{kernel} {size}", column, "byte", run, stream.bytes, "wall")


@pytest.mark.parametrize("size", SIZES)
def test_random_reads(benchmark, paddock, size):
    chase = Chase(SIZES[size])
    name = f"random reads in {size}"
    time_it(paddock, benchmark, "latency", name, "1 thread", "read", lambda n: chase.run(1000 * n), 1000)

"""The same kernel by another instruction set, backend or number of threads: the same bytes first, then the time."""

from __future__ import annotations

import time

import pytest

from benchmarks.catalogue import find_case, list_isas, name_of, usable_cores
from benchmarks.contenders import Ours
from benchmarks.race import race_variant
from pyqmc_art.backends import list_available

KERNELS = ("metropolis", "heat-bath", "swendsen-wang", "wolff")
BACKENDS = tuple(name for name in ("cpp", "numba", "python") if name in list_available())
THREADS = tuple(n for n in (1, 2) if n <= usable_cores())
SHARED_WORK = (
    (find_case("metropolis", 1024, 1024), 1),
    (find_case("metropolis", 64, 64), 64),
    (find_case("swendsen-wang", 256, 256), 8),
    (find_case("swendsen-wang", 1024, 1024), 1),
    (find_case("swendsen-wang", 128, 128, 128), 1),
)


@pytest.mark.parametrize("isa", list_isas())
@pytest.mark.parametrize(
    ("kernel", "size"), [*((kernel, 256) for kernel in KERNELS), ("metropolis", 1024), ("heat-bath", 1024)]
)
def test_instruction_set(benchmark, paddock, kernel, size, isa):
    race_variant(paddock, benchmark, "isa", Ours(backend="cpp", isa=isa), find_case(kernel, size, size), isa)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_backend(benchmark, paddock, kernel, backend):
    race_variant(paddock, benchmark, "backends", Ours(backend=backend), find_case(kernel, 64, 64), backend)


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(("case", "replicas"), SHARED_WORK, ids=name_of)
def test_threads(benchmark, paddock, case, replicas, threads):
    column = "1 thread" if threads == 1 else f"{threads} threads"
    race_variant(paddock, benchmark, "threads", Ours(threads=threads), case, column, replicas, clock="wall")

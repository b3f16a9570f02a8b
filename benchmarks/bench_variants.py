"""The same kernel by all instruction sets, backends and numbers of threads: the same bytes first, then the time."""

from __future__ import annotations

import time

import pytest

from benchmarks.catalogue import THREADS, find_case, list_isas, name_of
from benchmarks.contenders import Ours
from benchmarks.race import race_variants
from pyqmc_art.backends import list_available

KERNELS = ("metropolis", "heat-bath", "swendsen-wang", "wolff")
BACKENDS = tuple(name for name in ("cpp", "numba", "python") if name in list_available())
SHARED_WORK = (
    (find_case("metropolis", 1024, 1024), 1),
    (find_case("metropolis", 64, 64), 64),
    (find_case("swendsen-wang", 256, 256), 8),
    (find_case("swendsen-wang", 1024, 1024), 1),
    (find_case("swendsen-wang", 128, 128, 128), 1),
)


@pytest.mark.skipif(not list_isas(), reason="the compiled module is not installed")
@pytest.mark.parametrize(
    ("kernel", "size"), [*((kernel, 256) for kernel in KERNELS), ("metropolis", 1024), ("heat-bath", 1024)]
)
def test_instruction_sets(benchmark, paddock, kernel, size):
    variants = {isa: Ours(backend="cpp", isa=isa) for isa in list_isas()}
    race_variants(paddock, benchmark, "isa", variants, find_case(kernel, size, size))


@pytest.mark.parametrize("kernel", KERNELS)
def test_backends(benchmark, paddock, kernel):
    variants = {backend: Ours(backend=backend) for backend in BACKENDS}
    race_variants(paddock, benchmark, "backends", variants, find_case(kernel, 64, 64))


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize(("case", "replicas"), SHARED_WORK, ids=name_of)
def test_threads(benchmark, paddock, case, replicas):
    variants = {column: Ours(threads=threads) for threads, column in THREADS.items()}
    race_variants(paddock, benchmark, "threads", variants, case, replicas, clock="wall")

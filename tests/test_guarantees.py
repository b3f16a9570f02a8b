"""Discrete models: one seed, the same bytes for any threads, backend, instruction set, blocks and resuming."""

from __future__ import annotations

import hashlib

import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.lattice import run as run_module
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.ops.inventory import take
from pyqmc_art.rng import KERNEL_STREAM_VERSIONS, STREAM_VERSION
from pyqmc_art.store.ensemble import open_ensemble

BACKENDS = [name for name in list_available() if name != "cuda"]
ISAS = take().get("instruction_sets", [])

TORUS = qa.Lattice((6, 10))
ROWS = qa.Lattice((4, 70), boundary=("open", "periodic"))
TRIANGULAR = qa.Lattice((6, 9), kind="triangular")
HONEYCOMB = qa.Lattice((4, 6), kind="honeycomb")
ODD = qa.Lattice((3, 5, 3))
CHAIN = qa.Lattice((66,))
CUBE = qa.Lattice((4, 2, 6))
WIDE = qa.Lattice((4, 130))


def ising(lattice, h=0.15, J=1.0):
    return qa.Ising(lattice, beta=0.42, h=h, J=J)


def potts(lattice, q=3):
    return qa.Potts(lattice, q=q, beta=0.9)


LADDER = {"ladder": (0.25, 0.35, 0.5)}
CASES = {
    "metropolis ising": (ising(TORUS), "metropolis", {}),
    "metropolis ising rows": (ising(ROWS, J=-1.0), "metropolis", {}),
    "metropolis ising triangular": (ising(TRIANGULAR, h=0.0), "metropolis", {}),
    "metropolis ising cube": (ising(CUBE, h=0.0), "metropolis", {}),
    "metropolis ising wide": (ising(WIDE, h=0.0, J=-1.0), "metropolis", {}),
    "metropolis potts": (potts(TORUS), "metropolis", {}),
    "metropolis potts honeycomb": (potts(HONEYCOMB, q=5), "metropolis", {}),
    "heat-bath ising": (ising(TORUS), "heat-bath", {}),
    "heat-bath ising cube": (ising(CUBE), "heat-bath", {}),
    "heat-bath ising chain": (ising(CHAIN), "heat-bath", {}),
    "heat-bath potts": (potts(TORUS, q=4), "heat-bath", {}),
    "heat-bath potts many": (potts(TORUS, q=200), "heat-bath", {}),
    "swendsen-wang ising": (ising(ODD), "swendsen-wang", {}),
    "swendsen-wang ising negative": (ising(TRIANGULAR, h=-0.2, J=-1.0), "swendsen-wang", {}),
    "swendsen-wang potts": (potts(HONEYCOMB), "swendsen-wang", {}),
    "wolff ising": (ising(ODD), "wolff", {"clusters": 3}),
    "wolff potts": (potts(ROWS), "wolff", {}),
    "constrained local": (ising(TORUS), "constrained", {"magnetization": 0.2, "exchange": "local"}),
    "constrained mixed": (ising(TRIANGULAR), "constrained", {"magnetization": -1 / 3, "exchange": "mixed"}),
    "constrained long-range": (ising(ODD), "constrained", {"magnetization": 1 / 45}),
    "tempering": (ising(TORUS), "tempering", {**LADDER, "inner": "metropolis"}),
    "tempering clusters": (potts(TORUS), "tempering", {**LADDER, "inner": "swendsen-wang"}),
    "composition": (ising(TORUS), "heat-bath+2*wolff+swendsen-wang", {}),
    "composition potts": (potts(TORUS), "2*metropolis+wolff", {"clusters": 2}),
    "tempering composition": (ising(TORUS), "tempering", {**LADDER, "inner": "metropolis+wolff"}),
}
OPTIONS = {"steps": 14, "warmup": 3, "replicas": 2, "every": 2, "save_every": 4, "seed": 20}
OPTIONS["measure"] = ("energy", "magnetization", "kmin2")

KNOWN = {
    "metropolis ising": "e146dbc9b7705fc1",
    "metropolis ising rows": "1897b5dea9bc2fdd",
    "metropolis ising triangular": "ae565bab531d5a14",
    "metropolis ising cube": "8939b6298832be20",
    "metropolis ising wide": "20222ceeb3edc440",
    "metropolis potts": "6f9929414100e666",
    "metropolis potts honeycomb": "f8d3dc0b824b8335",
    "heat-bath ising": "0b880587c0d90d0f",
    "heat-bath ising cube": "3fdb7188ba735df6",
    "heat-bath ising chain": "67a2347ae69425a9",
    "heat-bath potts": "43e7c0f08b66d482",
    "heat-bath potts many": "bb27d079b196d4b1",
    "swendsen-wang ising": "243b7615a9451d71",
    "swendsen-wang ising negative": "eea049349bd2c51f",
    "swendsen-wang potts": "dca7e5fde03f0723",
    "wolff ising": "62c3dd5e961524e4",
    "wolff potts": "3718e83779acdb3c",
    "constrained local": "5ca74445829aef0a",
    "constrained mixed": "3ff9e1d99eba7f69",
    "constrained long-range": "56ac76f69a9083b8",
    "tempering": "38fa1b46882dd23e",
    "tempering clusters": "6c2ae770e200b7fe",
    "composition": "919f3da12a04bc20",
    "composition potts": "b93c7d974244dd2b",
    "tempering composition": "d37f47f7b3f4c84c",
}
"""Digest of each case under the stream versions below: 16 hexadecimal digits of SHA-256 over its series and fields."""


def build(case, backend=None, threads=None):
    action, name, options = CASES[case]
    return qa.build(name, action, options, backend=backend, threads=threads)


def digest(run):
    """Digest of all series and fields."""
    state = hashlib.sha256()
    for name in sorted(run.series):
        state.update(name.encode())
        state.update(str(run.series[name].shape).encode())
        state.update(run.series[name].tobytes())
    state.update(str(run.fields.dtype).encode())
    state.update(run.fields[:].tobytes())
    return state.hexdigest()[:16]


def sample(case, backend=None, threads=None, **options):
    kernel = build(case, backend, threads)
    return digest(qa.sample(kernel.action, kernel, **(OPTIONS | options)))


@pytest.fixture(autouse=True)
def every_thread_is_worth_it(monkeypatch):
    """Let even these small lattices be shared out among threads."""
    monkeypatch.setattr(compiled, "WORTH_A_THREAD", 1)
    for name in ("PYQMC_ISA", "PYQMC_BACKEND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def reference():
    """Digest of each case by plain Python on one thread."""
    return {case: sample(case, "python", 1) for case in CASES}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "python"])
def test_any_backend_and_any_number_of_threads(reference, case, backend, threads):
    assert sample(case, backend, threads) == reference[case]


@pytest.mark.skipif("cpp" not in BACKENDS, reason="no compiled kernels here")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("isa", ISAS)
def test_any_instruction_set(reference, monkeypatch, case, isa):
    monkeypatch.setenv("PYQMC_ISA", isa)
    assert take()["instruction_set_in_use"] == isa
    assert sample(case, "cpp", 2) == reference[case]


@pytest.mark.parametrize("case", CASES)
def test_any_cut_into_blocks_and_any_resuming_under_other_backends_and_threads(reference, tmp_path, monkeypatch, case):
    path = tmp_path / "run.h5"
    kernel = build(case, BACKENDS[0], 1)
    monkeypatch.setattr(run_module, "BLOCK_SECONDS", 1e-12)
    monkeypatch.setattr(run_module, "MAX_BLOCK_SECONDS", 1e-12)
    qa.sample(kernel.action, kernel, **(OPTIONS | {"steps": 1}), out=path).close()
    for turn, steps in enumerate((5, 8, 9, 14)):
        qa.resume(path, steps=steps, backend=BACKENDS[turn % len(BACKENDS)], threads=1 + turn % 3).close()
    with open_ensemble(path) as run:
        assert digest(run) == reference[case]


def test_the_digests_can_tell_runs_apart(reference):
    assert len(set(reference.values())) == len(CASES)
    for change in ({"seed": 21}, {"steps": 16}, {"warmup": 4}, {"start": "cold"}, {"every": 1}, {"save_every": 2}):
        assert sample("metropolis ising", **change) != reference["metropolis ising"]


def test_the_use_of_random_numbers_is_that_of_the_stream_version(reference):
    """A kernel that draws other numbers needs a new version, or else files would resume into another chain."""
    assert STREAM_VERSION == 1
    assert KERNEL_STREAM_VERSIONS == {"metropolis": 4, "heat-bath": 4, "swendsen-wang": 3, "wolff": 3, "hmc": 3}
    assert reference == KNOWN

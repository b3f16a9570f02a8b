"""Bugs planted into the device sources are noticed: the emulator's order of threads makes them visible."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import DeviceError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.local import Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import images
from pyqmc_art.rng import Stream

pytestmark = pytest.mark.slow

STREAM = Stream.from_seed(23)
ORDERS = range(1, 9)
BARRIER = "__syncthreads();"


def sampled(kernel: Any) -> bytes:
    """Fields and measurements of a few steps."""
    state = kernel.init(kernel.start(STREAM, 2))
    state, series, info = kernel.advance(STREAM, state, 4, 2, find(["energy", "magnetization"]))
    return b"".join([state.field.tobytes(), repr(info).encode(), *(v.tobytes() for v in series.values())])


def small_sweeps(backend: str) -> bytes:
    return sampled(Metropolis(Ising(Lattice((8, 130)), 0.3), backend=backend, threads=1))


def large_sweeps(backend: str) -> bytes:
    return sampled(Metropolis(Ising(Lattice((128, 130)), 0.3), backend=backend, threads=1))


def clusters(backend: str) -> bytes:
    return sampled(SwendsenWang(Ising(Lattice((96, 100)), 0.5), backend=backend, threads=1))


def shrunk(backend: str) -> bytes:
    picture = np.random.default_rng(3).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    out = np.zeros((1, 9, 40, 3), np.uint8)
    images.resample(backend)(picture, np.array([[0, 0, 80, 90]], np.float32), out, "bicubic", 1)
    return out.tobytes()


CLOSE = "pass.packed.close(plane, w, w + 1)"
TRY = "if (atomicCAS(parent + a, a, b) == a) return;"
BUGS = {
    "colours do not wait for each other": (small_sweeps, ("multispin.cu", BARRIER, "", 0)),
    "the first row's copy is stale": (large_sweeps, ("multispin.cu", CLOSE, "(void)plane", 0)),
    "the copy is of the wrong word": (
        small_sweeps,
        ("multispin.cu", CLOSE, CLOSE.replace("w, w + 1", "w + 1, w + 2"), 0),
    ),
    "all lanes share a generator": (
        large_sweeps,
        ("multispin.cu", "static_cast<std::uint32_t>(number)", "static_cast<std::uint32_t>(unit)", 0),
    ),
    "runs are joined before they are named": (clusters, ("swendsen_wang.cu", BARRIER, "", 0)),
    "labels are read before they are joined": (clusters, ("swendsen_wang.cu", BARRIER, "", 1)),
    "tiles are not joined": (clusters, ("swendsen_wang.cu", "ends &= ~bits::from", "ends = 0 & bits::from", 0)),
    "a lost race is not run again": (clusters, ("clusters.hpp", TRY, "atomicCAS(parent + a, a, b); return;", 0)),
    "a sum is told before it is complete": (clusters, ("launch.hpp", BARRIER, "", 1)),
    "a sum is cleared after it began": (clusters, ("launch.hpp", BARRIER, "", 0)),
    "rows are read before they are there": (shrunk, ("resample.cu", BARRIER, "", 0)),
    "rows are overwritten while they are read": (shrunk, ("resample.cu", BARRIER, "", 1)),
    "a tile lacks its last rows": (shrunk, ("resample.cu", "high > end ? high : end", "low > end ? low : end", 0)),
    "a map is written beyond its end": (clusters, ("clusters.cu", "parent_(words() * 64)", "parent_(words() * 32)", 0)),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_noticed(
    name: str, emulator: Any, install_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, change = BUGS[name]
    expected = run("cpp")
    install_module(emulator.build("".join(c if c.isalnum() else "_" for c in name), change))
    noticed = 0
    for order in ORDERS:
        monkeypatch.setenv("PYQMC_EMULATED_ORDER", str(order))
        result = b""
        with contextlib.suppress(DeviceError):
            result = run("cuda")
        noticed += result != expected
    assert noticed == len(ORDERS), f"noticed in {noticed} of {len(ORDERS)} orders"


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("run", [small_sweeps, large_sweeps, clusters, shrunk], ids=lambda run: run.__name__)
def test_without_a_bug_nothing_is_noticed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for order in ORDERS:
        monkeypatch.setenv("PYQMC_EMULATED_ORDER", str(order))
        assert run("cuda") == run("cpp")

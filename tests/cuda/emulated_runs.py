"""Short runs, as bytes. A process of its own does them where the device sources have a bug: some end the process.

``python emulated_runs.py LIBRARY RUN ORDER...`` prints a digest for each order of the threads.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from typing import Any

import numpy as np

from pyqmc_art.errors import DeviceError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.local import Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import images
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(23)


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


RUNS = {run.__name__: run for run in (small_sweeps, large_sweeps, clusters, shrunk)}


def digest(name: str, backend: str) -> str:
    """A digest of a run, or the name of what stopped it."""
    try:
        return hashlib.sha256(RUNS[name](backend)).hexdigest()
    except DeviceError as error:
        return type(error).__name__


def main(library: str, name: str, *orders: str) -> None:
    """Load the module and do the run under every order."""
    spec = importlib.util.spec_from_file_location("pyqmc_art._cuda", library)
    assert spec is not None and spec.loader is not None
    sys.modules["pyqmc_art._cuda"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for order in orders:
        os.environ["PYQMC_EMULATED_ORDER"] = order
        print(digest(name, "cuda"), flush=True)


if __name__ == "__main__":
    print(digest(sys.argv[2], "cpp"), flush=True)
    main(*sys.argv[1:])

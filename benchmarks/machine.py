"""The limits of this machine, measured by ``benchmarks/native/machine.c``, which is compiled when it is asked for."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import numpy as np

from pyqmc_art.errors import BackendUnavailable

NATIVE: Final = Path(__file__).resolve().parent / "native"
INSTRUCTIONS_A_TURN: Final = 32

STREAMS: Final = {"read": 1, "fill": 1, "copy": 2, "triad": 3}
"""Kernels of streams, and how many of the arrays each moves."""

OPERATIONS: Final = {
    "add": "integer addition, 64 bits a lane",
    "multiply": "integer product, 32 x 32 to 64 bits a lane",
    "real": "fused multiply-add of doubles (baseline: product)",
    "chain": "addition that waits for the one before (a cycle)",
}


@lru_cache
def load(name: str) -> ctypes.CDLL:
    """Compile ``benchmarks/native/NAME.c`` and load it.

    Raises
    ------
    BackendUnavailable
        Without a C compiler.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise BackendUnavailable("there is no C compiler (cc) to measure this machine with; install one or set CC")
    folder = Path(mkdtemp(prefix="pyqmc-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / f"{name}.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-std=gnu11"]
    subprocess.run([compiler, *flags, str(NATIVE / f"{name}.c"), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def find_loop(operation: str, isa: str) -> Any:
    """A loop of 32 of these instructions a turn; None where this architecture has none."""
    loop = getattr(load("machine"), f"{operation}_{isa}", None)
    if loop is not None:
        loop.argtypes, loop.restype = [ctypes.c_long], None
    return loop


class Stream:
    """A stream through arrays that together have so many bytes, in pieces of equal size for several threads."""

    def __init__(self, kernel: str, size: int, threads: int = 1) -> None:
        arrays = STREAMS[kernel]
        self._function = getattr(load("machine"), f"stream_{kernel}")
        pointer = ctypes.POINTER(ctypes.c_double)
        self._function.argtypes, self._function.restype = [pointer] * 3 + [ctypes.c_size_t, ctypes.c_long], None
        self._n = size // (8 * arrays * threads)
        self._parts = [np.ones((3, self._n)) for _ in range(threads)]
        self._pointers = [[a.ctypes.data_as(pointer) for a in part] for part in self._parts]
        self.bytes = 8 * arrays * self._n * threads

    def run(self, part: int, times: int) -> None:
        """Stream one thread's piece so many times; ctypes lets go of the interpreter meanwhile."""
        self._function(*self._pointers[part], self._n, times)


class Chase:
    """Reads of random places among so many bytes, each of which waits for the one before."""

    def __init__(self, size: int) -> None:
        self._function = load("machine").chase
        self._pointer = ctypes.POINTER(ctypes.c_int64)
        self._function.argtypes = [self._pointer, ctypes.c_int64, ctypes.c_long]
        self._function.restype = ctypes.c_int64
        order = np.random.default_rng(1).permutation(size // 8)
        self._next = np.empty(size // 8, np.int64)
        self._next[order] = np.roll(order, -1)
        self._at = int(order[0])

    def run(self, reads: int) -> None:
        """Follow the cycle."""
        self._at = self._function(self._next.ctypes.data_as(self._pointer), self._at, reads)

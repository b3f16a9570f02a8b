"""Image operations: name -> backend -> function; every backend writes the same bytes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.ops import devices, resampling
from pyqmc_art.ops.jit import jitted

FILTERS: Final = {"box": 0, "bilinear": 1, "bicubic": 2, "lanczos": 3}

Resample = Callable[[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8], str, int], None]
ResampleReal = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], str, int], None]


@cache
def resample(backend: str) -> Resample:
    """Return ``resample(picture, boxes, out, filter, threads)`` of a backend.

    ``picture`` (h, w, c) uint8; ``boxes`` (n, 4) float32 as left, top, right, bottom; ``out`` (n, height, width, c).

    Raises
    ------
    InputError
        If the backend has no image operations.
    BackendUnavailable
        If the backend is for devices and there is none.
    """
    if backend == "cuda":
        cuda = devices.find_module()
        return lambda picture, boxes, out, kind, threads: cuda.resample(
            np.ascontiguousarray(picture), boxes, out, FILTERS[kind]
        )
    if backend == "cpp":
        core = importlib.import_module("pyqmc_art._core")
        return lambda picture, boxes, out, kind, threads: core.resample(picture, boxes, out, FILTERS[kind], threads)
    if backend in ("numba", "python"):
        loops: Any = jitted(resampling) if backend == "numba" else resampling
        return lambda picture, boxes, out, kind, threads: loops.resample(picture, boxes, out, FILTERS[kind])
    raise InputError(f"the backend {backend!r} has no image operations; use cpp, cuda, numba or python")


@cache
def resample_real(backend: str) -> ResampleReal:
    """Return the same for pictures and results of float32.

    Raises
    ------
    InputError
        If the backend does not resample float32.
    """
    if backend == "cpp":
        core = importlib.import_module("pyqmc_art._core")
        return lambda picture, boxes, out, kind, threads: core.resample_real(
            picture, boxes, out, FILTERS[kind], threads
        )
    if backend in ("numba", "python"):
        loops: Any = jitted(resampling) if backend == "numba" else resampling
        return lambda picture, boxes, out, kind, threads: loops.resample_real(picture, boxes, out, FILTERS[kind])
    raise InputError(f"the backend {backend!r} does not resample float32; use cpp, numba or python")

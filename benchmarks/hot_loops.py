"""The loops that everything waits for, each small enough to be stepped through, and what is known to bound them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.contenders import UNITS
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA, potts_critical_beta
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.glass import GlassHeatBath
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Marks the beginning and the end of every call of a compiled function."""

Work = Callable[[int], float]
"""Do an amount of work and return how many units it was."""

Make = Callable[[Wrap, int], Work]
"""Give the work; every call of compiled code goes through the wrapper; the number is that of the rows of a lattice."""


WARM_UP: Final = 50
ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class HotLoop:
    """A loop, and how to run it.

    Parameters
    ----------
    unit : of its work
    make : gives the work
    amounts : two amounts of work whose difference is what is counted
    moved : bytes that must be read or written for each unit, whatever the implementation
    working_set : bytes that are touched over and over
    rows : rows of the lattice
    timed : amount of each call the clock sees; None: calls of as many steps as fill a round
    """

    unit: str
    make: Make
    amounts: tuple[int, int]
    moved: float
    working_set: int
    rows: int = 8
    timed: int | None = None


class Wrapped:
    """Compiled operations, each wrapped."""

    def __init__(self, operations: Any, wrap: Wrap) -> None:
        self._operations, self._wrap = operations, wrap

    def __getattr__(self, name: str) -> Any:
        return self._wrap(getattr(self._operations, name))


def of_kernel(kernel: str, model: Callable[[Lattice], Any], columns: int = 64, **options: Any) -> Make:
    """Steps of a kernel on one configuration that has forgotten where it came from."""

    def make(wrap: Wrap, rows: int) -> Work:
        stream, action = Stream.from_seed(11), model(Lattice((rows, columns)))
        built: Any = compose.build(kernel, action, options, threads=1)
        start = built.start(stream, 1)
        if kernel in ("wolff", "metropolis", "heat-bath"):
            warm = compose.build("swendsen-wang", action, {}, threads=1)
            start = warm.advance(stream, warm.init(start), WARM_UP)[0].field
        state = built.advance(stream, built.init(start), 20 if kernel in ("hmc", "swendsen-wang") else 2)[0]
        built._operations = Wrapped(built._operations, wrap)

        def work(steps: int) -> float:
            nonlocal state
            state, _, info = built.advance(stream, state, steps)
            units = float(steps * state.field.size)
            if kernel == "wolff":
                units *= info["turned"]
            return units * built.md_steps if isinstance(built, HMC) else units

        return work

    return make


def of_glass(wrap: Wrap, rows: int) -> Work:
    """Heat-bath sweeps of 512 copies of a cubic spin glass with normal couplings, ``rows`` to a side."""
    stream, action = Stream.from_seed(11), SpinGlass(Lattice((rows, rows, rows)), 0.7, disorder="gaussian")
    built: Any = GlassHeatBath(action, threads=1)
    state = built.init(built.start(stream, 256))
    built._operations = Wrapped(built._operations, wrap)

    def work(steps: int) -> float:
        nonlocal state
        state = built.advance(stream, state, steps)[0]
        return float(steps * state.field.size)

    return work


def of_philox(wrap: Wrap, rows: int) -> Work:
    """Bytes of Philox blocks whose counters follow one another."""
    core: Any = importlib.import_module("pyqmc_art._core")
    fill = wrap(core.fill_blocks)
    blocks_of = lru_cache(lambda blocks: np.empty((blocks, 4), np.uint32))

    def work(blocks: int) -> float:
        out = blocks_of(blocks)
        fill(0xA4093822299F31D0, 0, 1, 0, 0, 0, out)
        return float(out.nbytes)

    return work


def of_resampling(wrap: Wrap, rows: int) -> Work:
    """Source pixels of one square RGB picture that becomes a patch of 64 x 64."""
    from pyqmc_art.ops import images

    resample = wrap(images.resample("cpp"))
    draw = lru_cache(lambda side: np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8))

    def work(side: int) -> float:
        picture = draw(side)
        out = np.empty((1, 64, 64, 3), np.uint8)
        resample(picture, np.array([[0, 0, side, side]], np.float32), out, "bicubic", 1)
        return float(side * side)

    return work


def _ising(lattice: Lattice) -> Ising:
    return Ising(lattice, ISING_CRITICAL_BETA)


def _potts(lattice: Lattice) -> Potts:
    return Potts(lattice, 3, potts_critical_beta(3))


def _phi4(lattice: Lattice) -> Phi4:
    return Phi4(lattice, -4.0, 4.398)


SITES: Final = 8 * 64

HOT_LOOPS: Final[Mapping[str, HotLoop]] = {
    "metropolis": HotLoop(
        UNITS["metropolis"], of_kernel("metropolis", _ising, columns=1024), (2, 4), 3 / 8, 8 * SITES, 32
    ),
    "heat-bath": HotLoop(
        UNITS["heat-bath"], of_kernel("heat-bath", _ising, columns=1024), (2, 4), 3 / 8, 8 * SITES, 32
    ),
    "glass": HotLoop("spin update", of_glass, (1, 3), 3 / 8, 64 * 4**3, 4),
    "potts": HotLoop("colour update", of_kernel("metropolis", _potts), (1, 2), 3.0, SITES),
    "swendsen-wang": HotLoop(UNITS["swendsen-wang"], of_kernel("swendsen-wang", _ising), (1, 2), 2.0, 6 * SITES),
    "wolff": HotLoop(UNITS["wolff"], of_kernel("wolff", _ising), (1, 2), 2.0, 18 * SITES, 16),
    "constrained": HotLoop(
        UNITS["constrained"], of_kernel("constrained", _ising, magnetization=0.0), (1, 2), 2.0, 33 * SITES
    ),
    "hmc": HotLoop("site and force", of_kernel("hmc", _phi4, md_steps=40), (1, 2), 40.0, 4 * 8 * SITES),
    "philox": HotLoop("byte", of_philox, (2**8, 2**10), 1.0, 2**20, timed=2**16),
    "resampling": HotLoop("source pixel", of_resampling, (128, 256), 3.0, 3 * 256**2, timed=256),
}


def leave(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap nothing."""
    return function


def isa_environment(isa: str = "") -> dict[str, str]:
    """The environment of a process of this checkout on one thread, with an instruction set if one is named."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **({"PYQMC_ISA": isa} if isa else {})}

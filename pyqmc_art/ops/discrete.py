"""Compiled loops of the discrete models: operation -> backend -> function.

Each operation takes a :class:`Batch` and what is its own; every backend writes the same bytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.ops import devices, multispin, plain, plain_cluster
from pyqmc_art.ops.jit import jitted

RULES: Final = {"ising": 0, "potts-metropolis": 1, "potts-heat-bath": 2}
RANGES: Final = {"local": 0, "long-range": 1, "mixed": 2}


class Geometry(Protocol):
    """What the loops need to know of a lattice.

    The tables are made when first asked for: the coloured sweeps and Swendsen-Wang in C++ do without them, and those of
    a large lattice are larger than its field.
    """

    @property
    def kind(self) -> str:
        """Kind of the lattice."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        ...

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis wraps around."""
        ...

    @property
    def coordination(self) -> int:
        """Largest number of neighbours."""
        ...

    @property
    def colours(self) -> int:
        """Number of colours of the coloured sweep."""
        ...

    @property
    def neighbours(self) -> NDArray[np.int32]:
        """Neighbours of each site, shape (sites, 2 * directions), -1 absent."""
        ...

    @property
    def colour(self) -> NDArray[np.int8]:
        """Colour of each site."""
        ...


@dataclass(frozen=True)
class Batch:
    """Fields with the steps to do on them and the place where measurements go.

    Attributes
    ----------
    field : shape (batch, sites), replica r and rung k at index r * rungs + k; changed in place
    q : number of colours, 0 for Ising spins
    key, first_replica, first_step : the random stream; first_replica counts replicas times rungs
    steps, every : how many steps, and after which of them to measure
    sums : int64, shape (steps // every, batch, 2): equal bonds and magnetization (Ising) or sites of the commonest
        colour (Potts); with four columns Swendsen-Wang adds the second and (bits of a float64) fourth moments of the
        clusters' magnetizations, with a fifth (bits of a float64) their squared modes, behind these numbers of pairs of
        sites of one cluster if there are more columns than five, and Wolff (bits of a
        float64) the sum of M^2 / n over clusters of n spins; an empty array measures nothing
    tally : int64, shape (batch,): accepted changes, clusters or changed sites are added
    of_fields : whether Swendsen-Wang has to measure the first two columns; the others always do
    """

    geometry: Geometry
    field: NDArray[Any]
    rungs: int
    q: int
    key: int
    first_replica: int
    first_step: int
    steps: int
    every: int
    sums: NDArray[np.int64]
    tally: NDArray[np.int64]
    threads: int
    of_fields: bool = True


Operation = Callable[..., None]


def can_be_packed(geometry: Geometry) -> bool:
    """Whether sweeps of Ising spins keep one bit for each: two or three periodic axes of even extent, no diagonals."""
    known = geometry.kind in ("square", "hypercubic") and len(geometry.shape) in (2, 3)
    return known and all(geometry.periodic) and all(n % 2 == 0 for n in geometry.shape)


def _core_batch(core: ModuleType, batch: Batch) -> Any:
    geometry = batch.geometry
    return core.Batch(
        core.Lattice(geometry.kind, list(geometry.shape), list(geometry.periodic)),
        batch.field,
        rungs=batch.rungs,
        q=batch.q,
        key=batch.key,
        first_replica=batch.first_replica,
        first_step=batch.first_step,
        steps=batch.steps,
        every=batch.every,
        sums=batch.sums,
        tally=batch.tally,
        threads=batch.threads,
    )


def _plain_arguments(batch: Batch) -> tuple[Any, ...]:
    return (
        batch.field,
        batch.geometry.neighbours,
        batch.rungs,
        batch.q,
        np.uint64(batch.key),
        batch.first_replica,
        batch.first_step,
        batch.steps,
        batch.every,
        batch.sums,
        batch.tally,
    )


class _Compiled:
    """The operations by the compiled module."""

    def __init__(self) -> None:
        self._core = importlib.import_module("pyqmc_art._core")

    def local_steps(self, batch: Batch, rule: str, table: NDArray[np.uint64]) -> None:
        self._core.local_steps(_core_batch(self._core, batch), RULES[rule], table)

    def multispin_steps(self, batch: Batch, table: NDArray[np.uint64]) -> None:
        self._core.multispin_steps(_core_batch(self._core, batch), table)

    def swendsen_wang_steps(self, batch: Batch, *bonds: Any) -> None:
        self._core.swendsen_wang_steps(_core_batch(self._core, batch), *bonds, batch.of_fields)

    def wolff_steps(self, batch: Batch, *bonds: Any) -> None:
        self._core.wolff_steps(_core_batch(self._core, batch), batch.geometry.neighbours, *bonds)

    def exchange_steps(self, batch: Batch, table: NDArray[np.uint64], reach: str) -> None:
        self._core.exchange_steps(_core_batch(self._core, batch), batch.geometry.neighbours, table, RANGES[reach])

    def measure(self, batch: Batch) -> None:
        self._core.measure(_core_batch(self._core, batch))


class _Plain:
    """The operations by the loops of plain Python, as they are or through Numba."""

    def __init__(self, loops: Any, clusters: Any, packed: Any) -> None:
        self._loops, self._clusters, self._packed = loops, clusters, packed

    def local_steps(self, batch: Batch, rule: str, table: NDArray[np.uint64]) -> None:
        g = batch.geometry
        self._loops.local_steps(*_plain_arguments(batch), g.colour, g.colours, g.coordination, RULES[rule], table)

    def multispin_steps(self, batch: Batch, table: NDArray[np.uint64]) -> None:
        *planes, rows, width = batch.geometry.shape
        strips = multispin.count_strips(rows, width // 2)
        extents = (planes[0] if planes else 1, strips, rows // strips, width // 2)
        self._packed.multispin_steps(*_plain_arguments(batch), extents, batch.geometry.coordination, table)

    def swendsen_wang_steps(self, batch: Batch, *bonds: Any) -> None:
        g = batch.geometry
        geometry = np.array(g.shape), bool(g.periodic[-1])
        self._clusters.swendsen_wang_steps(*_plain_arguments(batch), *bonds, batch.of_fields, *geometry)

    def wolff_steps(self, batch: Batch, *bonds: Any) -> None:
        self._clusters.wolff_steps(*_plain_arguments(batch), *bonds)

    def exchange_steps(self, batch: Batch, table: NDArray[np.uint64], reach: str) -> None:
        self._loops.exchange_steps(*_plain_arguments(batch), batch.geometry.coordination, table, RANGES[reach])

    def measure(self, batch: Batch) -> None:
        self._loops.measure_fields(batch.field, batch.geometry.neighbours, batch.q, batch.sums)


class _Device:
    """The operations of a device: compiled and emulated, not yet run on a GPU."""

    def __init__(self) -> None:
        self._cuda = devices.find_module()

    def multispin_steps(self, batch: Batch, table: NDArray[np.uint64]) -> None:
        self._cuda.multispin_steps(_core_batch(self._cuda, batch), table)

    def swendsen_wang_steps(self, batch: Batch, *bonds: Any) -> None:
        if batch.sums.shape[2] > 4:
            raise _not_on_devices("Fourier modes and pairs of sites of clusters")
        self._cuda.swendsen_wang_steps(_core_batch(self._cuda, batch), *bonds[:4])

    def measure(self, batch: Batch) -> None:
        self._cuda.measure(_core_batch(self._cuda, batch))

    def local_steps(self, batch: Batch, rule: str, table: NDArray[np.uint64]) -> None:
        raise _not_on_devices("these sweeps")

    def wolff_steps(self, batch: Batch, *bonds: Any) -> None:
        raise _not_on_devices("Wolff's clusters")

    def exchange_steps(self, batch: Batch, table: NDArray[np.uint64], reach: str) -> None:
        raise _not_on_devices("exchanges of two sites")


def _not_on_devices(what: str) -> InputError:
    return InputError(
        f"the backend 'cuda' has no kernel for {what}; it has swendsen-wang, and metropolis and heat-bath of Ising "
        "spins on two or three periodic axes of even extent; use backend='cpp'"
    )


@cache
def operations(backend: str) -> Any:
    """Return the operations of a backend: those of local, multispin, Swendsen-Wang, Wolff and exchange steps; measure.

    Raises
    ------
    InputError
        If the backend has no operations for discrete models.
    BackendUnavailable
        If the backend is for devices and there is none.
    """
    if backend == "cuda":
        return _Device()
    if backend == "cpp":
        return _Compiled()
    if backend == "numba":
        return _Plain(*map(jitted, (plain, plain_cluster, multispin)))
    if backend == "python":
        return _Plain(plain, plain_cluster, multispin)
    raise InputError(f"the backend {backend!r} has no kernels for discrete models; use cpp, cuda, numba or python")

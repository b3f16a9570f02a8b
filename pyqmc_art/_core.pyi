"""What ``csrc/module.cpp`` binds. Arrays are checked (dtype, shape, C order, writeable), never cast or copied."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

purposes: dict[str, int]
capi: Any
"""PyCapsule with a ``pyqmc_interface``, see ``csrc/capi/interface.hpp``."""

class Lattice:
    def __init__(self, kind: str, shape: Sequence[int], periodic: Sequence[bool]) -> None: ...

class Batch:
    def __init__(
        self,
        lattice: Lattice,
        field: NDArray[Any],
        *,
        rungs: int,
        q: int,
        key: int,
        first_replica: int,
        first_step: int,
        steps: int,
        every: int,
        sums: NDArray[np.int64],
        tally: NDArray[np.int64],
        threads: int,
    ) -> None: ...

class FieldBatch:
    def __init__(
        self,
        lattice: Lattice,
        neighbours: NDArray[np.int32],
        field: NDArray[np.float64],
        *,
        couplings: NDArray[np.float64],
        key: int,
        first_replica: int,
        first_step: int,
        steps: int,
        every: int,
        sums: NDArray[np.float64],
        tally: NDArray[np.int64],
        threads: int,
    ) -> None: ...

def hmc_steps(
    batch: FieldBatch,
    kicks: NDArray[np.float64],
    drifts: NDArray[np.float64],
    spread: float,
    error: NDArray[np.float64],
) -> None: ...
def field_local_steps(batch: FieldBatch, rule: int, width: NDArray[np.float64]) -> None: ...
def patch_steps(
    batch: FieldBatch,
    members: NDArray[np.int32],
    around: NDArray[np.int32],
    inner: NDArray[np.int32],
    outer: NDArray[np.int32],
    latents: int,
    decoder: tuple[NDArray[np.int64], NDArray[np.float64]],
    encoder: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> None: ...
def field_swendsen_wang_steps(batch: FieldBatch) -> None: ...
def field_wolff_steps(batch: FieldBatch, clusters: int) -> None: ...
def measure_fields(batch: FieldBatch) -> None: ...
def normals(key: int, replica: int, step: int, first: int, out: NDArray[np.float64]) -> None: ...
def philox(counter: NDArray[np.uint32], key: int, out: NDArray[np.uint32]) -> None: ...
def available_isas() -> list[str]: ...
def isa() -> str: ...
def local_steps(batch: Batch, rule: int, table: NDArray[np.uint64]) -> None: ...
def swendsen_wang_steps(
    batch: Batch,
    unequal: bool,
    bond: NDArray[np.uint64],
    ghost: NDArray[np.uint64],
    ghost_spin: int,
    phases: NDArray[np.int32],
    lines: int,
    distances: int,
    of_fields: bool,
) -> None: ...
def wolff_steps(
    batch: Batch,
    neighbours: NDArray[np.int32],
    unequal: bool,
    bond: NDArray[np.uint64],
    ghost: NDArray[np.uint64],
    ghost_spin: int,
    clusters: int,
) -> None: ...
def exchange_steps(batch: Batch, neighbours: NDArray[np.int32], table: NDArray[np.uint64], range: int) -> None: ...
def measure(batch: Batch) -> None: ...
def glass_steps(
    field: NDArray[np.int8],
    *,
    key: int,
    first_replica: int,
    first_step: int,
    steps: int,
    every: int,
    sums: NDArray[np.int64],
    tally: NDArray[np.int64],
    threads: int,
    order: NDArray[np.int32],
    starts: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    negative: NDArray[np.uint64],
    uniform: bool,
    row: NDArray[np.int32],
    table: NDArray[np.uint64],
    upper: NDArray[np.uint8],
    bytes: NDArray[np.uint8],
    bonds: NDArray[np.int32],
) -> None: ...
def read_sites(
    given: NDArray[np.float32],
    tables: Sequence[NDArray[np.int32]],
    weights: Sequence[NDArray[np.float32]],
    biases: Sequence[NDArray[np.float32]],
    slope: float,
    result: NDArray[np.float32],
    threads: int,
) -> None: ...
def read_sites_backward(
    given: NDArray[np.float32],
    tables: Sequence[NDArray[np.int32]],
    backward: Sequence[NDArray[np.int32]],
    weights: Sequence[NDArray[np.float32]],
    transposed: Sequence[NDArray[np.float32]],
    biases: Sequence[NDArray[np.float32]],
    slope: float,
    pull: NDArray[np.float32],
    given_slope: NDArray[np.float32],
    weight_slopes: Sequence[NDArray[np.float32]],
    bias_slopes: Sequence[NDArray[np.float32]],
    threads: int,
) -> None: ...

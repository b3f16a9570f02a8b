"""What ``csrc/cuda/module.cpp`` binds: operations of ``_core`` for devices, with the same arguments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

def devices() -> list[str]: ...
def multispin_steps(batch: Batch, table: NDArray[np.uint64]) -> None: ...
def swendsen_wang_steps(
    batch: Batch, unequal: bool, bond: NDArray[np.uint64], ghost: NDArray[np.uint64], ghost_spin: int
) -> None: ...
def measure(batch: Batch) -> None: ...
def resample(picture: NDArray[np.uint8], boxes: NDArray[np.float32], out: NDArray[np.uint8], filter: int) -> None: ...

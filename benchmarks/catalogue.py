"""What is timed and who runs: the shared catalogue of cases, some larger ones, and the peers found here."""

from __future__ import annotations

import importlib
import os
from typing import Final

from benchmarks.contenders import Contender, Ours
from benchmarks.peers import PEERS, find_version
from pyqmc_art.backends import list_available
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import potts_critical_beta
from pyqmc_art.testing.cases import CLUSTER, LOCAL, TIMED, Case

CRITICAL_BETA_3D: Final = 0.22165463
"""Ferrenberg, Xu, Landau, Phys. Rev. E 97 (2018) 043301: 0.221654626(5)."""

CASES: Final = (
    *TIMED,
    *(Case(kernel, Ising(Lattice((64, 64, 64)), CRITICAL_BETA_3D)) for kernel in (*LOCAL, *CLUSTER)),
    Case("swendsen-wang", Ising(Lattice((128, 128, 128)), CRITICAL_BETA_3D)),
    Case("swendsen-wang", Potts(Lattice((256, 256)), 10, potts_critical_beta(10))),
)

CONTENDERS: Final[tuple[Contender, ...]] = (Ours(), *(p for p in PEERS if find_version(p) is not None))
"""Ours first, then every peer that is installed."""


def find_cases(kernel: str) -> tuple[Case, ...]:
    """The timed cases of a kernel, small lattices first."""
    return tuple(c for c in CASES if c.kernel == kernel)


def find_case(kernel: str, *shape: int) -> Case:
    """The timed Ising case of a kernel and a shape."""
    (case,) = (c for c in find_cases(kernel) if c.action.lattice.shape == shape and isinstance(c.action, Ising))
    return case


def pair_up(*kernels: str) -> list[tuple[Case, Contender]]:
    """Each case with everybody who can run it, one after the other, so that they meet the same weather."""
    return [(case, c) for kernel in kernels for case in find_cases(kernel) for c in CONTENDERS if c.supports(case)]


def list_isas() -> list[str]:
    """Instruction sets of the compiled kernels that this processor runs, the widest first."""
    if "cpp" not in list_available():
        return []
    return list(reversed(importlib.import_module("pyqmc_art._core").available_isas()))


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS: Final = {n: "1 thread" if n == 1 else f"{n} threads" for n in (1, 2) if n <= usable_cores()}
"""Numbers of threads that are compared, and their columns."""


def name_of(parameter: Case | Contender | str | int) -> str:
    """Name of a parameter of a benchmark."""
    return str(getattr(parameter, "name", parameter)).replace(" ", "-")

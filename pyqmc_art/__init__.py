"""Sample from a distribution and know whether the samples are genuine.

Everything a user needs is here by name; modules are loaded when a name is first used, so that ``import pyqmc_art`` is
quick and pulls in neither torch nor matplotlib.

Examples
--------
>>> import pyqmc_art as qa
>>> action = qa.Ising(qa.Lattice((8, 8)), beta=0.4406868)
>>> run = qa.sample(action, qa.Wolff(action), steps=500, warmup=100, replicas=4, seed=7)
>>> run.series["energy"].shape
(500, 4)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyqmc_art.backends import use_backend
    from pyqmc_art.include import get_include
    from pyqmc_art.lattice.actions import Ising, Potts
    from pyqmc_art.lattice.chain import chain, resume, sample
    from pyqmc_art.lattice.free_proposal import FreeProposal
    from pyqmc_art.lattice.geometry import Lattice
    from pyqmc_art.lattice.glass import SpinGlass
    from pyqmc_art.lattice.kernels.blocked import Blocked
    from pyqmc_art.lattice.kernels.cluster import SwendsenWang, Wolff
    from pyqmc_art.lattice.kernels.compose import Composition, build
    from pyqmc_art.lattice.kernels.constrained import Constrained
    from pyqmc_art.lattice.kernels.custom import CustomKernel
    from pyqmc_art.lattice.kernels.field_local import Overrelaxation
    from pyqmc_art.lattice.kernels.field_vae import VaeLocal
    from pyqmc_art.lattice.kernels.hmc import HMC
    from pyqmc_art.lattice.kernels.independence import Independence, judge_proposal
    from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
    from pyqmc_art.lattice.kernels.tempering import Tempering
    from pyqmc_art.lattice.modes import judge_modes, mirror_modes
    from pyqmc_art.lattice.scalar import Phi4
    from pyqmc_art.lattice.vector import ON
    from pyqmc_art.lattice.weighted_draws import measure_proposal
    from pyqmc_art.rng import Stream
    from pyqmc_art.stats.estimate import Estimate
    from pyqmc_art.store.ensemble import Ensemble, open_ensemble

_HOME = {
    "Blocked": "lattice.kernels.blocked",
    "Composition": "lattice.kernels.compose",
    "Constrained": "lattice.kernels.constrained",
    "CustomKernel": "lattice.kernels.custom",
    "Ensemble": "store.ensemble",
    "Estimate": "stats.estimate",
    "FreeProposal": "lattice.free_proposal",
    "HMC": "lattice.kernels.hmc",
    "HeatBath": "lattice.kernels.local",
    "Independence": "lattice.kernels.independence",
    "Ising": "lattice.actions",
    "Lattice": "lattice.geometry",
    "Metropolis": "lattice.kernels.local",
    "ON": "lattice.vector",
    "Overrelaxation": "lattice.kernels.field_local",
    "Phi4": "lattice.scalar",
    "Potts": "lattice.actions",
    "SpinGlass": "lattice.glass",
    "Stream": "rng",
    "SwendsenWang": "lattice.kernels.cluster",
    "Tempering": "lattice.kernels.tempering",
    "VaeLocal": "lattice.kernels.field_vae",
    "Wolff": "lattice.kernels.cluster",
    "build": "lattice.kernels.compose",
    "chain": "lattice.chain",
    "get_include": "include",
    "judge_modes": "lattice.modes",
    "judge_proposal": "lattice.kernels.independence",
    "measure_proposal": "lattice.weighted_draws",
    "mirror_modes": "lattice.modes",
    "open_ensemble": "store.ensemble",
    "resume": "lattice.chain",
    "sample": "lattice.chain",
    "use_backend": "backends",
}

__all__ = [
    "HMC",
    "ON",
    "Blocked",
    "Composition",
    "Constrained",
    "CustomKernel",
    "Ensemble",
    "Estimate",
    "FreeProposal",
    "HeatBath",
    "Independence",
    "Ising",
    "Lattice",
    "Metropolis",
    "Overrelaxation",
    "Phi4",
    "Potts",
    "SpinGlass",
    "Stream",
    "SwendsenWang",
    "Tempering",
    "VaeLocal",
    "Wolff",
    "build",
    "chain",
    "get_include",
    "judge_modes",
    "judge_proposal",
    "measure_proposal",
    "mirror_modes",
    "open_ensemble",
    "resume",
    "sample",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("pyqmc_art.store.provenance").find_version()
    if name == "art":
        return importlib.import_module("pyqmc_art.art")
    if name not in _HOME:
        raise AttributeError(f"module 'pyqmc_art' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pyqmc_art.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "art"])

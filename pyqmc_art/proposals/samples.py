"""Fields of the target itself, by hybrid Monte Carlo or from a file: to train on, and to judge a flow by."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream
from pyqmc_art.store.ensemble import open_ensemble

CHAINS: Final = 64
_WARMUP: Final = 300
_APART: Final = 6  # trajectories between two fields of a chain


def draw_samples(action: Phi4, each: int, stream: Stream, threads: int | None = None) -> NDArray[np.float64]:
    """Draw fields by 64 independent chains of hybrid Monte Carlo from hot starts.

    Parameters
    ----------
    action : the target; the chains run in convention A, whose trajectories suit its unit of the field
    each : fields of every chain

    Returns
    -------
    Shape (each, 64, *lattice.shape). In a broken phase a chain stays in its half; the target is symmetric, so mirror
    images of its fields are as good as the fields.
    """
    plain = action.to("A")
    kernel: Any = HMC(plain, 1.0, 10, "omelyan2", 0.3, threads=threads)
    state = kernel.init(kernel.start(stream.fold("start"), CHAINS))
    state, _, _ = kernel.advance(stream, state, _WARMUP)
    found = []
    for _ in range(each):
        state, _, _ = kernel.advance(stream, state, _APART)
        found.append(plain.convert(state.field, action.convention))
    return np.stack(found)


def read_samples(path: str | os.PathLike[str], action: Phi4) -> NDArray[np.float64]:
    """Read the fields of a run, shape (saved, replicas, *lattice.shape).

    Raises
    ------
    InputError
        When it is a run of another action, or kept no fields.
    """
    ensemble = open_ensemble(path)
    stored = ensemble.configuration
    asked = {"action": action.name, **action.lattice.configuration(), **action.couplings()}
    differs = [
        f"{key} {stored.get(key)} -> {value}"
        for key, value in asked.items()
        if _plain(stored.get(key)) != _plain(value)
    ]
    if differs:
        raise InputError(f"{path} is a run of another target ({', '.join(differs)}); sample one of this")
    fields = ensemble.fields
    if fields is None or not len(fields):
        raise InputError(f"{path} kept no fields; sample it with --save-every")
    return np.asarray(fields, np.float64)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list, np.ndarray)) else value

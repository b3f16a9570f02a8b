"""Compiled loops of continuous fields: operation -> backend -> function.

Each operation takes a :class:`FieldBatch` and what is its own. The loops use additions, products, quotients and square
roots only, so that every backend computes the same bytes.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.ops import plain_fields, plain_hmc, plain_patches
from pyqmc_art.ops.discrete import Geometry
from pyqmc_art.ops.jit import jitted
from pyqmc_art.ops.patches import LocalNetwork, Patches

Reals = NDArray[np.float64]

RULES: Final = {"metropolis": 0, "heat-bath": 1, "overrelaxation": 2}


@dataclass(frozen=True)
class FieldBatch:
    """Fields with the steps to do on them and the place where measurements go.

    Attributes
    ----------
    field : shape (batch, sites, components), replica r and rung k at index r * rungs + k; changed in place
    couplings : shape (rungs, 3): g, a, b of phi^4; beta, 0, 0 of O(n)
    key, first_replica, first_step : the random stream; first_replica counts replicas times rungs
    steps, every : how many steps, and after which of them to measure
    sums : shape (steps // every, batch, columns); an empty array measures nothing. phi^4: sums of phi, phi^2, phi^4,
        and over the bonds of (phi_x - phi_y)^2 and phi_x phi_y. O(n): over the bonds of s_x . s_y, and the components
        of sum s
    tally : int64, shape (batch,): accepted changes, clusters or changed sites are added
    """

    geometry: Geometry
    field: Reals
    couplings: Reals
    key: int
    first_replica: int
    first_step: int
    steps: int
    every: int
    sums: Reals
    tally: NDArray[np.int64]
    threads: int


def _core_batch(core: ModuleType, batch: FieldBatch) -> Any:
    geometry = batch.geometry
    return core.FieldBatch(
        core.Lattice(geometry.kind, list(geometry.shape), list(geometry.periodic)),
        geometry.neighbours,
        batch.field,
        couplings=batch.couplings,
        key=batch.key,
        first_replica=batch.first_replica,
        first_step=batch.first_step,
        steps=batch.steps,
        every=batch.every,
        sums=batch.sums,
        tally=batch.tally,
        threads=batch.threads,
    )


def _plain_arguments(batch: FieldBatch) -> tuple[Any, ...]:
    return (
        batch.field,
        batch.geometry.neighbours,
        batch.geometry.shape[-1],
        batch.couplings,
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

    def hmc_steps(self, batch: FieldBatch, *flow: Any) -> None:
        self._core.hmc_steps(_core_batch(self._core, batch), *flow)

    def local_steps(self, batch: FieldBatch, rule: str, widths: Reals) -> None:
        self._core.field_local_steps(_core_batch(self._core, batch), RULES[rule], widths)

    def swendsen_wang_steps(self, batch: FieldBatch) -> None:
        self._core.field_swendsen_wang_steps(_core_batch(self._core, batch))

    def wolff_steps(self, batch: FieldBatch, clusters: int) -> None:
        self._core.field_wolff_steps(_core_batch(self._core, batch), clusters)

    def patch_steps(self, batch: FieldBatch, patches: Patches, network: LocalNetwork) -> None:
        self._core.patch_steps(
            _core_batch(self._core, batch), patches.members, patches.around, patches.inner, patches.outer,
            network.latents, (network.decoder.sizes, network.decoder.weights),
            (network.encoder.sizes, network.encoder.weights),
        )  # fmt: skip

    def measure(self, batch: FieldBatch) -> None:
        self._core.measure_fields(_core_batch(self._core, batch))


class _Plain:
    """The operations by plain loops, as they are or through Numba."""

    def __init__(self, hmc: Any, fields: Any, patches: Any) -> None:
        self._hmc = hmc
        self._fields = fields
        self._patches = patches

    def hmc_steps(self, batch: FieldBatch, *flow: Any) -> None:
        # A trajectory may overflow; its energy error says so.
        with np.errstate(over="ignore", invalid="ignore"):
            self._hmc.hmc_steps(*_plain_arguments(batch), *flow)

    def local_steps(self, batch: FieldBatch, rule: str, widths: Reals) -> None:
        g = batch.geometry
        self._fields.local_steps(*_plain_arguments(batch), g.colour, g.colours, RULES[rule], widths)

    def swendsen_wang_steps(self, batch: FieldBatch) -> None:
        self._fields.swendsen_wang_steps(*_plain_arguments(batch))

    def wolff_steps(self, batch: FieldBatch, clusters: int) -> None:
        self._fields.wolff_steps(*_plain_arguments(batch), clusters)

    def patch_steps(self, batch: FieldBatch, patches: Patches, network: LocalNetwork) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            self._patches.patch_steps(
                *_plain_arguments(batch), patches.members, patches.around, patches.inner, patches.outer,
                network.latents, network.decoder.sizes, network.decoder.weights,
                network.encoder.sizes, network.encoder.weights,
            )  # fmt: skip

    def measure(self, batch: FieldBatch) -> None:
        geometry = batch.geometry
        self._fields.measure_fields(batch.field, geometry.neighbours, geometry.shape[-1], batch.sums)


@cache
def operations(backend: str) -> Any:
    """Return the operations of a backend: hmc_steps, local_steps, patch_steps, the clusters' steps, measure.

    Raises
    ------
    InputError
        If the backend has no operations for continuous fields.
    """
    if backend == "cpp":
        return _Compiled()
    if backend == "numba":
        return _Plain(jitted(plain_hmc), jitted(plain_fields), jitted(plain_patches))
    if backend == "python":
        return _Plain(plain_hmc, plain_fields, plain_patches)
    raise InputError(f"the backend {backend!r} has no kernels for continuous fields; use cpp, numba or python")

"""What the kernels of continuous fields share beyond those of discrete models."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.kernels.compiled import START_SITES, CompiledKernel
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import continuous
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream


def start_field(action: Phi4 | ON, stream: Stream, how: str) -> NDArray[np.float64]:
    """Make one field to start from, shape (sites, components).

    ``"hot"``: independent at every site, phi^4 normal with the width of the single-site potential, O(n) uniform.
    ``"cold"``: all sites alike, phi^4 in a minimum of the potential, O(n) along the first axis.
    """
    sites, components = action.lattice.sites, action.components
    field = np.zeros((sites, components))
    if how == "cold":
        _, a, b = action.coefficients if isinstance(action, Phi4) else (0.0, 0.0, 0.0)
        field[:, 0] = 1.0 if isinstance(action, ON) else math.sqrt(max(0.0, -a) / (2 * b)) if b > 0 else 0.0
        return field
    for first in range(0, sites, START_SITES):
        here = field[first : first + START_SITES]
        here[:] = stream.fold("normal", first).normal("start", here.size, 1).reshape(here.shape)
    if isinstance(action, ON):
        return np.asarray(field / np.sqrt((field * field).sum(axis=1, keepdims=True)), np.float64)
    return field * action.width


class FieldKernel(CompiledKernel):
    """A kernel of phi^4 or O(n) whose steps run in compiled code.

    Parameters
    ----------
    action : the target
    backend : ``"cpp"``, ``"numba"`` or ``"python"``; None takes what :func:`pyqmc_art.backends.resolve` says
    threads : how many threads the compiled steps may use; None takes OMP_NUM_THREADS, or else all cores
    """

    models: ClassVar[tuple[Any, ...]] = (Phi4, ON)
    action: Any
    targets: tuple[Any, ...]

    def _find_operations(self) -> Any:
        return continuous.operations(self.backend)

    def _prepare(self) -> None:
        self._couplings = np.array([a.native()[1] for a in self.targets], np.float64)

    def _empty_sums(self, measurements: int, count: int, columns: int = 2) -> NDArray[Any]:
        """Room for the sums of a field, which are always all measured, whatever ``columns`` is."""
        return np.zeros((measurements, count, 5 if isinstance(self.action, Phi4) else self.action.n + 1))

    def on_ladder(self, targets: Sequence[Any]) -> Self:
        """Return this kernel for fields of shape (replica, rung, *shape), each rung with its own target."""
        kernel = copy.copy(self)
        kernel.targets = tuple(targets)
        kernel.ladder = tuple(float(k) for k in range(len(targets)))
        kernel._prepare()
        return kernel

    def _shape(self, replicas: int) -> tuple[int, ...]:
        return (*super()._shape(replicas), *self.action.space.shape)

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from: ``"hot"`` independent at every site, ``"cold"`` all sites alike.

        Returns
        -------
        Field of shape (replicas, [rungs,] *lattice.shape, *space.shape)
        """
        copies = self._copies(stream)
        fields = [
            start_field(self.targets[i % self.rungs], copies.shifted(i), how) for i in range(replicas * self.rungs)
        ]
        return np.stack(fields).reshape(self._shape(replicas))

    def _batch(
        self,
        stream: Stream,
        step: int,
        field: Field,
        n: int,
        every: int,
        sums: NDArray[Any],
        tally: NDArray[np.int64],
    ) -> continuous.FieldBatch:
        sites = self.action.lattice.sites
        return continuous.FieldBatch(
            geometry=self.action.lattice,
            field=field.reshape(len(tally), sites, self.action.components),
            couplings=self._couplings,
            key=stream.key,
            first_replica=stream.replica * self.rungs,
            first_step=step,
            steps=n,
            every=every,
            sums=sums,
            tally=tally,
            threads=self.threads if self._worth_threads(len(tally), n * self._passes()) else 1,
        )

    def _passes(self) -> int:
        """How often one step passes over the lattice."""
        return 1

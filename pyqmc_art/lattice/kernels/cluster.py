"""Cluster kernels of discrete models; any extents, any boundary."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.cluster_averages import (
    ClusterAverage,
    ClusterSums,
    ImprovedPower,
    count_lines,
    smallest_phases,
)
from pyqmc_art.lattice.correlation import count_distances
from pyqmc_art.lattice.kernels.compiled import CompiledKernel, Target
from pyqmc_art.lattice.kernels.field_cluster import FieldSwendsenWang, FieldWolff
from pyqmc_art.ops import discrete
from pyqmc_art.protocols import Observable

MAX_CLUSTERS = 2**20


class _ClusterKernel(CompiledKernel):
    def _prepare(self) -> None:
        # Ising: p = 1 - exp(-2 beta |J|) between spins that satisfy the bond; Potts: 1 - exp(-beta J) between equals.
        ising = isinstance(self.action, Ising)
        if not ising and self.action.J < 0:
            raise InputError(
                f"the kernel {self.name!r} needs J >= 0 for Potts, but J is {self.action.J}; "
                "use metropolis or heat-bath"
            )
        self._unequal = ising and self.action.J < 0
        self._bond = acceptance.bonds([(2 if ising else 1) * a.beta * abs(a.J) for a in self.targets])
        fields = [a.h if isinstance(a, Ising) else 0.0 for a in self.targets]
        self._ghost = acceptance.bonds([2 * a.beta * abs(h) for a, h in zip(self.targets, fields, strict=True)])
        self._ghost_spin = 1 if fields[0] >= 0 else -1
        lattice = self.action.lattice
        self._looks = smallest_phases(lattice.shape), count_lines(lattice), count_distances(lattice)

    def _free(self) -> bool:
        """Whether clusters take either orientation alike, and are measured: Ising spins without a field."""
        return isinstance(self.action, Ising) and self.action.h == 0 and not self.ladder

    def _bonds(self) -> tuple[Any, ...]:
        return self._unequal, self._bond, self._ghost, self._ghost_spin


class SwendsenWang(_ClusterKernel):
    """Swendsen-Wang: activate bonds, label clusters, give each a new orientation or colour; one step is all bonds.

    Works with either sign of J for Ising; a field h acts through a ghost spin, and clusters bound to it do not flip.

    Raises
    ------
    InputError
        For a Potts action with J < 0.

    References
    ----------
    Swendsen, Wang, Phys. Rev. Lett. 58 (1987) 86; Edwards, Sokal, Phys. Rev. D 38 (1988) 2009.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.rng import Stream
    >>> kernel = SwendsenWang(Ising(Lattice((5, 7)), beta=0.44))
    >>> stream = Stream.from_seed(1)
    >>> state, info = kernel.step(stream, kernel.init(kernel.start(stream, replicas=1)))
    >>> sorted(info)
    ['clusters']
    """

    name: ClassVar[str] = "swendsen-wang"
    fields: ClassVar[Any] = FieldSwendsenWang
    tally_name: ClassVar[str] = "clusters"

    def _averages(self, observable: Observable) -> bool:
        return isinstance(observable, ClusterAverage) and self._free()

    def _run(self, batch: discrete.Batch) -> None:
        self._operations.swendsen_wang_steps(batch, *self._bonds(), *self._looks)


class Wolff(_ClusterKernel):
    """Wolff: grow a cluster from a random site and turn it; one step is a fixed number of clusters.

    The number is fixed because stopping once V spins have flipped would favour large last clusters and bias the result.

    Parameters
    ----------
    clusters : clusters in one step, 1 to 2^20

    References
    ----------
    Wolff, Phys. Rev. Lett. 62 (1989) 361.
    """

    name: ClassVar[str] = "wolff"
    fields: ClassVar[Any] = FieldWolff
    tally_name: ClassVar[str] = "turned"
    options: ClassVar[tuple[str, ...]] = ("clusters",)

    def __init__(
        self, action: Target, clusters: int = 1, *, backend: str | None = None, threads: int | None = None
    ) -> None:
        if not isinstance(clusters, (int, np.integer)) or not 1 <= clusters <= MAX_CLUSTERS:
            raise InputError(f"clusters is {clusters!r}; expected a whole number from 1 to {MAX_CLUSTERS}")
        self.clusters = int(clusters)
        super().__init__(action, backend=backend, threads=threads)

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        return {"kernel": self.name, "clusters": self.clusters}

    def _averages(self, observable: Observable) -> bool:
        # One cluster says nothing of products of two, which the fourth power needs.
        second = isinstance(observable, ImprovedPower) and observable.power == 2
        return second and self._free()

    def _from_clusters(self, average: ClusterAverage, sums: NDArray[Any]) -> NDArray[np.float64]:
        # A random site's cluster of n spins is drawn with probability n / V, so <M_c^2 V / n> is that of sum_c M_c^2.
        second = sums[..., 2].copy().view(np.float64) * (self.action.lattice.sites / self.clusters)
        return average.from_clusters(self.action, ClusterSums(second, second))

    def _run(self, batch: discrete.Batch) -> None:
        self._operations.wolff_steps(batch, *self._bonds(), self.clusters)

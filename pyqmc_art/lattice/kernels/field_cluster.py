"""Cluster kernels of continuous fields by an embedded Ising model; any extents, any boundary."""

from __future__ import annotations

from typing import Any, ClassVar

from pyqmc_art.lattice.couplings import whole
from pyqmc_art.lattice.kernels.field import FieldKernel
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.ops import continuous

MAX_CLUSTERS = 2**20


class _FieldCluster(FieldKernel):
    @property
    def conserves(self) -> str:  # type: ignore[override]
        """What keeps the kernel alone from reaching every field: it flips signs of phi^4 and nothing else."""
        return "|phi|" if isinstance(self.action, Phi4) else ""


class FieldSwendsenWang(_FieldCluster):
    """Swendsen-Wang of an embedded Ising model: all bonds, all clusters, once a step.

    O(n): the components along a random axis, bonds with probability 1 - exp(-2 beta (s.r)(s'.r)), clusters reflected.
    phi^4: the signs, with 1 - exp(-4 g phi phi'); the moduli need another kernel: ``metropolis+swendsen-wang``.

    References
    ----------
    Wolff, Phys. Rev. Lett. 62 (1989) 361; Brower, Tamayo, Phys. Rev. Lett. 62 (1989) 1087.
    """

    name: ClassVar[str] = "swendsen-wang"
    tally_name: ClassVar[str] = "clusters"

    def _run(self, batch: continuous.FieldBatch) -> None:
        self._operations.swendsen_wang_steps(batch)


class FieldWolff(_FieldCluster):
    """Wolff clusters of embedded Ising models; one step is a fixed number of clusters, each with its own axis.

    Parameters
    ----------
    clusters : clusters in one step, 1 to 2^20

    References
    ----------
    Wolff, Phys. Rev. Lett. 62 (1989) 361; Brower, Tamayo, Phys. Rev. Lett. 62 (1989) 1087.
    """

    name: ClassVar[str] = "wolff"
    tally_name: ClassVar[str] = "turned"
    options: ClassVar[tuple[str, ...]] = ("clusters",)

    def __init__(
        self, action: Any, clusters: int = 1, *, backend: str | None = None, threads: int | None = None
    ) -> None:
        self.clusters = whole("clusters", clusters, 1, MAX_CLUSTERS)
        super().__init__(action, backend=backend, threads=threads)

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        return {"kernel": self.name, "clusters": self.clusters}

    def _run(self, batch: continuous.FieldBatch) -> None:
        self._operations.wolff_steps(batch, self.clusters)

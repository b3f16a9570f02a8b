"""Improved estimators: averages over the orientations of clusters, known while a cluster kernel works and only then."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.correlation import Correlation, count_distances, count_pairs
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.protocols import Field

Floats = NDArray[np.float64]

PHASE_UNIT: Final = 1 << 24
"""Phases of modes are whole multiples of one over this, so that sums do not depend on their order."""


def smallest_phases(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Cosines and sines of 2 pi x / L along each axis, rounded to multiples of ``1 / PHASE_UNIT``.

    Parameters
    ----------
    shape : extents of the lattice

    Returns
    -------
    int32 array of shape (axes, longest extent, 2), in that unit; zeros beyond the extent of an axis

    Examples
    --------
    >>> (smallest_phases((2, 4)) // PHASE_UNIT)[1].tolist()
    [[1, 0], [0, 1], [-1, 0], [0, -1]]
    """
    table = np.zeros((len(shape), max(shape), 2), np.int32)
    for axis, extent in enumerate(shape):
        angle = 2 * np.pi * np.arange(extent) / extent
        table[axis, :extent] = np.rint(PHASE_UNIT * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return table


PAIRS_OF_SITE: Final = 1
"""About so many pairs are looked at in one step for each site of a square lattice."""


def count_lines(lattice: Lattice) -> int:
    """On how many lines along the last axis a step looks for pairs of sites of one cluster.

    All pairs of a line of L sites are L / 2 for each of its sites. Each step has lines of its own, so that a long run
    sees all of them.

    Examples
    --------
    >>> count_lines(Lattice((512, 512))), count_lines(Lattice((6, 6)))
    (2, 2)
    """
    rows = math.prod(lattice.shape[:-1])
    return min(rows, max(1, 2 * PAIRS_OF_SITE * rows // lattice.shape[-1]))


@dataclass(frozen=True)
class ClusterSums:
    """What a step sums over its clusters c, of magnetization M_c; empty where it was not asked to.

    Attributes
    ----------
    second, fourth : sum_c M_c^2 and sum_c M_c^4
    modes : sum_c |F_c|^2 over all axes, F_c = sum of s_x exp(i k x) over the cluster, in squared phase units
    pairs : sum of s_x s_y over the pairs of sites of one cluster on the lines looked at, at each distance
    """

    second: Floats
    fourth: Floats
    modes: Floats = field(default_factory=lambda: np.zeros(0))
    pairs: NDArray[Any] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def read(cls, lattice: Lattice, sums: NDArray[Any]) -> ClusterSums:
        """Read what a kernel has measured, int64 of shape (..., columns)."""
        distances = count_distances(lattice)
        with_pairs, nothing = sums.shape[-1] > 5, np.zeros(0)
        fourth, modes = (sums[..., min(k, sums.shape[-1] - 1)].copy().view(np.float64) for k in (3, 4))
        return cls(
            sums[..., 2].astype(np.float64),
            fourth,
            modes if sums.shape[-1] == 5 + with_pairs * distances else nothing,
            sums[..., -distances:] if with_pairs else nothing,
        )


@dataclass(frozen=True)
class ClusterAverage:
    """What is the same for all of them: a name, and that a field alone does not tell them.

    ``with_modes`` and ``with_pairs`` say what a kernel has to sum besides the powers of the magnetizations.
    """

    name: str
    with_modes: bool = False
    with_pairs: bool = False

    def __call__(self, action: Any, field: Field) -> Floats:
        """Refuse: a field does not tell its clusters."""
        raise InputError(
            f"the observable {self.name!r} is an average over clusters: the kernel swendsen-wang measures it, for "
            "Ising spins without a field (wolff measures improved_magnetization2 and improved_susceptibility); "
            "otherwise measure magnetization2, magnetization4, kmin2 and correlation"
        )

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """Value without the average, for a field whose clusters are not known."""
        raise TypeError("an average over clusters defines plain")

    def from_clusters(self, action: Ising | Potts, sums: ClusterSums) -> Floats:
        """Value from the sums over the clusters."""
        raise TypeError("an average over clusters defines from_clusters")


@dataclass(frozen=True)
class ImprovedPower(ClusterAverage):
    """The average of M^power over the orientations of all clusters, which Swendsen-Wang draws independently.

    With M_c the magnetization of cluster c, <M^2> = <sum_c M_c^2> and <M^4> = <3 (sum_c M_c^2)^2 - 2 sum_c M_c^4>: the
    same expectation as of the plain power, with less noise. Measured from the clusters of the step before.

    References
    ----------
    Wolff, Phys. Rev. Lett. 60 (1988) 1461; Sweeny, Phys. Rev. B 27 (1983) 4445.
    """

    power: int = 2
    volumes: int = 2

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """M^power / V^volumes."""
        total = field.reshape(len(field), -1).sum(axis=1, dtype=np.int64).astype(np.float64)
        return np.asarray(total**self.power / float(action.lattice.sites) ** self.volumes)

    def from_clusters(self, action: Ising | Potts, sums: ClusterSums) -> Floats:
        """The average of M^power / V^volumes."""
        average = sums.second if self.power == 2 else 3 * sums.second**2 - 2 * sums.fourth
        return np.asarray(average / float(action.lattice.sites) ** self.volumes)


@dataclass(frozen=True)
class ImprovedModes(ClusterAverage):
    """The average of ``kmin2`` over the orientations of all clusters.

    With F_c = sum of s_x exp(i k x) over cluster c, <|sum_x s_x exp(i k x)|^2> = <sum_c |F_c|^2>; k = 2 pi / L_mu along
    axis mu, averaged over the axes. With ``improved_magnetization2`` it gives the second-moment correlation length.

    References
    ----------
    Cooper, Freedman, Preston, Nucl. Phys. B 210 (1982) 210 (the length); Wolff, Nucl. Phys. B 334 (1990) 581.
    """

    with_modes: bool = True

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """|m(k)|^2 of the field."""
        shape = field.shape[1:]
        phases = smallest_phases(shape).astype(np.float64) / PHASE_UNIT
        total = np.zeros(len(field))
        for axis, extent in enumerate(shape):
            line = np.moveaxis(field, 1 + axis, -1).sum(axis=tuple(range(1, len(shape))), dtype=np.float64)
            total += np.square(line @ phases[axis, :extent]).sum(axis=1)
        return np.asarray(total / (len(shape) * float(action.lattice.sites) ** 2))

    def from_clusters(self, action: Ising | Potts, sums: ClusterSums) -> Floats:
        """The average of |m(k)|^2."""
        return np.asarray(sums.modes / (len(action.lattice.shape) * float(action.lattice.sites) ** 2 * PHASE_UNIT**2))


@dataclass(frozen=True)
class ImprovedCorrelation(ClusterAverage):
    """The average of ``correlation`` over the orientations of all clusters, on some lines along the last axis.

    Spins of two clusters are independent, so <s_x s_y> is that of s_x s_y where both belong to one cluster, else 0: at
    long distances, where few do, its noise falls with the signal. Every step looks at lines of its own, as many as
    :func:`count_lines` says; those of a run average over all.

    References
    ----------
    Wolff, Nucl. Phys. B 334 (1990) 581; Sweeny, Phys. Rev. B 27 (1983) 4445.
    """

    with_pairs: bool = True

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """G(r) of the field, on all lines."""
        return Correlation()(action, field)

    def from_clusters(self, action: Ising | Potts, sums: ClusterSums) -> Floats:
        """The average of G(r), one more axis behind those of the other averages."""
        lattice = action.lattice
        return np.asarray(sums.pairs / (count_lines(lattice) * count_pairs(lattice)), np.float64)


AVERAGES: Final[dict[str, ClusterAverage]] = {
    o.name: o
    for o in (
        ImprovedPower("improved_magnetization2"),
        ImprovedPower("improved_magnetization4", power=4, volumes=4),
        ImprovedPower("improved_susceptibility", volumes=1),
        ImprovedModes("improved_kmin2"),
        ImprovedCorrelation("improved_correlation"),
    )
}
"""Observables that a kernel measures while it works on a field, and nobody else can."""


def count_columns(averages: Iterable[ClusterAverage], lattice: Lattice) -> int:
    """How many sums a kernel has to measure for some averages, behind the two that it always measures included.

    Examples
    --------
    >>> count_columns([AVERAGES["improved_susceptibility"], AVERAGES["improved_correlation"]], Lattice((8, 8)))
    9
    """
    wanted = list(averages)
    modes, pairs = any(o.with_modes for o in wanted), any(o.with_pairs for o in wanted)
    return 4 + modes + pairs * count_distances(lattice)

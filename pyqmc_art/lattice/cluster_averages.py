"""Improved estimators: averages over the orientations of clusters, known while a cluster kernel works and only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
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


@dataclass(frozen=True)
class ClusterAverage:
    """What is the same for all of them: a name, and that a field alone does not tell them.

    ``columns`` is how many sums a kernel has to measure for it.
    """

    name: str
    columns: int = 4

    def __call__(self, action: Any, field: Field) -> Floats:
        """Refuse: a field does not tell its clusters."""
        raise InputError(
            f"the observable {self.name!r} is an average over clusters: the kernel swendsen-wang measures it, for "
            "Ising spins without a field (wolff measures improved_magnetization2 and improved_susceptibility); "
            "otherwise measure magnetization2, magnetization4 and kmin2"
        )

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """Value without the average, for a field whose clusters are not known."""
        raise TypeError("an average over clusters defines plain")

    def from_clusters(self, action: Ising | Potts, second: Floats, fourth: Floats, modes: Floats) -> Floats:
        """Value from sum_c M_c^2, sum_c M_c^4, and sum_c |F_c|^2 over all axes."""
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

    def from_clusters(self, action: Ising | Potts, second: Floats, fourth: Floats, modes: Floats) -> Floats:
        """The average of M^power / V^volumes."""
        average = second if self.power == 2 else 3 * second**2 - 2 * fourth
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

    columns: int = 5

    def plain(self, action: Ising | Potts, field: Field) -> Floats:
        """|m(k)|^2 of the field."""
        shape = field.shape[1:]
        phases = smallest_phases(shape).astype(np.float64) / PHASE_UNIT
        total = np.zeros(len(field))
        for axis, extent in enumerate(shape):
            line = np.moveaxis(field, 1 + axis, -1).sum(axis=tuple(range(1, len(shape))), dtype=np.float64)
            total += np.square(line @ phases[axis, :extent]).sum(axis=1)
        return np.asarray(total / (len(shape) * float(action.lattice.sites) ** 2))

    def from_clusters(self, action: Ising | Potts, second: Floats, fourth: Floats, modes: Floats) -> Floats:
        """The average of |m(k)|^2."""
        return np.asarray(modes / (len(action.lattice.shape) * float(action.lattice.sites) ** 2 * PHASE_UNIT**2))


AVERAGES: Final[dict[str, ClusterAverage]] = {
    o.name: o
    for o in (
        ImprovedPower("improved_magnetization2"),
        ImprovedPower("improved_magnetization4", power=4, volumes=4),
        ImprovedPower("improved_susceptibility", volumes=1),
        ImprovedModes("improved_kmin2"),
    )
}
"""Observables that a kernel measures while it works on a field, and nobody else can."""

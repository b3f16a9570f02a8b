"""Edwards-Anderson spin glasses: Ising spins whose couplings are drawn once, two copies in a field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.couplings import finite, whole
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.spaces import Space
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream

UNITS: Final = {"bimodal": 1, "gaussian": 256}
"""Couplings are whole numbers of 1 / this, so that energies are exact on every machine."""


@lru_cache(maxsize=64)
def draw_couplings(lattice: Lattice, disorder: str, seed: int) -> NDArray[np.int32]:
    """Draw the coupling of every forward bond, in units of ``1 / UNITS[disorder]``; 0 where there is no bond.

    Parameters
    ----------
    lattice : its bonds are drawn by the site they start from and their direction
    disorder : ``"bimodal"``: +1 or -1 with equal chances; ``"gaussian"``: standard normal, rounded to 1/256
    seed : the same seed always draws the same couplings

    Returns
    -------
    int32 array of shape (sites, directions), read-only

    Examples
    --------
    >>> sorted(set(draw_couplings(Lattice((4, 4)), "bimodal", 1).ravel().tolist()))
    [-1, 1]
    """
    stream = Stream.from_seed(seed).fold("couplings")
    forward = lattice.forward
    drawn = np.zeros(forward.shape, np.int32)
    for direction in range(forward.shape[1]):
        own = stream.fold(disorder, direction)
        if disorder == "bimodal":
            drawn[:, direction] = 1 - 2 * (own.integers("bond", np.arange(lattice.sites), 1)[0] >> np.uint64(62))
        else:
            drawn[:, direction] = np.rint(own.normal("bond", lattice.sites, 1)[0] * UNITS[disorder])
    drawn[forward < 0] = 0
    drawn.setflags(write=False)
    return drawn


@dataclass(frozen=True)
class SpinGlass:
    """Edwards-Anderson model: H = -sum_<xy> J_xy s_x s_y with couplings that are drawn once, from ``disorder_seed``.

    A field holds two copies of the spins, independent of each other, with the same couplings, because what tells a
    spin glass is their overlap q = sum_x s1_x s2_x / V: S = beta (H(s1) + H(s2)).

    Parameters
    ----------
    lattice : where the spins live; at most six neighbours
    beta : inverse temperature, finite and not negative
    disorder : ``"bimodal"``: +1 or -1 with equal chances; ``"gaussian"``: standard normal, rounded to 1/256
    disorder_seed : of the couplings, 0 to 2^53; independent of the seed of a run

    Raises
    ------
    InputError
        For a beta that is negative or not finite, an unknown disorder, or a seed that is none.

    References
    ----------
    Edwards, Anderson, J. Phys. F 5 (1975) 965.

    Examples
    --------
    >>> action = SpinGlass(Lattice((4, 4)), beta=0.5, disorder_seed=3)
    >>> field = np.ones((1, 4, 4, 2), np.int8)
    >>> float(action(field)[0]) == -0.5 * 2 * float(action.strengths.sum())
    True
    """

    name: ClassVar[str] = "spin-glass"
    lattice: Lattice
    beta: float
    disorder: str = "bimodal"
    disorder_seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", finite("beta", self.beta))
        object.__setattr__(self, "disorder_seed", whole("disorder_seed", self.disorder_seed, 0, 2**53))
        if self.disorder not in UNITS:
            raise unknown("disorder", self.disorder, UNITS)
        if self.beta < 0:
            raise InputError(f"beta is {self.beta}; expected beta >= 0")
        if not math.isfinite(64 * self.beta * self.lattice.bonds):
            raise InputError(f"beta is {self.beta} on {self.lattice.bonds} bonds: S overflows; give a smaller beta")

    @property
    def space(self) -> Space:
        """Two copies of spins -1 and +1 as int8."""
        return Space("spin", range(-1, 2, 2), np.dtype(np.int8), (2,))

    @property
    def unit(self) -> float:
        """What couplings and energies are whole multiples of."""
        return 1 / UNITS[self.disorder]

    @property
    def strengths(self) -> NDArray[np.int32]:
        """Coupling of each forward bond in units, shape (sites, directions)."""
        return draw_couplings(self.lattice, self.disorder, self.disorder_seed)

    def sums(self, field: Field) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sum of J s s' over the bonds of both copies, in units, and of s1 s2 over the sites; shape (replica,)."""
        flat = field.reshape(len(field), self.lattice.sites, 2).astype(np.int64)
        bonds = np.zeros(len(field), np.int64)
        for direction, target in enumerate(self.lattice.forward.T):
            here = np.flatnonzero(target >= 0)
            products = (flat[:, here] * flat[:, target[here]]).sum(axis=2)
            bonds += products @ self.strengths[here, direction].astype(np.int64)
        return bonds, flat.prod(axis=2).sum(axis=1)

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, both copies together, shape ``(replica,)``."""
        return np.asarray(-self.beta * self.unit * self.sums(field)[0], np.float64)

    def couplings(self) -> dict[str, Any]:
        """The parameters by the names the command line uses."""
        return {"beta": self.beta, "disorder": self.disorder, "disorder_seed": self.disorder_seed}

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        return self.name, (self.beta, self.unit)


@dataclass(frozen=True)
class OverlapPower:
    """A power of the overlap q = sum_x s1_x s2_x / V of the two copies of a spin glass, or of its modulus."""

    name: str
    power: int = 1
    modulus: bool = False
    models: tuple[str, ...] = ("spin-glass",)

    def __call__(self, action: SpinGlass, field: Field) -> NDArray[np.float64]:
        """Value for each replica."""
        return self.from_sums(action, *action.sums(field))

    def from_sums(self, action: SpinGlass, *sums: NDArray[Any]) -> NDArray[np.float64]:
        """q^power."""
        q = sums[1] / action.lattice.sites
        return np.asarray(np.abs(q) if self.modulus else q**self.power, np.float64)


GLASS_OBSERVABLES: Final = (
    OverlapPower("overlap"),
    OverlapPower("abs_overlap", modulus=True),
    OverlapPower("overlap2", power=2),
    OverlapPower("overlap4", power=4),
)

"""The O(n) models: XY (n = 2), Heisenberg (n = 3) and beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.couplings import finite, whole
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.spaces import Sphere, sphere
from pyqmc_art.protocols import Field

MAX_COMPONENTS: Final = 64


@dataclass(frozen=True)
class ON:
    """O(n) model: S = beta H with H = -sum_<xy> s_x . s_y, s a unit vector of n components.

    Parameters
    ----------
    lattice : where the vectors live
    n : number of components, 2 (XY) to 64; one component is the Ising model
    beta : inverse temperature, finite and not negative

    Raises
    ------
    InputError
        For an n that is not a whole number from 2 to 64, or a beta that is negative or not finite.

    Examples
    --------
    >>> action = ON(Lattice((4, 4)), n=3, beta=0.5)
    >>> field = np.zeros((1, 4, 4, 3))
    >>> field[..., 0] = 1
    >>> action(field)
    array([-16.])
    """

    name: ClassVar[str] = "on"
    lattice: Lattice
    n: int
    beta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, 2, MAX_COMPONENTS))
        object.__setattr__(self, "beta", finite("beta", self.beta))
        if self.beta < 0:
            raise InputError(f"beta is {self.beta}; expected beta >= 0")
        if not math.isfinite(2 * self.beta * self.lattice.bonds):
            raise InputError(f"beta is {self.beta} on {self.lattice.bonds} bonds: S overflows; give a smaller beta")

    @property
    def components(self) -> int:
        """Numbers at each site."""
        return self.n

    @property
    def space(self) -> Sphere:
        """Unit vectors as float64."""
        return sphere(self.n)

    def hamiltonian(self, field: Field) -> NDArray[np.float64]:
        """H = -sum_<xy> s_x . s_y of each replica."""
        flat = field.reshape(len(field), self.lattice.sites, self.n)
        total = np.zeros(len(field))
        for target in self.lattice.forward.T:
            here = np.flatnonzero(target >= 0)
            total -= (flat[:, here] * flat[:, target[here]]).sum(axis=(1, 2))
        return total

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, shape ``(replica,)``."""
        return self.beta * self.hamiltonian(field)

    def force(self, field: Field) -> NDArray[np.float64]:
        """-dS/ds at every site as if its components were free: beta times the sum of the neighbours."""
        flat = field.reshape(len(field), self.lattice.sites, self.n)
        pull = np.zeros_like(flat)
        for target in self.lattice.neighbours.T:
            here = np.flatnonzero(target >= 0)
            pull[:, here] += flat[:, target[here]]
        return np.asarray(self.beta * pull, np.float64).reshape(field.shape)

    def couplings(self) -> dict[str, Any]:
        """The parameters by the names the command line uses."""
        return {"n": self.n, "beta": self.beta}

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        return self.name, (self.beta, 0.0, 0.0)
